-- Orders, their payments, and what makes a payment safe to ask for twice.
--
-- Each constraint carries, as its comment, the invariant that it guards. They hold for whoever writes: the API, the
-- worker, or a person in psql.

CREATE TYPE order_state AS ENUM ('pending', 'processing', 'paid', 'cancelled');

CREATE TYPE payment_state AS ENUM ('processing', 'succeeded', 'declined', 'cancelled', 'needs_review');

-- Merchants. ---------------------------------------------------------------------------------------------------------

CREATE TABLE accounts (
  id         uuid           NOT NULL,
  name       text           NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT accounts_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE accounts IS 'A merchant: who holds API keys and owns every other row.';

CREATE TABLE api_keys (
  key_sha256 bytea          NOT NULL,
  account_id uuid           NOT NULL,
  name       text           NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  revoked_at timestamptz(3),
  CONSTRAINT api_keys_pkey PRIMARY KEY (key_sha256),
  CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT api_keys_hash_length CHECK (octet_length(key_sha256) = 32)
);
COMMENT ON TABLE api_keys IS 'Only hashes are stored: whoever reads this table cannot act for anybody.';
COMMENT ON CONSTRAINT api_keys_hash_length ON api_keys IS 'What is stored is a SHA-256, never a key.';

-- Orders. ------------------------------------------------------------------------------------------------------------

CREATE TABLE orders (
  id           uuid           NOT NULL,
  account_id   uuid           NOT NULL,
  customer_id  text           NOT NULL,
  amount_minor integer        NOT NULL,
  currency     char(3)        NOT NULL,
  state        order_state    NOT NULL DEFAULT 'pending',
  version      integer        NOT NULL DEFAULT 0,
  created_at   timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT orders_pkey PRIMARY KEY (id),
  CONSTRAINT orders_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT orders_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 99999999),
  CONSTRAINT orders_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE UNIQUE INDEX orders_account_id_id_key ON orders (account_id, id);

COMMENT ON TABLE orders IS 'What a customer owes, once.';
COMMENT ON COLUMN orders.version IS 'Grows by one with every change; a writer names the version it read and loses if it is gone.';
COMMENT ON CONSTRAINT orders_amount_is_chargeable ON orders IS 'An order is for a positive amount that the gateway takes in one charge.';
COMMENT ON CONSTRAINT orders_currency_is_a_code ON orders IS 'A currency is written in one way, so that amounts can be compared.';
COMMENT ON INDEX orders_account_id_id_key IS 'Lists an account''s orders by id, and lets other rows prove that they belong to the same account.';

-- A version that goes back, or stands still while the row changes, would let a lost update through unseen.
CREATE FUNCTION orders_version_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version <> OLD.version + 1 THEN
    RAISE EXCEPTION 'order % changed without the next version', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_version_grows';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER orders_version_grows BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION orders_version_grows();
COMMENT ON TRIGGER orders_version_grows ON orders IS 'Every change of an order is visible to whoever compares versions.';

-- Payments. ----------------------------------------------------------------------------------------------------------

CREATE TABLE payments (
  id                uuid           NOT NULL,
  account_id        uuid           NOT NULL,
  order_id          uuid           NOT NULL,
  amount_minor      integer        NOT NULL,
  currency          char(3)        NOT NULL,
  payment_method    text           NOT NULL,
  state             payment_state  NOT NULL DEFAULT 'processing',
  decline_code      text,
  generation        integer        NOT NULL DEFAULT 1,
  leased_until      timestamptz(3),
  look_at           timestamptz(3) NOT NULL,
  looks             integer        NOT NULL DEFAULT 0,
  wanted_until      timestamptz(3) NOT NULL,
  gateway_intent_id text,
  gateway_charge_id text,
  intent_parameters jsonb          NOT NULL,
  create_attempt    integer        NOT NULL DEFAULT 1,
  confirm_attempt   integer        NOT NULL DEFAULT 1,
  cancel_attempt    integer        NOT NULL DEFAULT 1,
  created_at        timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  settled_at        timestamptz(3),
  CONSTRAINT payments_pkey PRIMARY KEY (id),
  CONSTRAINT payments_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT payments_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 99999999),
  CONSTRAINT payments_settled_when_final CHECK ((state IN ('succeeded', 'declined', 'cancelled')) = (settled_at IS NOT NULL)),
  CONSTRAINT payments_succeeded_has_charge CHECK ((state = 'succeeded') = (gateway_charge_id IS NOT NULL)),
  CONSTRAINT payments_charge_has_intent CHECK (gateway_charge_id IS NULL OR gateway_intent_id IS NOT NULL),
  CONSTRAINT payments_declined_has_code CHECK (state <> 'declined' OR decline_code IS NOT NULL),
  CONSTRAINT payments_decline_belongs_to_decline CHECK (decline_code IS NULL OR state IN ('processing', 'needs_review', 'declined')),
  CONSTRAINT payments_leased_only_while_open CHECK (leased_until IS NULL OR state IN ('processing', 'needs_review'))
);
CREATE UNIQUE INDEX payments_account_id_id_key ON payments (account_id, id);
CREATE UNIQUE INDEX payments_gateway_intent_id_key ON payments (gateway_intent_id);
CREATE INDEX payments_order_id_id_idx ON payments (order_id, id);
CREATE UNIQUE INDEX payments_one_live_per_order ON payments (order_id) WHERE state IN ('processing', 'succeeded', 'needs_review');
CREATE INDEX payments_to_recover ON payments (look_at) WHERE state IN ('processing', 'needs_review');

COMMENT ON TABLE payments IS 'One intent to take an order''s money, written before the gateway hears of it.';
COMMENT ON COLUMN payments.generation IS 'Raised whenever the intent changes hands; who settles names the generation it claimed.';
COMMENT ON COLUMN payments.leased_until IS 'Until when the present owner may ask the gateway; null: nobody owns it and recovery looks at look_at.';
COMMENT ON COLUMN payments.wanted_until IS 'Until then recovery asks for the money; afterwards it makes sure that nobody can take it.';
COMMENT ON COLUMN payments.intent_parameters IS 'Exactly what was sent: the gateway compares the parameters of requests that carry the same key.';
COMMENT ON COLUMN payments.confirm_attempt IS 'Number in the gateway''s idempotency key; raised only after the gateway ended the request and its effect was seen to be absent.';
COMMENT ON CONSTRAINT payments_account_id_order_id_fkey ON payments IS 'A payment pays an order of its own account.';
COMMENT ON CONSTRAINT payments_amount_is_chargeable ON payments IS 'A payment takes a positive amount that fits into one charge.';
COMMENT ON CONSTRAINT payments_settled_when_final ON payments IS 'A payment is final exactly when it was settled.';
COMMENT ON CONSTRAINT payments_succeeded_has_charge ON payments IS 'Nothing counts as paid without the charge that proves it.';
COMMENT ON CONSTRAINT payments_charge_has_intent ON payments IS 'A charge came out of the one intent that was stored before it was asked for.';
COMMENT ON CONSTRAINT payments_declined_has_code ON payments IS 'A payment is declined on evidence, never because an answer is missing.';
COMMENT ON CONSTRAINT payments_decline_belongs_to_decline ON payments IS 'A decline is noted while the intent is being cancelled, and stands only if it was.';
COMMENT ON CONSTRAINT payments_leased_only_while_open ON payments IS 'Nobody owns what is settled.';
COMMENT ON INDEX payments_account_id_id_key IS 'Lists an account''s payments by id, and lets other rows prove that they belong to the same account.';
COMMENT ON INDEX payments_gateway_intent_id_key IS 'One gateway intent belongs to one payment.';
COMMENT ON INDEX payments_order_id_id_idx IS 'Lists an order''s payments.';
COMMENT ON INDEX payments_one_live_per_order IS 'At most one payment of an order can hold, or come to hold, the customer''s money.';
COMMENT ON INDEX payments_to_recover IS 'Finds what recovery must look at, without reading what is settled.';

-- What was once settled stays so: evidence is not unlearned, and a second outcome for one payment would be a lie to somebody.
CREATE FUNCTION payments_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state IN ('succeeded', 'declined', 'cancelled') AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'payment % is final', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  IF NEW.generation < OLD.generation OR (OLD.gateway_intent_id IS NOT NULL AND NEW.gateway_intent_id IS DISTINCT FROM OLD.gateway_intent_id)
     OR (NEW.order_id, NEW.account_id, NEW.amount_minor, NEW.currency) IS DISTINCT FROM (OLD.order_id, OLD.account_id, OLD.amount_minor, OLD.currency) THEN
    RAISE EXCEPTION 'payment % cannot be rewritten', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER payments_final_stays_final BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION payments_final_stays_final();
COMMENT ON TRIGGER payments_final_stays_final ON payments IS 'A settled payment, its stored intent and its amount never change; a generation never goes back.';

-- A payment takes its order's amount, in its order's currency. A foreign key would need a fourth copy of both in an index.
CREATE FUNCTION payments_take_the_orders_amount() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM orders WHERE id = NEW.order_id AND amount_minor = NEW.amount_minor AND currency = NEW.currency;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'payment % differs from its order', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_take_the_orders_amount';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER payments_take_the_orders_amount BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION payments_take_the_orders_amount();
COMMENT ON TRIGGER payments_take_the_orders_amount ON payments IS 'A payment is for exactly what its order costs.';

CREATE TABLE payment_events (
  payment_id         uuid           NOT NULL,
  id                 bigserial      NOT NULL,
  at                 timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  event              text           NOT NULL,
  by                 text           NOT NULL,
  generation         integer        NOT NULL,
  gateway_request_id text,
  detail             text,
  CONSTRAINT payment_events_pkey PRIMARY KEY (payment_id, id),
  CONSTRAINT payment_events_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments (id) ON DELETE RESTRICT ON UPDATE RESTRICT
);
COMMENT ON TABLE payment_events IS 'The history of a payment, for the person who must follow it. Append only.';

-- Idempotency keys. --------------------------------------------------------------------------------------------------

CREATE TABLE idempotency_keys (
  account_id      uuid           NOT NULL,
  key             text           NOT NULL,
  fingerprint     bytea          NOT NULL,
  payment_id      uuid,
  answer_status   integer,
  answer_body     text,
  answer_location text,
  created_at      timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key),
  CONSTRAINT idempotency_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT idempotency_keys_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 255),
  CONSTRAINT idempotency_keys_fingerprint_length CHECK (octet_length(fingerprint) = 32),
  CONSTRAINT idempotency_keys_answer_is_whole CHECK ((answer_status IS NULL) = (answer_body IS NULL)),
  CONSTRAINT idempotency_keys_intent_or_answer CHECK (payment_id IS NOT NULL OR answer_status IS NOT NULL)
);
CREATE UNIQUE INDEX idempotency_keys_account_id_payment_id_key ON idempotency_keys (account_id, payment_id);

COMMENT ON TABLE idempotency_keys IS 'One key of one client: written in the commit of its claim, answered in the commit that settled it.';
COMMENT ON CONSTRAINT idempotency_keys_pkey ON idempotency_keys IS 'One key of an account starts one operation.';
COMMENT ON CONSTRAINT idempotency_keys_answer_is_whole ON idempotency_keys IS 'A key has a whole answer or none.';
COMMENT ON CONSTRAINT idempotency_keys_intent_or_answer ON idempotency_keys IS 'A key without an answer names the intent that will bring one.';
COMMENT ON INDEX idempotency_keys_account_id_payment_id_key IS 'A payment was started by one key, which gets its answer.';

-- A client that was told one thing must not be told another when it asks again.
CREATE FUNCTION idempotency_keys_answer_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.answer_status IS NOT NULL OR (NEW.account_id, NEW.key, NEW.fingerprint, NEW.payment_id) IS DISTINCT FROM (OLD.account_id, OLD.key, OLD.fingerprint, OLD.payment_id) THEN
    RAISE EXCEPTION 'idempotency key was answered' USING ERRCODE = 'check_violation', CONSTRAINT = 'idempotency_keys_answer_stays';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER idempotency_keys_answer_stays BEFORE UPDATE ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION idempotency_keys_answer_stays();
COMMENT ON TRIGGER idempotency_keys_answer_stays ON idempotency_keys IS 'A recorded answer never changes, nor what its key stands for.';

-- The ledger. --------------------------------------------------------------------------------------------------------

CREATE TABLE transfers (
  id             uuid           NOT NULL,
  payment_id     uuid           NOT NULL,
  kind           text           NOT NULL,
  debit_account  text           NOT NULL,
  credit_account text           NOT NULL,
  amount_minor   integer        NOT NULL,
  currency       char(3)        NOT NULL,
  created_at     timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT transfers_pkey PRIMARY KEY (id),
  CONSTRAINT transfers_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT transfers_amount_is_positive CHECK (amount_minor > 0),
  CONSTRAINT transfers_between_two_accounts CHECK (debit_account <> credit_account),
  CONSTRAINT transfers_kind_is_known CHECK (kind IN ('charge'))
);
CREATE UNIQUE INDEX transfers_payment_id_kind_key ON transfers (payment_id, kind);

COMMENT ON TABLE transfers IS 'The ledger: one row is one transfer between two accounts, so that it balances by construction. Append only.';
COMMENT ON CONSTRAINT transfers_amount_is_positive ON transfers IS 'The direction of money is in the accounts, never in a sign.';
COMMENT ON CONSTRAINT transfers_between_two_accounts ON transfers IS 'Money moves from one account to another.';
COMMENT ON CONSTRAINT transfers_kind_is_known ON transfers IS 'Every booking has a meaning that the reports know.';
COMMENT ON INDEX transfers_payment_id_kind_key IS 'A payment is booked once.';

-- What was booked or written down as history is corrected by a further row, never by a change.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER payment_events_append_only BEFORE UPDATE OR DELETE ON payment_events FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER transfers_never_emptied BEFORE TRUNCATE ON transfers EXECUTE FUNCTION append_only();
CREATE TRIGGER payment_events_never_emptied BEFORE TRUNCATE ON payment_events EXECUTE FUNCTION append_only();
COMMENT ON TRIGGER transfers_never_emptied ON transfers IS 'No booking is ever lost.';
COMMENT ON TRIGGER payment_events_never_emptied ON payment_events IS 'No history is ever lost.';
COMMENT ON TRIGGER transfers_append_only ON transfers IS 'A booking is never rewritten.';
COMMENT ON TRIGGER payment_events_append_only ON payment_events IS 'History is never rewritten.';
