-- Money that an operator returned outside of the gateway, such as by bank transfer.
ALTER TABLE refunds DROP CONSTRAINT refunds_origin_is_known;
ALTER TABLE refunds ADD CONSTRAINT refunds_origin_is_known
  CHECK (origin IN ('merchant', 'reconciliation', 'gateway', 'operator'));
COMMENT ON CONSTRAINT refunds_origin_is_known ON refunds IS
  'A merchant asked for it, reconciliation repairs, it was made at the gateway without us, or outside of the gateway.';

ALTER TABLE refunds DROP CONSTRAINT refunds_succeeded_has_evidence;
ALTER TABLE refunds ADD CONSTRAINT refunds_succeeded_has_evidence
  CHECK (state <> 'succeeded' OR gateway_refund_id IS NOT NULL OR origin = 'operator');
COMMENT ON CONSTRAINT refunds_succeeded_has_evidence ON refunds IS
  'Nothing counts as refunded without the gateway''s refund that proves it, or a person who returned the money.';
ALTER TABLE refunds ADD CONSTRAINT refunds_by_operators_are_settled
  CHECK (origin <> 'operator' OR (settled_at IS NOT NULL AND gateway_refund_id IS NULL AND reason IS NOT NULL));
COMMENT ON CONSTRAINT refunds_by_operators_are_settled ON refunds IS
  'The gateway is never asked for what was returned outside of it, and a person has said why.';
