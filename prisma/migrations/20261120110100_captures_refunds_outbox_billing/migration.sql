-- What happens without a request: captures, refunds, messages, billing, reconciliation.

CREATE TYPE refund_state AS ENUM ('processing', 'pending', 'succeeded', 'failed', 'needs_review');
CREATE TYPE subscription_state AS ENUM ('active', 'past_due', 'cancelled');
CREATE TYPE invoice_state AS ENUM ('open', 'paid', 'uncollectible');

-- Orders. ------------------------------------------------------------------------------------------------------------

ALTER TABLE orders
  ADD COLUMN purpose       text NOT NULL DEFAULT 'merchant',
  ADD COLUMN receipt_email text,
  ADD CONSTRAINT orders_purpose_is_known CHECK (purpose IN ('merchant', 'invoice')),
  ADD CONSTRAINT orders_receipt_email_length CHECK (char_length(receipt_email) BETWEEN 3 AND 254);
COMMENT ON COLUMN orders.purpose IS 'What made the order, which alone pays and cancels it.';
COMMENT ON CONSTRAINT orders_purpose_is_known ON orders IS 'Whoever settles an order knows what else belongs into that commit.';

-- Payments: authorized first, captured or voided later; refunded in parts. ---------------------------------------------

ALTER TABLE payments
  ADD COLUMN goal                 text           NOT NULL DEFAULT 'charge',
  ADD COLUMN capture_attempt      integer        NOT NULL DEFAULT 1,
  ADD COLUMN authorized_at        timestamptz(3),
  ADD COLUMN void_at              timestamptz(3),
  ADD COLUMN step_started_at      timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  ADD COLUMN hinted               boolean        NOT NULL DEFAULT false,
  ADD COLUMN refunded_minor       integer        NOT NULL DEFAULT 0,
  ADD COLUMN refund_pending_minor integer        NOT NULL DEFAULT 0,
  ADD COLUMN declined_by          text,
  DROP CONSTRAINT payments_settled_when_final,
  DROP CONSTRAINT payments_decline_belongs_to_decline,
  DROP CONSTRAINT payments_leased_only_while_open,
  ADD CONSTRAINT payments_settled_when_final CHECK ((state IN ('succeeded', 'declined', 'cancelled', 'voided')) = (settled_at IS NOT NULL)),
  ADD CONSTRAINT payments_decline_belongs_to_decline CHECK (decline_code IS NULL OR state IN ('processing', 'capturing', 'voiding', 'needs_review', 'declined', 'voided')),
  ADD CONSTRAINT payments_declined_by_somebody CHECK (declined_by IS NULL OR (declined_by IN ('bank', 'gateway') AND decline_code IS NOT NULL)),
  ADD CONSTRAINT payments_leased_only_while_open CHECK (leased_until IS NULL OR state IN ('processing', 'capturing', 'voiding', 'needs_review')),
  ADD CONSTRAINT payments_goal_fits_state CHECK (CASE state
    WHEN 'processing' THEN goal IN ('charge', 'authorize')
    WHEN 'authorized' THEN goal = 'authorize'
    WHEN 'capturing' THEN goal = 'capture'
    WHEN 'voiding' THEN goal = 'void'
    ELSE goal IN ('charge', 'authorize', 'capture', 'void') END),
  ADD CONSTRAINT payments_authorized_has_intent CHECK (state NOT IN ('authorized', 'capturing', 'voiding', 'voided')
    OR (gateway_intent_id IS NOT NULL AND authorized_at IS NOT NULL AND void_at IS NOT NULL)),
  ADD CONSTRAINT payments_refunds_within_payment CHECK (refunded_minor >= 0 AND refund_pending_minor >= 0
    AND refunded_minor + refund_pending_minor <= CASE WHEN state = 'succeeded' THEN amount_minor ELSE 0 END);

-- What is open already has been so since it was claimed; what is final never changes.
UPDATE payments SET step_started_at = created_at WHERE settled_at IS NULL;

DROP INDEX payments_one_live_per_order;
DROP INDEX payments_to_recover;
CREATE UNIQUE INDEX payments_one_live_per_order ON payments (order_id)
  WHERE state IN ('processing', 'authorized', 'capturing', 'voiding', 'succeeded', 'needs_review');
CREATE INDEX payments_to_recover ON payments (look_at) WHERE state IN ('processing', 'capturing', 'voiding', 'needs_review');
CREATE INDEX payments_account_id_state_id_idx ON payments (account_id, state, id);
CREATE INDEX payments_to_void ON payments (void_at) WHERE state = 'authorized';

COMMENT ON COLUMN payments.goal IS 'What the owner is to reach. It outlives needs_review, so that recovery knows what it was about.';
COMMENT ON COLUMN payments.authorized_at IS 'When the gateway held the amount on the card for us; it lapses there after days.';
COMMENT ON COLUMN payments.void_at IS 'When recovery gives back what nobody captured, well before the gateway lets it lapse.';
COMMENT ON COLUMN payments.step_started_at IS 'When the present step was claimed: how long it has been open is counted from here.';
COMMENT ON COLUMN payments.hinted IS 'The gateway told of news while an owner was at work: recovery looks as soon as that owner gives up.';
COMMENT ON COLUMN payments.declined_by IS 'The bank, or the gateway where it refused our request: that says nothing of the card, and nobody counts it against it.';
COMMENT ON COLUMN payments.refunded_minor IS 'What went back to the customer.';
COMMENT ON COLUMN payments.refund_pending_minor IS 'What refunds under way have reserved, so that two of them cannot promise the same money.';
COMMENT ON CONSTRAINT payments_settled_when_final ON payments IS 'A payment is final exactly when it was settled.';
COMMENT ON CONSTRAINT payments_decline_belongs_to_decline ON payments IS 'A refusal is noted while the intent is being cancelled, and stands only if it was.';
COMMENT ON CONSTRAINT payments_declined_by_somebody ON payments IS 'Who refused is known only of what was refused.';
COMMENT ON CONSTRAINT payments_leased_only_while_open ON payments IS 'Nobody owns what is settled, nor what waits for the merchant''s decision.';
COMMENT ON CONSTRAINT payments_goal_fits_state ON payments IS 'A payment is on its way to one thing: capturing and voiding exclude each other.';
COMMENT ON CONSTRAINT payments_authorized_has_intent ON payments IS 'Only what the gateway holds on a card can be captured or voided.';
COMMENT ON CONSTRAINT payments_refunds_within_payment ON payments IS 'Refunds, those under way included, never exceed what was taken.';
COMMENT ON INDEX payments_one_live_per_order IS 'At most one payment of an order can hold, or come to hold, the customer''s money.';
COMMENT ON INDEX payments_to_recover IS 'Finds what recovery must look at, without reading what is settled.';
COMMENT ON INDEX payments_account_id_state_id_idx IS 'Lists an account''s payments in one state, such as the few that wait for a person.';
COMMENT ON INDEX payments_to_void IS 'Finds the authorizations that nobody captured in time.';

CREATE OR REPLACE FUNCTION payments_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  but_for_refunds payments := NEW;
BEGIN
  -- Refunds move these two of a payment that is final; payments_refunds_within_payment keeps them honest.
  but_for_refunds.refunded_minor := OLD.refunded_minor;
  but_for_refunds.refund_pending_minor := OLD.refund_pending_minor;
  IF OLD.state IN ('succeeded', 'declined', 'cancelled', 'voided') AND but_for_refunds IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'payment % is final', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  IF NEW.generation < OLD.generation OR (OLD.gateway_intent_id IS NOT NULL AND NEW.gateway_intent_id IS DISTINCT FROM OLD.gateway_intent_id)
     OR (NEW.order_id, NEW.account_id, NEW.amount_minor, NEW.currency) IS DISTINCT FROM (OLD.order_id, OLD.account_id, OLD.amount_minor, OLD.currency) THEN
    RAISE EXCEPTION 'payment % cannot be rewritten', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_final_stays_final';
  END IF;
  RETURN NEW;
END $$;

-- Refunds. -----------------------------------------------------------------------------------------------------------

CREATE TABLE refunds (
  id                uuid           NOT NULL,
  account_id        uuid           NOT NULL,
  order_id          uuid           NOT NULL,
  payment_id        uuid,
  origin            text           NOT NULL DEFAULT 'merchant',
  amount_minor      integer        NOT NULL,
  currency          char(3)        NOT NULL,
  reason            text,
  state             refund_state   NOT NULL DEFAULT 'processing',
  failure_code      text,
  generation        integer        NOT NULL DEFAULT 1,
  leased_until      timestamptz(3),
  look_at           timestamptz(3) NOT NULL,
  looks             integer        NOT NULL DEFAULT 0,
  gateway_intent_id text           NOT NULL,
  gateway_charge_id text           NOT NULL,
  gateway_refund_id text,
  refund_attempt    integer        NOT NULL DEFAULT 1,
  attempt_since     timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  hinted            boolean        NOT NULL DEFAULT false,
  created_at        timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  settled_at        timestamptz(3),
  reversed_at       timestamptz(3),
  CONSTRAINT refunds_pkey PRIMARY KEY (id),
  CONSTRAINT refunds_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT refunds_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT refunds_amount_is_positive CHECK (amount_minor BETWEEN 1 AND 99999999),
  CONSTRAINT refunds_origin_is_known CHECK (origin IN ('merchant', 'reconciliation')),
  CONSTRAINT refunds_merchants_name_payment CHECK ((origin = 'merchant') = (payment_id IS NOT NULL)),
  CONSTRAINT refunds_settled_when_final CHECK ((state IN ('succeeded', 'failed')) = (settled_at IS NOT NULL)),
  CONSTRAINT refunds_succeeded_has_evidence CHECK (state <> 'succeeded' OR gateway_refund_id IS NOT NULL),
  CONSTRAINT refunds_failed_has_code CHECK ((state = 'failed') = (failure_code IS NOT NULL)),
  CONSTRAINT refunds_reversed_has_failed CHECK (reversed_at IS NULL OR state = 'failed'),
  CONSTRAINT refunds_leased_only_while_open CHECK (leased_until IS NULL OR state IN ('processing', 'pending', 'needs_review')),
  CONSTRAINT refunds_pending_has_evidence CHECK (state <> 'pending' OR gateway_refund_id IS NOT NULL)
);
CREATE UNIQUE INDEX refunds_account_id_id_key ON refunds (account_id, id);
CREATE UNIQUE INDEX refunds_gateway_refund_id_key ON refunds (gateway_refund_id);
CREATE INDEX refunds_payment_id_id_idx ON refunds (payment_id, id);
CREATE INDEX refunds_account_id_state_id_idx ON refunds (account_id, state, id);
CREATE INDEX refunds_order_id_idx ON refunds (order_id);
CREATE UNIQUE INDEX refunds_one_repair_per_charge ON refunds (gateway_charge_id) WHERE origin = 'reconciliation';
CREATE INDEX refunds_to_recover ON refunds (look_at) WHERE state IN ('processing', 'pending', 'needs_review');

COMMENT ON TABLE refunds IS 'One intent to give money back, written before the gateway hears of it.';
COMMENT ON COLUMN refunds.payment_id IS 'Null for a repair: the charge that it gives back never belonged to a payment that stands.';
COMMENT ON COLUMN refunds.refund_attempt IS 'Number in the gateway''s idempotency key; raised only after the gateway ended the request and its effect was seen to be absent.';
COMMENT ON COLUMN refunds.attempt_since IS 'Since when that number has been in use. The gateway forgets keys after a day: asking again later could refund twice.';
COMMENT ON COLUMN refunds.reversed_at IS 'When a refund that had succeeded failed after all, as the customer''s bank may decide days later.';
COMMENT ON CONSTRAINT refunds_account_id_order_id_fkey ON refunds IS 'A refund belongs to an order of its own account.';
COMMENT ON CONSTRAINT refunds_account_id_payment_id_fkey ON refunds IS 'A refund belongs to a payment of its own account.';
COMMENT ON CONSTRAINT refunds_amount_is_positive ON refunds IS 'A refund gives back a positive amount.';
COMMENT ON CONSTRAINT refunds_origin_is_known ON refunds IS 'A merchant asked for it, or reconciliation repairs.';
COMMENT ON CONSTRAINT refunds_merchants_name_payment ON refunds IS 'What a merchant gives back was reserved on one payment; a repair has none.';
COMMENT ON CONSTRAINT refunds_settled_when_final ON refunds IS 'A refund is final exactly when it was settled.';
COMMENT ON CONSTRAINT refunds_succeeded_has_evidence ON refunds IS 'Nothing counts as refunded without the gateway''s refund that proves it.';
COMMENT ON CONSTRAINT refunds_pending_has_evidence ON refunds IS 'Only the gateway can say that the bank takes its time.';
COMMENT ON CONSTRAINT refunds_failed_has_code ON refunds IS 'A refund fails on evidence, never because an answer is missing.';
COMMENT ON CONSTRAINT refunds_reversed_has_failed ON refunds IS 'Only a refund that failed was taken back.';
COMMENT ON CONSTRAINT refunds_leased_only_while_open ON refunds IS 'Nobody owns what is settled.';
COMMENT ON INDEX refunds_account_id_id_key IS 'Lets other rows prove that they belong to the same account.';
COMMENT ON INDEX refunds_gateway_refund_id_key IS 'One refund of the gateway belongs to one refund of ours.';
COMMENT ON INDEX refunds_account_id_state_id_idx IS 'Lists an account''s refunds in one state, such as the few that wait for a person.';
COMMENT ON INDEX refunds_payment_id_id_idx IS 'Lists a payment''s refunds.';
COMMENT ON INDEX refunds_order_id_idx IS 'Tells whether an order''s money is on its way back.';
COMMENT ON INDEX refunds_one_repair_per_charge IS 'Reconciliation gives a charge back once, however often and wherever it runs.';
COMMENT ON INDEX refunds_to_recover IS 'Finds what recovery must look at, without reading what is settled.';

CREATE FUNCTION refunds_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state = 'failed' OR (OLD.state = 'succeeded' AND (NEW.state <> 'failed' OR NEW.reversed_at IS NULL))) AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'refund % is final', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_final_stays_final';
  END IF;
  IF NEW.generation < OLD.generation OR (OLD.gateway_refund_id IS NOT NULL AND NEW.gateway_refund_id IS DISTINCT FROM OLD.gateway_refund_id)
     OR (NEW.payment_id, NEW.order_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.origin, NEW.gateway_charge_id)
        IS DISTINCT FROM (OLD.payment_id, OLD.order_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.origin, OLD.gateway_charge_id) THEN
    RAISE EXCEPTION 'refund % cannot be rewritten', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_final_stays_final';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refunds_final_stays_final BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION refunds_final_stays_final();
COMMENT ON TRIGGER refunds_final_stays_final ON refunds IS 'A refund never changes what it gives back; one that succeeded can only be taken back by the bank, once.';

ALTER TABLE payment_events
  ADD COLUMN refund_id uuid,
  ADD CONSTRAINT payment_events_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds (id) ON DELETE RESTRICT ON UPDATE RESTRICT;
COMMENT ON COLUMN payment_events.refund_id IS 'The refund of this payment that the line is about.';

-- Keys of further steps. -----------------------------------------------------------------------------------------------

ALTER TABLE idempotency_keys
  ADD COLUMN step      text NOT NULL DEFAULT 'pay',
  ADD COLUMN refund_id uuid,
  ADD COLUMN answered_at timestamptz(3),
  ADD CONSTRAINT idempotency_keys_account_id_refund_id_fkey FOREIGN KEY (account_id, refund_id) REFERENCES refunds (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  DROP CONSTRAINT idempotency_keys_intent_or_answer,
  ADD CONSTRAINT idempotency_keys_intent_or_answer CHECK (payment_id IS NOT NULL OR refund_id IS NOT NULL OR answer_status IS NOT NULL),
  ADD CONSTRAINT idempotency_keys_step_is_known CHECK (CASE step
    WHEN 'pay' THEN refund_id IS NULL
    WHEN 'capture' THEN payment_id IS NOT NULL AND refund_id IS NULL
    WHEN 'void' THEN payment_id IS NOT NULL AND refund_id IS NULL
    WHEN 'refund' THEN payment_id IS NULL AND refund_id IS NOT NULL
    ELSE false END);
ALTER TABLE idempotency_keys DISABLE TRIGGER idempotency_keys_answer_stays;
UPDATE idempotency_keys SET answered_at = CURRENT_TIMESTAMP WHERE answer_status IS NOT NULL;
ALTER TABLE idempotency_keys ENABLE TRIGGER idempotency_keys_answer_stays;
ALTER TABLE idempotency_keys
  ALTER COLUMN answered_at SET DEFAULT clock_timestamp(),
  DROP CONSTRAINT idempotency_keys_answer_is_whole,
  ADD CONSTRAINT idempotency_keys_answer_is_whole CHECK ((answer_status IS NULL) = (answer_body IS NULL) AND (answer_status IS NULL) = (answered_at IS NULL));
COMMENT ON CONSTRAINT idempotency_keys_answer_is_whole ON idempotency_keys IS 'A key has a whole answer or none.';
COMMENT ON COLUMN idempotency_keys.answered_at IS 'A key is kept for a day after this, not after it came: a client may have been asking all the while.';
CREATE INDEX idempotency_keys_to_purge ON idempotency_keys (answered_at) WHERE answered_at IS NOT NULL;
COMMENT ON INDEX idempotency_keys_to_purge IS 'Finds the keys that were answered long ago; one without an answer is never forgotten.';
DROP INDEX idempotency_keys_account_id_payment_id_key;
CREATE UNIQUE INDEX idempotency_keys_account_id_payment_id_step_key ON idempotency_keys (account_id, payment_id, step);
CREATE UNIQUE INDEX idempotency_keys_account_id_refund_id_key ON idempotency_keys (account_id, refund_id);
COMMENT ON COLUMN idempotency_keys.step IS 'Which step of its intent the key started.';
COMMENT ON CONSTRAINT idempotency_keys_intent_or_answer ON idempotency_keys IS 'A key without an answer names the intent that will bring one.';
COMMENT ON CONSTRAINT idempotency_keys_step_is_known ON idempotency_keys IS 'A key started one step of one intent, or none at all.';
COMMENT ON INDEX idempotency_keys_account_id_payment_id_step_key IS 'A step of a payment was started by one key, which gets its answer.';
COMMENT ON INDEX idempotency_keys_account_id_refund_id_key IS 'A refund was started by one key, which gets its answer.';

CREATE OR REPLACE FUNCTION idempotency_keys_answer_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.answer_status IS NOT NULL OR (NEW.account_id, NEW.key, NEW.fingerprint, NEW.payment_id, NEW.refund_id, NEW.step)
     IS DISTINCT FROM (OLD.account_id, OLD.key, OLD.fingerprint, OLD.payment_id, OLD.refund_id, OLD.step) THEN
    RAISE EXCEPTION 'idempotency key was answered' USING ERRCODE = 'check_violation', CONSTRAINT = 'idempotency_keys_answer_stays';
  END IF;
  RETURN NEW;
END $$;

-- Bookings of refunds. -------------------------------------------------------------------------------------------------

ALTER TABLE transfers
  ADD COLUMN refund_id uuid,
  ADD CONSTRAINT transfers_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  DROP CONSTRAINT transfers_kind_is_known,
  ADD CONSTRAINT transfers_kind_is_known CHECK (CASE kind
    WHEN 'charge' THEN refund_id IS NULL
    WHEN 'refund' THEN refund_id IS NOT NULL
    WHEN 'refund_reversal' THEN refund_id IS NOT NULL
    ELSE false END);
DROP INDEX transfers_payment_id_kind_key;
CREATE UNIQUE INDEX transfers_one_charge_per_payment ON transfers (payment_id) WHERE kind = 'charge';
CREATE UNIQUE INDEX transfers_refund_id_kind_key ON transfers (refund_id, kind);
CREATE INDEX transfers_payment_id_idx ON transfers (payment_id);
COMMENT ON CONSTRAINT transfers_kind_is_known ON transfers IS 'Every booking has a meaning that the reports know, and names what it books.';
COMMENT ON INDEX transfers_one_charge_per_payment IS 'A payment is booked once.';
COMMENT ON INDEX transfers_refund_id_kind_key IS 'A refund is booked once, and taken back once.';
COMMENT ON INDEX transfers_payment_id_idx IS 'Lists what was booked for a payment.';

-- Messages out. --------------------------------------------------------------------------------------------------------

CREATE TABLE outbox (
  id           uuid           NOT NULL,
  account_id   uuid           NOT NULL,
  channel      text           NOT NULL,
  topic        text           NOT NULL,
  subject_id   uuid           NOT NULL,
  recipient    text,
  payload      jsonb          NOT NULL,
  created_at   timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  look_at      timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  attempts     integer        NOT NULL DEFAULT 0,
  generation   integer        NOT NULL DEFAULT 0,
  leased_until timestamptz(3),
  published_at timestamptz(3),
  dead_at      timestamptz(3),
  last_error   text,
  CONSTRAINT outbox_pkey PRIMARY KEY (id),
  CONSTRAINT outbox_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT outbox_channel_is_known CHECK (CASE channel WHEN 'receipt' THEN recipient IS NOT NULL WHEN 'webhook' THEN recipient IS NULL ELSE false END),
  CONSTRAINT outbox_ends_once CHECK (published_at IS NULL OR dead_at IS NULL),
  CONSTRAINT outbox_leased_only_while_open CHECK (leased_until IS NULL OR (published_at IS NULL AND dead_at IS NULL))
);
CREATE UNIQUE INDEX outbox_one_message_per_fact ON outbox (subject_id, topic, channel);
CREATE INDEX outbox_to_send ON outbox (channel, look_at) WHERE published_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_webhooks ON outbox (account_id, id) WHERE channel = 'webhook';
CREATE INDEX outbox_dead ON outbox (account_id, id) WHERE dead_at IS NOT NULL;
CREATE INDEX outbox_to_purge ON outbox (published_at) WHERE published_at IS NOT NULL;
COMMENT ON TABLE outbox IS 'What must be told to somebody outside, written in the commit that made it true.';
COMMENT ON COLUMN outbox.id IS 'Also the message''s id outside: a copy that a crash may cause can be known for one.';
COMMENT ON COLUMN outbox.recipient IS 'A mail address; a webhook goes to the endpoint that the account has when it is sent.';
COMMENT ON CONSTRAINT outbox_channel_is_known ON outbox IS 'A receipt has somebody to go to.';
COMMENT ON CONSTRAINT outbox_ends_once ON outbox IS 'A message was sent, or given up, or neither.';
COMMENT ON CONSTRAINT outbox_leased_only_while_open ON outbox IS 'Nobody sends what was sent.';
COMMENT ON INDEX outbox_one_message_per_fact IS 'One fact is told once on each channel, whoever settles it.';
COMMENT ON INDEX outbox_to_send IS 'Finds what is to be sent by its state, never by "id greater than the last": commits are not in the order of ids. Each channel has its own: what cannot be sent on one is not in the way of the other.';
COMMENT ON INDEX outbox_webhooks IS 'Lists an account''s deliveries.';
COMMENT ON INDEX outbox_dead IS 'Lists an account''s messages that were given up.';
COMMENT ON INDEX outbox_to_purge IS 'Finds what is old enough to be forgotten.';

CREATE TABLE webhook_endpoints (
  account_id      uuid           NOT NULL,
  url             text           NOT NULL,
  secret          text           NOT NULL,
  previous_secret text,
  created_at      timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at      timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (account_id),
  CONSTRAINT webhook_endpoints_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT webhook_endpoints_url_length CHECK (char_length(url) BETWEEN 1 AND 2048)
);
COMMENT ON TABLE webhook_endpoints IS 'Where an account hears of what happened. One each: a second listener can be put behind it.';
COMMENT ON COLUMN webhook_endpoints.secret IS 'Signs what is sent. It must be had in clear to sign, so this table is as secret as the secrets in it.';
COMMENT ON COLUMN webhook_endpoints.previous_secret IS 'Signs as well while the receiver changes over.';

-- Messages in. ---------------------------------------------------------------------------------------------------------

CREATE TABLE gateway_events (
  id          text           NOT NULL,
  type        text           NOT NULL,
  payment_id  uuid,
  refund_id   uuid,
  result      text           NOT NULL,
  received_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT gateway_events_pkey PRIMARY KEY (id),
  CONSTRAINT gateway_events_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT gateway_events_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT gateway_events_id_length CHECK (char_length(id) BETWEEN 1 AND 255),
  CONSTRAINT gateway_events_result_is_known CHECK (result IN ('applied', 'noted', 'ignored'))
);
CREATE INDEX gateway_events_received_at_idx ON gateway_events (received_at);
COMMENT ON TABLE gateway_events IS 'The gateway''s events that we have heard, each written in the commit of what it caused.';
COMMENT ON CONSTRAINT gateway_events_pkey ON gateway_events IS 'An event has its effect once, however often it is delivered.';
COMMENT ON CONSTRAINT gateway_events_result_is_known ON gateway_events IS 'It settled something, made recovery look, or was none of ours.';
COMMENT ON INDEX gateway_events_received_at_idx IS 'Finds what is old enough to be forgotten.';

-- Billing. -------------------------------------------------------------------------------------------------------------

CREATE TABLE subscriptions (
  id                  uuid               NOT NULL,
  account_id          uuid               NOT NULL,
  customer_id         text               NOT NULL,
  gateway_customer_id text               NOT NULL,
  payment_method      text               NOT NULL,
  receipt_email       text,
  amount_minor        integer            NOT NULL,
  currency            char(3)            NOT NULL,
  interval_unit       text               NOT NULL,
  interval_count      integer            NOT NULL,
  time_zone           text               NOT NULL,
  anchor              timestamp(0)       NOT NULL,
  state               subscription_state NOT NULL DEFAULT 'active',
  next_period         integer            NOT NULL DEFAULT 0,
  next_due_at         timestamptz(3)     NOT NULL,
  version             integer            NOT NULL DEFAULT 0,
  created_at          timestamptz(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT subscriptions_pkey PRIMARY KEY (id),
  CONSTRAINT subscriptions_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT subscriptions_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 99999999),
  CONSTRAINT subscriptions_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
  CONSTRAINT subscriptions_interval_is_possible CHECK (interval_count BETWEEN 1 AND CASE interval_unit WHEN 'day' THEN 365 WHEN 'week' THEN 156 WHEN 'month' THEN 36 WHEN 'year' THEN 3 ELSE 0 END),
  CONSTRAINT subscriptions_period_counts_up CHECK (next_period >= 0)
);
CREATE UNIQUE INDEX subscriptions_account_id_id_key ON subscriptions (account_id, id);
CREATE INDEX subscriptions_due ON subscriptions (next_due_at) WHERE state = 'active';
COMMENT ON TABLE subscriptions IS 'What a customer agreed to be charged again and again.';
COMMENT ON COLUMN subscriptions.anchor IS 'The moment of period 0 as a clock on the wall of time_zone shows it: every period is counted from here, so that no rounding adds up.';
COMMENT ON COLUMN subscriptions.next_period IS 'The first period without an invoice.';
COMMENT ON COLUMN subscriptions.version IS 'Grows by one with every change; a writer names the version it read and loses if it is gone.';
COMMENT ON CONSTRAINT subscriptions_amount_is_chargeable ON subscriptions IS 'A period costs a positive amount that the gateway takes in one charge.';
COMMENT ON CONSTRAINT subscriptions_currency_is_a_code ON subscriptions IS 'A currency is written in one way, so that amounts can be compared.';
COMMENT ON CONSTRAINT subscriptions_interval_is_possible ON subscriptions IS 'Time goes on from period to period, and none is longer than the gateway''s own subscriptions know.';
COMMENT ON CONSTRAINT subscriptions_period_counts_up ON subscriptions IS 'Periods are counted from the anchor.';
COMMENT ON INDEX subscriptions_account_id_id_key IS 'Lists an account''s subscriptions by id, and lets other rows prove that they belong to the same account.';
COMMENT ON INDEX subscriptions_due IS 'Finds what the billing run must invoice.';

CREATE TABLE invoices (
  id              uuid           NOT NULL,
  account_id      uuid           NOT NULL,
  subscription_id uuid           NOT NULL,
  period          integer        NOT NULL,
  due_at          timestamptz(3) NOT NULL,
  order_id        uuid           NOT NULL,
  state           invoice_state  NOT NULL DEFAULT 'open',
  declines        integer        NOT NULL DEFAULT 0,
  tries           integer        NOT NULL DEFAULT 0,
  next_try_at     timestamptz(3) NOT NULL,
  created_at      timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  settled_at      timestamptz(3),
  CONSTRAINT invoices_pkey PRIMARY KEY (id),
  CONSTRAINT invoices_account_id_subscription_id_fkey FOREIGN KEY (account_id, subscription_id) REFERENCES subscriptions (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT invoices_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT invoices_settled_when_final CHECK ((state = 'open') = (settled_at IS NULL)),
  CONSTRAINT invoices_three_declines CHECK (declines BETWEEN 0 AND 3)
);
CREATE UNIQUE INDEX invoices_one_per_period ON invoices (subscription_id, period);
CREATE UNIQUE INDEX invoices_one_open_per_subscription ON invoices (subscription_id) WHERE state = 'open';
CREATE UNIQUE INDEX invoices_order_id_key ON invoices (order_id);
CREATE INDEX invoices_due ON invoices (next_try_at) WHERE state = 'open';
COMMENT ON TABLE invoices IS 'One period of one subscription, and the order that collects it.';
COMMENT ON COLUMN invoices.tries IS 'Grows with every charge that is started; who starts the next one names the number it read.';
COMMENT ON CONSTRAINT invoices_account_id_subscription_id_fkey ON invoices IS 'An invoice belongs to a subscription of its own account.';
COMMENT ON CONSTRAINT invoices_account_id_order_id_fkey ON invoices IS 'An invoice is collected by an order of its own account.';
COMMENT ON CONSTRAINT invoices_settled_when_final ON invoices IS 'An invoice is final exactly when it was settled.';
COMMENT ON CONSTRAINT invoices_three_declines ON invoices IS 'After three declines nobody tries any more.';
COMMENT ON INDEX invoices_one_per_period IS 'A period is invoiced once, however many servers start the run.';
COMMENT ON INDEX invoices_one_open_per_subscription IS 'A period waits until the one before it is final.';
COMMENT ON INDEX invoices_order_id_key IS 'An order collects one invoice.';
COMMENT ON INDEX invoices_due IS 'Finds what the billing run must charge.';

CREATE TABLE lock_fences (
  resource text   NOT NULL,
  token    bigint NOT NULL,
  CONSTRAINT lock_fences_pkey PRIMARY KEY (resource),
  CONSTRAINT lock_fences_token_grows CHECK (token > 0)
);
COMMENT ON TABLE lock_fences IS 'The latest fence of each led resource. One row a resource, for ever: a counter that is deleted would begin again.';
COMMENT ON CONSTRAINT lock_fences_token_grows ON lock_fences IS 'A fence is counted from one upwards.';

CREATE TABLE billing_runs (
  hour         timestamptz(0) NOT NULL,
  fence        bigint         NOT NULL,
  led_by       text           NOT NULL,
  started_at   timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  finished_at  timestamptz(3),
  invoiced     integer        NOT NULL DEFAULT 0,
  charged      integer        NOT NULL DEFAULT 0,
  declined     integer        NOT NULL DEFAULT 0,
  CONSTRAINT billing_runs_pkey PRIMARY KEY (hour)
);
COMMENT ON TABLE billing_runs IS 'What each hour''s billing run did, and who led it last.';
COMMENT ON CONSTRAINT billing_runs_pkey ON billing_runs IS 'An hour is billed by one run, however many servers start it.';

-- Reconciliation. ------------------------------------------------------------------------------------------------------

CREATE TABLE reconciliation_runs (
  id            uuid           NOT NULL,
  mode          text           NOT NULL,
  window_from   timestamptz(3) NOT NULL,
  window_to     timestamptz(3) NOT NULL,
  stage         text           NOT NULL DEFAULT 'charges',
  cursor        text,
  charges_seen  integer        NOT NULL DEFAULT 0,
  refunds_seen  integer        NOT NULL DEFAULT 0,
  payments_read integer        NOT NULL DEFAULT 0,
  refunds_read  integer        NOT NULL DEFAULT 0,
  left_open     integer        NOT NULL DEFAULT 0,
  generation    integer        NOT NULL DEFAULT 1,
  leased_until  timestamptz(3),
  by            text           NOT NULL,
  started_at    timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  finished_at   timestamptz(3),
  CONSTRAINT reconciliation_runs_pkey PRIMARY KEY (id),
  CONSTRAINT reconciliation_runs_mode_is_known CHECK (mode IN ('report', 'act')),
  CONSTRAINT reconciliation_runs_stage_is_known CHECK (stage IN ('charges', 'refunds', 'our-payments', 'our-refunds', 'act', 'done')),
  CONSTRAINT reconciliation_runs_done_is_finished CHECK (stage <> 'done' OR finished_at IS NOT NULL),
  CONSTRAINT reconciliation_runs_leased_only_while_open CHECK (leased_until IS NULL OR finished_at IS NULL),
  CONSTRAINT reconciliation_runs_window_is_a_window CHECK (window_from < window_to)
);
CREATE UNIQUE INDEX reconciliation_runs_one_unfinished ON reconciliation_runs ((finished_at IS NULL)) WHERE finished_at IS NULL;
COMMENT ON TABLE reconciliation_runs IS 'A comparison of the gateway''s list with our books, page by page, which a stopped process goes on with.';
COMMENT ON COLUMN reconciliation_runs.stage IS 'What is being read, or acted upon; a run that is finished in another stage than done was given up.';
COMMENT ON COLUMN reconciliation_runs.cursor IS 'Behind which the next page of the stage begins.';
COMMENT ON COLUMN reconciliation_runs.left_open IS 'What could not be judged, because somebody is still at work on it.';
COMMENT ON COLUMN reconciliation_runs.generation IS 'Raised whenever the run changes hands; who writes a page names the generation it claimed.';
COMMENT ON CONSTRAINT reconciliation_runs_mode_is_known ON reconciliation_runs IS 'A run reports, or was told to act.';
COMMENT ON CONSTRAINT reconciliation_runs_stage_is_known ON reconciliation_runs IS 'The gateway''s lists are read before our books, and nothing is done before all was read.';
COMMENT ON CONSTRAINT reconciliation_runs_done_is_finished ON reconciliation_runs IS 'A run that has done all has ended.';
COMMENT ON CONSTRAINT reconciliation_runs_leased_only_while_open ON reconciliation_runs IS 'Nobody owns what has ended.';
COMMENT ON CONSTRAINT reconciliation_runs_window_is_a_window ON reconciliation_runs IS 'What is compared begins before it ends.';
COMMENT ON INDEX reconciliation_runs_one_unfinished IS 'One comparison at a time, however many are started.';

CREATE TABLE reconciliation_sightings (
  run_id     uuid NOT NULL,
  gateway_id text NOT NULL,
  CONSTRAINT reconciliation_sightings_pkey PRIMARY KEY (run_id, gateway_id),
  CONSTRAINT reconciliation_sightings_run_id_fkey FOREIGN KEY (run_id) REFERENCES reconciliation_runs (id) ON DELETE CASCADE ON UPDATE RESTRICT
);
COMMENT ON TABLE reconciliation_sightings IS 'Charges and refunds that the gateway''s lists showed to a run, kept until the run ends: what our books have and these lack is asked for one by one.';
COMMENT ON CONSTRAINT reconciliation_sightings_pkey ON reconciliation_sightings IS 'A thing is seen or it is not.';

CREATE TABLE reconciliation_findings (
  id                   uuid           NOT NULL,
  run_id               uuid           NOT NULL,
  kind                 text           NOT NULL,
  account_id           uuid,
  order_id             uuid,
  payment_id           uuid,
  refund_id            uuid,
  gateway_intent_id    text,
  gateway_charge_id    text,
  gateway_refund_id    text,
  gateway_amount_minor integer,
  books_amount_minor   integer,
  currency             char(3),
  action               text           NOT NULL,
  outcome              text,
  detail               text,
  found_at             timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT reconciliation_findings_pkey PRIMARY KEY (id),
  CONSTRAINT reconciliation_findings_run_id_fkey FOREIGN KEY (run_id) REFERENCES reconciliation_runs (id) ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT reconciliation_findings_action_is_known CHECK (action IN ('adopt', 'refund', 'cancel-intent', 'reverse-refund', 'person')),
  CONSTRAINT reconciliation_findings_outcome_is_known CHECK (outcome IN ('done', 'under-way', 'gone', 'left', 'person'))
);
CREATE INDEX reconciliation_findings_run_id_id_idx ON reconciliation_findings (run_id, id);
COMMENT ON TABLE reconciliation_findings IS 'Each difference between the gateway''s list and our books, and what was done about it.';
COMMENT ON COLUMN reconciliation_findings.action IS 'What would put it right.';
COMMENT ON COLUMN reconciliation_findings.outcome IS 'What came of that; null: it was not tried.';
COMMENT ON CONSTRAINT reconciliation_findings_action_is_known ON reconciliation_findings IS 'Anything else than these is for a person.';
COMMENT ON CONSTRAINT reconciliation_findings_outcome_is_known ON reconciliation_findings IS 'It was put right, or is on its way, or was no longer there, or must wait, or is for a person after all.';
COMMENT ON INDEX reconciliation_findings_run_id_id_idx IS 'Lists what a run found.';
