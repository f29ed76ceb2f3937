-- The schema after all migrations, written from the catalog. Do not edit.

CREATE TYPE order_state AS ENUM ('pending', 'processing', 'paid', 'cancelled');

CREATE TYPE payment_state AS ENUM ('processing', 'succeeded', 'declined', 'cancelled', 'needs_review');

-- A merchant: who holds API keys and owns every other row.
CREATE TABLE accounts (
  id uuid NOT NULL,
  name text NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT accounts_pkey PRIMARY KEY (id)
);

-- Only hashes are stored: whoever reads this table cannot act for anybody.
CREATE TABLE api_keys (
  key_sha256 bytea NOT NULL,
  account_id uuid NOT NULL,
  name text NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  revoked_at timestamp(3) with time zone,
  CONSTRAINT api_keys_pkey PRIMARY KEY (key_sha256),
  CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- What is stored is a SHA-256, never a key.
  CONSTRAINT api_keys_hash_length CHECK ((octet_length(key_sha256) = 32))
);

-- One key of one client: written in the commit of its claim, answered in the commit that settled it.
CREATE TABLE idempotency_keys (
  account_id uuid NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  payment_id uuid,
  answer_status integer,
  answer_body text,
  answer_location text,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- One key of an account starts one operation.
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key),
  CONSTRAINT idempotency_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT idempotency_keys_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A key has a whole answer or none.
  CONSTRAINT idempotency_keys_answer_is_whole CHECK (((answer_status IS NULL) = (answer_body IS NULL))),
  CONSTRAINT idempotency_keys_fingerprint_length CHECK ((octet_length(fingerprint) = 32)),
  -- A key without an answer names the intent that will bring one.
  CONSTRAINT idempotency_keys_intent_or_answer CHECK (((payment_id IS NOT NULL) OR (answer_status IS NOT NULL))),
  CONSTRAINT idempotency_keys_key_length CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255)))
);
-- A payment was started by one key, which gets its answer.
CREATE UNIQUE INDEX idempotency_keys_account_id_payment_id_key ON public.idempotency_keys USING btree (account_id, payment_id);
-- A recorded answer never changes, nor what its key stands for.
CREATE TRIGGER idempotency_keys_answer_stays BEFORE UPDATE ON public.idempotency_keys FOR EACH ROW EXECUTE FUNCTION idempotency_keys_answer_stays();

-- What a customer owes, once.
CREATE TABLE orders (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  customer_id text NOT NULL,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  state order_state NOT NULL DEFAULT 'pending'::order_state,
  -- Grows by one with every change; a writer names the version it read and loses if it is gone.
  version integer NOT NULL DEFAULT 0,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT orders_pkey PRIMARY KEY (id),
  CONSTRAINT orders_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- An order is for a positive amount that the gateway takes in one charge.
  CONSTRAINT orders_amount_is_chargeable CHECK (((amount_minor >= 1) AND (amount_minor <= 99999999))),
  -- A currency is written in one way, so that amounts can be compared.
  CONSTRAINT orders_currency_is_a_code CHECK ((currency ~ '^[A-Z]{3}$'::text))
);
-- Lists an account's orders by id, and lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX orders_account_id_id_key ON public.orders USING btree (account_id, id);
-- Every change of an order is visible to whoever compares versions.
CREATE TRIGGER orders_version_grows BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION orders_version_grows();

-- The history of a payment, for the person who must follow it. Append only.
CREATE TABLE payment_events (
  payment_id uuid NOT NULL,
  id bigint NOT NULL DEFAULT nextval('payment_events_id_seq'::regclass),
  at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  event text NOT NULL,
  by text NOT NULL,
  generation integer NOT NULL,
  gateway_request_id text,
  detail text,
  CONSTRAINT payment_events_pkey PRIMARY KEY (payment_id, id),
  CONSTRAINT payment_events_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments(id) ON UPDATE RESTRICT ON DELETE RESTRICT
);
-- History is never rewritten.
CREATE TRIGGER payment_events_append_only BEFORE DELETE OR UPDATE ON public.payment_events FOR EACH ROW EXECUTE FUNCTION append_only();
-- No history is ever lost.
CREATE TRIGGER payment_events_never_emptied BEFORE TRUNCATE ON public.payment_events FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- One intent to take an order's money, written before the gateway hears of it.
CREATE TABLE payments (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  order_id uuid NOT NULL,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  payment_method text NOT NULL,
  state payment_state NOT NULL DEFAULT 'processing'::payment_state,
  decline_code text,
  -- Raised whenever the intent changes hands; who settles names the generation it claimed.
  generation integer NOT NULL DEFAULT 1,
  -- Until when the present owner may ask the gateway; null: nobody owns it and recovery looks at look_at.
  leased_until timestamp(3) with time zone,
  look_at timestamp(3) with time zone NOT NULL,
  looks integer NOT NULL DEFAULT 0,
  -- Until then recovery asks for the money; afterwards it makes sure that nobody can take it.
  wanted_until timestamp(3) with time zone NOT NULL,
  gateway_intent_id text,
  gateway_charge_id text,
  -- Exactly what was sent: the gateway compares the parameters of requests that carry the same key.
  intent_parameters jsonb NOT NULL,
  create_attempt integer NOT NULL DEFAULT 1,
  -- Number in the gateway's idempotency key; raised only after the gateway ended the request and its effect was seen to be absent.
  confirm_attempt integer NOT NULL DEFAULT 1,
  cancel_attempt integer NOT NULL DEFAULT 1,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  settled_at timestamp(3) with time zone,
  CONSTRAINT payments_pkey PRIMARY KEY (id),
  -- A payment pays an order of its own account.
  CONSTRAINT payments_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A payment takes a positive amount that fits into one charge.
  CONSTRAINT payments_amount_is_chargeable CHECK (((amount_minor >= 1) AND (amount_minor <= 99999999))),
  -- A charge came out of the one intent that was stored before it was asked for.
  CONSTRAINT payments_charge_has_intent CHECK (((gateway_charge_id IS NULL) OR (gateway_intent_id IS NOT NULL))),
  -- A decline is noted while the intent is being cancelled, and stands only if it was.
  CONSTRAINT payments_decline_belongs_to_decline CHECK (((decline_code IS NULL) OR (state = ANY (ARRAY['processing'::payment_state, 'needs_review'::payment_state, 'declined'::payment_state])))),
  -- A payment is declined on evidence, never because an answer is missing.
  CONSTRAINT payments_declined_has_code CHECK (((state <> 'declined'::payment_state) OR (decline_code IS NOT NULL))),
  -- Nobody owns what is settled.
  CONSTRAINT payments_leased_only_while_open CHECK (((leased_until IS NULL) OR (state = ANY (ARRAY['processing'::payment_state, 'needs_review'::payment_state])))),
  -- A payment is final exactly when it was settled.
  CONSTRAINT payments_settled_when_final CHECK (((state = ANY (ARRAY['succeeded'::payment_state, 'declined'::payment_state, 'cancelled'::payment_state])) = (settled_at IS NOT NULL))),
  -- Nothing counts as paid without the charge that proves it.
  CONSTRAINT payments_succeeded_has_charge CHECK (((state = 'succeeded'::payment_state) = (gateway_charge_id IS NOT NULL)))
);
-- Lists an account's payments by id, and lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX payments_account_id_id_key ON public.payments USING btree (account_id, id);
-- One gateway intent belongs to one payment.
CREATE UNIQUE INDEX payments_gateway_intent_id_key ON public.payments USING btree (gateway_intent_id);
-- At most one payment of an order can hold, or come to hold, the customer's money.
CREATE UNIQUE INDEX payments_one_live_per_order ON public.payments USING btree (order_id) WHERE (state = ANY (ARRAY['processing'::payment_state, 'succeeded'::payment_state, 'needs_review'::payment_state]));
-- Lists an order's payments.
CREATE INDEX payments_order_id_id_idx ON public.payments USING btree (order_id, id);
-- Finds what recovery must look at, without reading what is settled.
CREATE INDEX payments_to_recover ON public.payments USING btree (look_at) WHERE (state = ANY (ARRAY['processing'::payment_state, 'needs_review'::payment_state]));
-- A settled payment, its stored intent and its amount never change; a generation never goes back.
CREATE TRIGGER payments_final_stays_final BEFORE UPDATE ON public.payments FOR EACH ROW EXECUTE FUNCTION payments_final_stays_final();
-- A payment is for exactly what its order costs.
CREATE TRIGGER payments_take_the_orders_amount BEFORE INSERT ON public.payments FOR EACH ROW EXECUTE FUNCTION payments_take_the_orders_amount();

-- The ledger: one row is one transfer between two accounts, so that it balances by construction. Append only.
CREATE TABLE transfers (
  id uuid NOT NULL,
  payment_id uuid NOT NULL,
  kind text NOT NULL,
  debit_account text NOT NULL,
  credit_account text NOT NULL,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT transfers_pkey PRIMARY KEY (id),
  CONSTRAINT transfers_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- The direction of money is in the accounts, never in a sign.
  CONSTRAINT transfers_amount_is_positive CHECK ((amount_minor > 0)),
  -- Money moves from one account to another.
  CONSTRAINT transfers_between_two_accounts CHECK ((debit_account <> credit_account)),
  -- Every booking has a meaning that the reports know.
  CONSTRAINT transfers_kind_is_known CHECK ((kind = 'charge'::text))
);
-- A payment is booked once.
CREATE UNIQUE INDEX transfers_payment_id_kind_key ON public.transfers USING btree (payment_id, kind);
-- A booking is never rewritten.
CREATE TRIGGER transfers_append_only BEFORE DELETE OR UPDATE ON public.transfers FOR EACH ROW EXECUTE FUNCTION append_only();
-- No booking is ever lost.
CREATE TRIGGER transfers_never_emptied BEFORE TRUNCATE ON public.transfers FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE OR REPLACE FUNCTION public.append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $function$;

CREATE OR REPLACE FUNCTION public.idempotency_keys_answer_stays()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF OLD.answer_status IS NOT NULL OR (NEW.account_id, NEW.key, NEW.fingerprint, NEW.payment_id) IS DISTINCT FROM (OLD.account_id, OLD.key, OLD.fingerprint, OLD.payment_id) THEN
    RAISE EXCEPTION 'idempotency key was answered' USING ERRCODE = 'check_violation', CONSTRAINT = 'idempotency_keys_answer_stays';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.orders_version_grows()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF NEW.version <> OLD.version + 1 THEN
    RAISE EXCEPTION 'order % changed without the next version', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_version_grows';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.payments_final_stays_final()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF OLD.state IN ('succeeded', 'declined', 'cancelled') AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'payment % is final', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  IF NEW.generation < OLD.generation OR (OLD.gateway_intent_id IS NOT NULL AND NEW.gateway_intent_id IS DISTINCT FROM OLD.gateway_intent_id)
     OR (NEW.order_id, NEW.account_id, NEW.amount_minor, NEW.currency) IS DISTINCT FROM (OLD.order_id, OLD.account_id, OLD.amount_minor, OLD.currency) THEN
    RAISE EXCEPTION 'payment % cannot be rewritten', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.payments_take_the_orders_amount()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  PERFORM 1 FROM orders WHERE id = NEW.order_id AND amount_minor = NEW.amount_minor AND currency = NEW.currency;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'payment % differs from its order', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_take_the_orders_amount';
  END IF;
  RETURN NEW;
END $function$;
