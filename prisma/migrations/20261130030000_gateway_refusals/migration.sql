-- A refusal of the gateway is not a decline: the column says which of the two it was, and the history keeps its words.

ALTER TABLE payments
  DROP CONSTRAINT payments_declined_by_somebody,
  ADD CONSTRAINT payments_declined_by_somebody CHECK (
    declined_by IS NULL OR (declined_by IN ('bank', 'payment-method', 'gateway') AND decline_code IS NOT NULL));
COMMENT ON CONSTRAINT payments_declined_by_somebody ON payments IS 'Only a refusal records which side refused.';
COMMENT ON COLUMN payments.declined_by IS
  'The bank; or the gateway, which then asked no card, because of the payment method or because of our own request.';

ALTER TABLE payment_events ADD COLUMN gateway_message text;
COMMENT ON COLUMN payment_events.gateway_message IS
  'Why the gateway rejected the request, in its own words. For operators: no answer carries it.';
