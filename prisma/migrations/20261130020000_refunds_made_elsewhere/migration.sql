-- Refunds that were made at the gateway without us: at its own console, or by another program.

ALTER TABLE refunds DROP CONSTRAINT refunds_origin_is_known;
ALTER TABLE refunds ADD CONSTRAINT refunds_origin_is_known
  CHECK (origin IN ('merchant', 'reconciliation', 'gateway'));
COMMENT ON CONSTRAINT refunds_origin_is_known ON refunds IS
  'A merchant asked for it, reconciliation repairs, or it was made at the gateway without us.';

ALTER TABLE refunds DROP CONSTRAINT refunds_merchants_name_payment;
ALTER TABLE refunds ADD CONSTRAINT refunds_name_payment
  CHECK ((origin <> 'reconciliation') = (payment_id IS NOT NULL));
COMMENT ON CONSTRAINT refunds_name_payment ON refunds IS
  'A refund takes from one payment; the charge of a repair belongs to none.';

ALTER TABLE refunds ADD CONSTRAINT refunds_from_elsewhere_have_evidence
  CHECK (origin <> 'gateway' OR gateway_refund_id IS NOT NULL);
COMMENT ON CONSTRAINT refunds_from_elsewhere_have_evidence ON refunds IS
  'What was made at the gateway is known by its id there, and is never requested.';

ALTER TABLE reconciliation_findings DROP CONSTRAINT reconciliation_findings_action_is_known;
ALTER TABLE reconciliation_findings ADD CONSTRAINT reconciliation_findings_action_is_known
  CHECK (action IN ('adopt', 'refund', 'cancel-intent', 'reverse-refund', 'enter-refund', 'person'));
COMMENT ON CONSTRAINT reconciliation_findings_action_is_known ON reconciliation_findings IS
  'Anything else than these is for a person.';
