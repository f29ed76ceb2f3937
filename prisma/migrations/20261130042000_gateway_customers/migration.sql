-- All accounts share one account at the gateway, whose ids are no secrets. This table says whose a customer is.

CREATE TABLE gateway_customers (
  gateway_customer_id text NOT NULL,
  account_id uuid NOT NULL,
  customer_id text NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT gateway_customers_pkey PRIMARY KEY (gateway_customer_id),
  CONSTRAINT gateway_customers_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id)
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT gateway_customers_id_length CHECK (char_length(gateway_customer_id) BETWEEN 1 AND 255)
);
COMMENT ON TABLE gateway_customers IS
  'The customers at the gateway that each account may charge while they are away. A subscription charges no other.';
COMMENT ON COLUMN gateway_customers.customer_id IS 'The merchant''s own name for the customer.';
COMMENT ON CONSTRAINT gateway_customers_pkey ON gateway_customers IS
  'A customer at the gateway belongs to one account.';

CREATE FUNCTION gateway_customers_owner_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the owner of customer % cannot change', OLD.gateway_customer_id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'gateway_customers_owner_stays';
END $$;
CREATE TRIGGER gateway_customers_owner_stays BEFORE UPDATE ON gateway_customers
  FOR EACH ROW EXECUTE FUNCTION gateway_customers_owner_stays();
COMMENT ON TRIGGER gateway_customers_owner_stays ON gateway_customers IS
  'What was proven once is never rewritten: charges were made upon it.';

ALTER TABLE subscriptions ADD COLUMN paused_because text;
COMMENT ON COLUMN subscriptions.paused_because IS 'The merchant must do this before it is charged again.';

-- With one account there is no other that a customer could belong to. Otherwise nothing here can prove it.
INSERT INTO gateway_customers (gateway_customer_id, account_id, customer_id)
SELECT DISTINCT ON (gateway_customer_id) gateway_customer_id, account_id, customer_id FROM subscriptions
 WHERE (SELECT count(*) FROM accounts) = 1
 ORDER BY gateway_customer_id, created_at;

UPDATE subscriptions
   SET state = 'paused', version = version + 1,
       paused_because = 'The gateway customer was not made through this API, so it may belong to another account. Name '
         || 'your account in its metadata at the gateway (accountId), and register it: POST /v1/gateway-customers.'
 WHERE state = 'active'
   AND NOT EXISTS (SELECT FROM gateway_customers
                    WHERE gateway_customers.gateway_customer_id = subscriptions.gateway_customer_id
                      AND gateway_customers.account_id = subscriptions.account_id);

ALTER TABLE subscriptions
  ADD CONSTRAINT subscriptions_paused_for_a_reason CHECK ((state = 'paused') = (paused_because IS NOT NULL));
COMMENT ON CONSTRAINT subscriptions_paused_for_a_reason ON subscriptions IS
  'A subscription that is paused says what would resume it.';
