-- Disputes: a customer asks the bank for the money of a payment back, and the gateway withdraws it.
CREATE TABLE disputes (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  payment_id uuid NOT NULL,
  gateway_dispute_id text NOT NULL,
  state text NOT NULL,
  gateway_status text NOT NULL,
  reason text NOT NULL,
  amount_minor integer NOT NULL,
  currency char(3) NOT NULL,
  withdrawn_minor integer NOT NULL DEFAULT 0,
  reinstated_minor integer NOT NULL DEFAULT 0,
  respond_by timestamptz(3),
  opened_at timestamptz(3) NOT NULL,
  seen_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT disputes_pkey PRIMARY KEY (id),
  CONSTRAINT disputes_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id)
    REFERENCES payments (account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT disputes_state_is_known CHECK (state IN ('inquiry', 'open', 'won', 'lost', 'closed')),
  CONSTRAINT disputes_amounts_are_possible
    CHECK (amount_minor >= 0 AND reinstated_minor >= 0 AND reinstated_minor <= withdrawn_minor)
);
COMMENT ON TABLE disputes IS
  'What the gateway shows of each dispute. Its history stands in payment_events, its money in transfers.';
COMMENT ON COLUMN disputes.gateway_status IS 'In the gateway''s own words; the state follows from it.';
COMMENT ON COLUMN disputes.reason IS 'Of the customer, in the gateway''s words.';
COMMENT ON COLUMN disputes.withdrawn_minor IS
  'The amount that the gateway withdrew for it so far. It never shrinks.';
COMMENT ON COLUMN disputes.reinstated_minor IS
  'The amount that the gateway reinstated of that so far. It never shrinks.';
COMMENT ON COLUMN disputes.respond_by IS 'Until when the merchant can answer it. Null: there is nothing to answer.';
COMMENT ON COLUMN disputes.opened_at IS 'By the gateway''s clock.';
COMMENT ON COLUMN disputes.seen_at IS
  'When the gateway showed this status. What it showed before that changes no status, however late it arrives.';
COMMENT ON CONSTRAINT disputes_state_is_known ON disputes IS
  'An inquiry has withdrawn nothing and allows refunds. An open dispute allows none. The others have ended.';
COMMENT ON CONSTRAINT disputes_amounts_are_possible ON disputes IS
  'The gateway reinstates no more than it withdrew. The amount may differ from the payment''s.';
CREATE UNIQUE INDEX disputes_gateway_dispute_id_key ON disputes (gateway_dispute_id);
COMMENT ON INDEX disputes_gateway_dispute_id_key IS 'A dispute is recorded once, however often it is shown.';
CREATE INDEX disputes_payment_id_idx ON disputes (payment_id);
COMMENT ON INDEX disputes_payment_id_idx IS 'Lists the disputes of a payment.';

CREATE FUNCTION disputes_only_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.id, NEW.account_id, NEW.payment_id, NEW.gateway_dispute_id, NEW.currency)
     IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.payment_id, OLD.gateway_dispute_id, OLD.currency)
     OR NEW.withdrawn_minor < OLD.withdrawn_minor OR NEW.reinstated_minor < OLD.reinstated_minor
     OR NEW.seen_at < OLD.seen_at THEN
    RAISE EXCEPTION 'dispute % cannot be rewritten', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'disputes_only_go_forward';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER disputes_only_go_forward BEFORE UPDATE ON disputes FOR EACH ROW
  EXECUTE FUNCTION disputes_only_go_forward();
COMMENT ON TRIGGER disputes_only_go_forward ON disputes IS
  'A dispute keeps its payment and currency, and older news take back neither money nor status.';

-- Each payment shows its disputes. Refunds read both columns with the row.
ALTER TABLE payments ADD COLUMN dispute_state text;
ALTER TABLE payments ADD COLUMN disputed_minor integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN payments.dispute_state IS 'Of its disputes, the state that matters most. Null: it has none.';
COMMENT ON COLUMN payments.disputed_minor IS 'The amount that its disputes withdrew and did not reinstate.';
ALTER TABLE payments ADD CONSTRAINT payments_disputed_took_money
  CHECK (disputed_minor >= 0 AND (dispute_state IS NULL OR state = 'succeeded')
         AND (disputed_minor = 0 OR dispute_state IS NOT NULL));
COMMENT ON CONSTRAINT payments_disputed_took_money ON payments IS
  'Only a payment that took money is disputed. A bank may dispute all of a payment of which a part was refunded.';

CREATE OR REPLACE FUNCTION payments_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  but_for_returns payments := NEW;
BEGIN
  -- Refunds and disputes change these four of a final payment; payments_refunds_within_payment bounds the refunds.
  but_for_returns.refunded_minor := OLD.refunded_minor;
  but_for_returns.refund_pending_minor := OLD.refund_pending_minor;
  but_for_returns.dispute_state := OLD.dispute_state;
  but_for_returns.disputed_minor := OLD.disputed_minor;
  IF OLD.state IN ('succeeded', 'declined', 'cancelled', 'voided') AND but_for_returns IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'payment % is final', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  IF NEW.generation < OLD.generation
     OR (OLD.gateway_intent_id IS NOT NULL AND NEW.gateway_intent_id IS DISTINCT FROM OLD.gateway_intent_id)
     OR (NEW.order_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.gateway_key)
        IS DISTINCT FROM (OLD.order_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.gateway_key) THEN
    RAISE EXCEPTION 'payment % cannot be rewritten', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  RETURN NEW;
END $$;

ALTER TABLE transfers ADD COLUMN dispute_id uuid;
COMMENT ON COLUMN transfers.dispute_id IS 'The dispute that moved the money.';
ALTER TABLE transfers ADD CONSTRAINT transfers_dispute_id_fkey FOREIGN KEY (dispute_id)
  REFERENCES disputes (id) ON UPDATE RESTRICT ON DELETE RESTRICT;
ALTER TABLE transfers DROP CONSTRAINT transfers_kind_is_known;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_is_known CHECK (
  CASE kind
    WHEN 'charge' THEN refund_id IS NULL AND dispute_id IS NULL
    WHEN 'refund' THEN refund_id IS NOT NULL AND dispute_id IS NULL
    WHEN 'refund_reversal' THEN refund_id IS NOT NULL AND dispute_id IS NULL
    WHEN 'dispute_withdrawal' THEN refund_id IS NULL AND dispute_id IS NOT NULL
    WHEN 'dispute_reinstatement' THEN refund_id IS NULL AND dispute_id IS NOT NULL
    ELSE false
  END);
COMMENT ON CONSTRAINT transfers_kind_is_known ON transfers IS
  'Every booking has a meaning that the reports know, and names what it books.';

-- Reconciliation reads the gateway's disputes as well.
ALTER TABLE reconciliation_runs ADD COLUMN disputes_seen integer NOT NULL DEFAULT 0;
ALTER TABLE reconciliation_runs DROP CONSTRAINT reconciliation_runs_stage_is_known;
ALTER TABLE reconciliation_runs ADD CONSTRAINT reconciliation_runs_stage_is_known
  CHECK (stage IN ('charges', 'refunds', 'disputes', 'our-payments', 'our-refunds', 'act', 'done'));
COMMENT ON CONSTRAINT reconciliation_runs_stage_is_known ON reconciliation_runs IS
  'The gateway''s lists are read before our books, and nothing is done before all was read.';
ALTER TABLE reconciliation_findings ADD COLUMN gateway_dispute_id text;
ALTER TABLE reconciliation_findings DROP CONSTRAINT reconciliation_findings_action_is_known;
ALTER TABLE reconciliation_findings ADD CONSTRAINT reconciliation_findings_action_is_known
  CHECK (action IN ('adopt', 'refund', 'cancel-intent', 'reverse-refund', 'enter-refund', 'enter-dispute', 'person'));
COMMENT ON CONSTRAINT reconciliation_findings_action_is_known ON reconciliation_findings IS
  'Anything else than these is for a person.';
