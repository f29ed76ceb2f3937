-- A part of an authorization that was captured at the gateway's own console. The gateway releases the rest.

ALTER TABLE payments ADD COLUMN captured_minor integer;
COMMENT ON COLUMN payments.captured_minor IS
  'What was taken, where it was less than the amount. Null: all of it, if the payment succeeded.';

ALTER TABLE payments ADD CONSTRAINT payments_captured_in_part
  CHECK (captured_minor IS NULL OR (state = 'succeeded' AND captured_minor >= 1 AND captured_minor < amount_minor));
COMMENT ON CONSTRAINT payments_captured_in_part ON payments IS
  'Only a payment that took a part of its amount names the part.';

ALTER TABLE payments DROP CONSTRAINT payments_refunds_within_payment;
ALTER TABLE payments ADD CONSTRAINT payments_refunds_within_payment CHECK (
  refunded_minor >= 0 AND refund_pending_minor >= 0
  AND refunded_minor + refund_pending_minor
      <= CASE WHEN state = 'succeeded' THEN COALESCE(captured_minor, amount_minor) ELSE 0 END);
COMMENT ON CONSTRAINT payments_refunds_within_payment ON payments IS
  'Refunds, those under way included, never exceed what was taken.';
