-- The account at the gateway to which a payment's intent belongs.
ALTER TABLE payments ADD COLUMN gateway_account text;
COMMENT ON COLUMN payments.gateway_account IS
  'Account and mode of the API key that claimed the payment, then of the key that created its intent. Only a key of the '
  'same account is believed that the intent does not exist. Null: not known.';

CREATE FUNCTION payments_gateway_account_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the gateway account of payment % cannot change', OLD.id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_gateway_account_stays';
END $$;
CREATE TRIGGER payments_gateway_account_stays BEFORE UPDATE OF gateway_account ON payments FOR EACH ROW
  WHEN (OLD.gateway_intent_id IS NOT NULL AND OLD.gateway_account IS DISTINCT FROM NEW.gateway_account)
  EXECUTE FUNCTION payments_gateway_account_stays();
COMMENT ON TRIGGER payments_gateway_account_stays ON payments IS
  'An intent stays in the account that created it.';
