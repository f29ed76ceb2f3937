-- A payment that its order's owner no longer wants: a cancelled order or subscription, or a replaced card.

ALTER TABLE payments ADD COLUMN withdrawn_at timestamptz(3);
COMMENT ON COLUMN payments.withdrawn_at IS
  'When a cancellation, or a change of the card, withdrew it. From then on its intent is only cancelled.';

-- The keys of those requests are answered by the commit that settles the payment. One payment may have several.
ALTER TABLE idempotency_keys
  DROP CONSTRAINT idempotency_keys_step_is_known,
  ADD CONSTRAINT idempotency_keys_step_is_known CHECK (
    CASE step
      WHEN 'pay' THEN refund_id IS NULL
      WHEN 'checkout' THEN payment_id IS NOT NULL AND refund_id IS NULL
      WHEN 'capture' THEN payment_id IS NOT NULL AND refund_id IS NULL
      WHEN 'void' THEN payment_id IS NOT NULL AND refund_id IS NULL
      WHEN 'withdraw' THEN payment_id IS NOT NULL AND refund_id IS NULL
      WHEN 'refund' THEN payment_id IS NULL AND refund_id IS NOT NULL
      ELSE false
    END);
COMMENT ON CONSTRAINT idempotency_keys_step_is_known ON idempotency_keys IS
  'A key started one step of one payment or refund, or none at all.';

DROP INDEX idempotency_keys_account_id_payment_id_step_key;
CREATE UNIQUE INDEX idempotency_keys_account_id_payment_id_step_key ON idempotency_keys
  (account_id, payment_id, step, (CASE step WHEN 'withdraw' THEN key ELSE '' END));
COMMENT ON INDEX idempotency_keys_account_id_payment_id_step_key IS
  'A step of a payment was started by one key, which gets its answer. Any number of keys may withdraw a payment.';
