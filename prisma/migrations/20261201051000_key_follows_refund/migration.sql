-- A cancellation whose refund failed, because a part was refunded at the gateway's console, goes on with a refund of
-- the rest. Its key then waits for that one.
CREATE OR REPLACE FUNCTION idempotency_keys_answer_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.answer_status IS NOT NULL OR (NEW.account_id, NEW.key, NEW.fingerprint, NEW.payment_id, NEW.step)
     IS DISTINCT FROM (OLD.account_id, OLD.key, OLD.fingerprint, OLD.payment_id, OLD.step) THEN
    RAISE EXCEPTION 'idempotency key was answered' USING ERRCODE = 'check_violation', CONSTRAINT = 'idempotency_keys_answer_stays';
  END IF;
  IF NEW.refund_id IS DISTINCT FROM OLD.refund_id THEN
    -- From a refund that failed to one that is open, of the same payment.
    PERFORM FROM refunds AS failed JOIN refunds AS next USING (account_id, payment_id)
      WHERE failed.id = OLD.refund_id AND failed.state = 'failed' AND next.id = NEW.refund_id AND next.settled_at IS NULL;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'idempotency key belongs to another refund'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'idempotency_keys_answer_stays';
    END IF;
  END IF;
  RETURN NEW;
END $$;
COMMENT ON TRIGGER idempotency_keys_answer_stays ON idempotency_keys IS
  'A recorded answer never changes. A key changes its target only from a refund that failed to another of its payment.';
