-- The schema after all migrations, written from the catalog. Do not edit.

CREATE TYPE booking_state AS ENUM ('pending', 'confirmed', 'cancelling', 'cancelled');

CREATE TYPE hold_state AS ENUM ('active', 'checking_out', 'booked', 'released', 'expired');

CREATE TYPE invoice_state AS ENUM ('open', 'paid', 'uncollectible');

CREATE TYPE order_state AS ENUM ('pending', 'processing', 'paid', 'cancelled', 'partially_refunded', 'refunded');

CREATE TYPE payment_state AS ENUM ('processing', 'succeeded', 'declined', 'cancelled', 'needs_review', 'authorized', 'capturing', 'voiding', 'voided');

CREATE TYPE refund_state AS ENUM ('processing', 'pending', 'succeeded', 'failed', 'needs_review');

CREATE TYPE subscription_state AS ENUM ('active', 'past_due', 'cancelled', 'paused');

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

-- What each hour's billing run did, and who led it last.
CREATE TABLE billing_runs (
  hour timestamp(0) with time zone NOT NULL,
  fence bigint NOT NULL,
  led_by text NOT NULL,
  started_at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamp(3) with time zone,
  invoiced integer NOT NULL DEFAULT 0,
  charged integer NOT NULL DEFAULT 0,
  declined integer NOT NULL DEFAULT 0,
  -- An hour is billed by one run, however many servers start it.
  CONSTRAINT billing_runs_pkey PRIMARY KEY (hour)
);

-- Every booking that a seat ever had. Claims are deleted, these rows stay.
CREATE TABLE booked_seats (
  booking_id uuid NOT NULL,
  seat_id uuid NOT NULL,
  released_at timestamp(3) with time zone,
  account_id uuid NOT NULL,
  CONSTRAINT booked_seats_pkey PRIMARY KEY (booking_id, seat_id),
  CONSTRAINT booked_seats_account_id_booking_id_fkey FOREIGN KEY (account_id, booking_id) REFERENCES bookings(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT booked_seats_seat_id_fkey FOREIGN KEY (seat_id) REFERENCES seats(id) ON UPDATE RESTRICT ON DELETE RESTRICT
);
-- A seat has one booking at a time; the twin of seat_claims_pkey.
CREATE UNIQUE INDEX bookings_one_per_seat ON public.booked_seats USING btree (seat_id) WHERE (released_at IS NULL);

-- What a hold became when its payment was authorized; it stands once the money was taken. What it is of stands in its hold.
CREATE TABLE bookings (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  event_id uuid NOT NULL,
  customer_id text NOT NULL,
  hold_id uuid NOT NULL,
  order_id uuid NOT NULL,
  payment_id uuid NOT NULL,
  -- The refund of the latest cancellation.
  refund_id uuid,
  state booking_state NOT NULL DEFAULT 'pending'::booking_state,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  confirmed_at timestamp(3) with time zone,
  cancelled_at timestamp(3) with time zone,
  CONSTRAINT bookings_pkey PRIMARY KEY (id),
  CONSTRAINT bookings_account_id_event_id_fkey FOREIGN KEY (account_id, event_id) REFERENCES events(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT bookings_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT bookings_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT bookings_account_id_refund_id_fkey FOREIGN KEY (account_id, refund_id) REFERENCES refunds(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT bookings_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES holds(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A booking is cancelled exactly when it has a time for it.
  CONSTRAINT bookings_cancelled_has_time CHECK (((state = 'cancelled'::booking_state) = (cancelled_at IS NOT NULL))),
  -- Whoever finds a booking that is being cancelled finds the refund that will end it.
  CONSTRAINT bookings_cancelling_has_refund CHECK (((state <> 'cancelling'::booking_state) OR (refund_id IS NOT NULL))),
  -- A booking is confirmed by the money.
  CONSTRAINT bookings_confirmed_when_paid CHECK (((state <> ALL (ARRAY['confirmed'::booking_state, 'cancelling'::booking_state])) OR (confirmed_at IS NOT NULL)))
);
-- Finds a booking for its account alone.
CREATE UNIQUE INDEX bookings_account_id_id_key ON public.bookings USING btree (account_id, id);
-- A hold is booked once.
CREATE UNIQUE INDEX bookings_hold_id_key ON public.bookings USING btree (hold_id);
-- Counts what a customer has bought of an event.
CREATE INDEX bookings_of_customer ON public.bookings USING btree (event_id, customer_id) WHERE (state <> 'cancelled'::booking_state);
-- An order pays one booking.
CREATE UNIQUE INDEX bookings_order_id_key ON public.bookings USING btree (order_id);
-- A payment pays one booking.
CREATE UNIQUE INDEX bookings_payment_id_key ON public.bookings USING btree (payment_id);
-- A refund belongs to one cancellation.
CREATE UNIQUE INDEX bookings_refund_id_key ON public.bookings USING btree (refund_id);
-- A cancelled booking stays so, one that was paid never waits for its money again, and what a booking is of never changes.
CREATE TRIGGER bookings_final_stays_final BEFORE UPDATE ON public.bookings FOR EACH ROW EXECUTE FUNCTION bookings_final_stays_final();

-- What the gateway shows of each dispute. Its history stands in payment_events, its money in transfers.
CREATE TABLE disputes (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  payment_id uuid NOT NULL,
  gateway_dispute_id text NOT NULL,
  state text NOT NULL,
  -- In the gateway's own words; the state follows from it.
  gateway_status text NOT NULL,
  -- Of the customer, in the gateway's words.
  reason text NOT NULL,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  -- The amount that the gateway withdrew for it so far. It never shrinks.
  withdrawn_minor integer NOT NULL DEFAULT 0,
  -- The amount that the gateway reinstated of that so far. It never shrinks.
  reinstated_minor integer NOT NULL DEFAULT 0,
  -- Until when the merchant can answer it. Null: there is nothing to answer.
  respond_by timestamp(3) with time zone,
  -- By the gateway's clock.
  opened_at timestamp(3) with time zone NOT NULL,
  -- When the gateway showed this status. What it showed before that changes no status, however late it arrives.
  seen_at timestamp(3) with time zone NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT disputes_pkey PRIMARY KEY (id),
  CONSTRAINT disputes_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- The gateway reinstates no more than it withdrew. The amount may differ from the payment's.
  CONSTRAINT disputes_amounts_are_possible CHECK (((amount_minor >= 0) AND (reinstated_minor >= 0) AND (reinstated_minor <= withdrawn_minor))),
  -- An inquiry has withdrawn nothing and allows refunds. An open dispute allows none. The others have ended.
  CONSTRAINT disputes_state_is_known CHECK ((state = ANY (ARRAY['inquiry'::text, 'open'::text, 'won'::text, 'lost'::text, 'closed'::text])))
);
-- A dispute is recorded once, however often it is shown.
CREATE UNIQUE INDEX disputes_gateway_dispute_id_key ON public.disputes USING btree (gateway_dispute_id);
-- Lists the disputes of a payment.
CREATE INDEX disputes_payment_id_idx ON public.disputes USING btree (payment_id);
-- A dispute keeps its payment and currency, and older news take back neither money nor status.
CREATE TRIGGER disputes_only_go_forward BEFORE UPDATE ON public.disputes FOR EACH ROW EXECUTE FUNCTION disputes_only_go_forward();

-- A part of the hall, with one price for each of its seats.
CREATE TABLE event_sections (
  id uuid NOT NULL,
  event_id uuid NOT NULL,
  "position" integer NOT NULL,
  name text NOT NULL,
  price_minor integer NOT NULL,
  account_id uuid NOT NULL,
  CONSTRAINT event_sections_pkey PRIMARY KEY (id),
  CONSTRAINT event_sections_account_id_event_id_fkey FOREIGN KEY (account_id, event_id) REFERENCES events(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- Ten seats at the highest price fit into one charge.
  CONSTRAINT event_sections_price_is_chargeable CHECK (((price_minor >= 1) AND (price_minor <= 99999999)))
);
-- Lets a seat prove that its section belongs to its event.
CREATE UNIQUE INDEX event_sections_event_id_id_key ON public.event_sections USING btree (event_id, id);
-- Lists an event's sections in the order of its plan.
CREATE UNIQUE INDEX event_sections_event_id_position_key ON public.event_sections USING btree (event_id, "position");

-- What an account sells seats for. Its sections, seats, tiers and prices do not change once it is there.
CREATE TABLE events (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  name text NOT NULL,
  currency character(3) NOT NULL,
  sale_opens_at timestamp(3) with time zone NOT NULL,
  sale_closes_at timestamp(3) with time zone NOT NULL,
  -- How many seats and places one customer may hold at once. What is booked does not count.
  seats_per_customer integer NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- How many seats and places one customer may have in all: held, and booked without being cancelled. Null: no limit.
  seats_per_customer_in_all integer,
  CONSTRAINT events_pkey PRIMARY KEY (id),
  CONSTRAINT events_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A currency is written in one way, so that amounts can be compared.
  CONSTRAINT events_currency_is_a_code CHECK ((currency ~ '^[A-Z]{3}$'::text)),
  -- A sale that closes before it opens sells nothing.
  CONSTRAINT events_sale_has_a_length CHECK ((sale_opens_at < sale_closes_at)),
  -- A limit leaves at least one seat.
  CONSTRAINT events_somebody_may_buy CHECK (((seats_per_customer_in_all >= 1) AND (seats_per_customer_in_all <= 1000))),
  -- Nobody empties a hall, and somebody can buy.
  CONSTRAINT events_somebody_may_hold CHECK (((seats_per_customer >= 1) AND (seats_per_customer <= 100)))
);
-- Lists an account's events by id, and lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX events_account_id_id_key ON public.events USING btree (account_id, id);

-- The customers at the gateway that each account may charge while they are away. A subscription charges no other.
CREATE TABLE gateway_customers (
  gateway_customer_id text NOT NULL,
  account_id uuid NOT NULL,
  -- The merchant's own name for the customer.
  customer_id text NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- A customer at the gateway belongs to one account.
  CONSTRAINT gateway_customers_pkey PRIMARY KEY (gateway_customer_id),
  CONSTRAINT gateway_customers_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT gateway_customers_id_length CHECK (((char_length(gateway_customer_id) >= 1) AND (char_length(gateway_customer_id) <= 255)))
);
-- What was proven once is never rewritten: charges were made upon it.
CREATE TRIGGER gateway_customers_owner_stays BEFORE UPDATE ON public.gateway_customers FOR EACH ROW EXECUTE FUNCTION gateway_customers_owner_stays();

-- The gateway's events that we received, each written in the commit of what it caused.
CREATE TABLE gateway_events (
  id text NOT NULL,
  type text NOT NULL,
  payment_id uuid,
  refund_id uuid,
  result text NOT NULL,
  received_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- Null: the event was about no payment or refund of ours.
  account_id uuid,
  -- An event has its effect once, however often it is delivered.
  CONSTRAINT gateway_events_pkey PRIMARY KEY (id),
  CONSTRAINT gateway_events_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT gateway_events_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT gateway_events_id_length CHECK (((char_length(id) >= 1) AND (char_length(id) <= 255))),
  -- An event settled something, made recovery start, or was about nothing of ours.
  CONSTRAINT gateway_events_result_is_known CHECK ((result = ANY (ARRAY['applied'::text, 'noted'::text, 'ignored'::text])))
);
-- Finds what is old enough to be forgotten.
CREATE INDEX gateway_events_received_at_idx ON public.gateway_events USING btree (received_at);

-- What a customer has set aside for a while, at the price of that moment: seats, or places of a tier.
CREATE TABLE holds (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  event_id uuid NOT NULL,
  customer_id text NOT NULL,
  state hold_state NOT NULL DEFAULT 'active'::hold_state,
  seat_ids uuid[],
  tier_id uuid,
  quantity integer NOT NULL,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  -- For seats a copy: their claims decide. For places this row decides.
  expires_at timestamp(3) with time zone NOT NULL,
  extended boolean NOT NULL DEFAULT false,
  checkouts integer NOT NULL DEFAULT 0,
  -- The order of the latest checkout.
  order_id uuid,
  -- How much time the hold had left when its checkout began; it has that again when the checkout comes to nothing.
  left_ms integer,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- The references of its checkouts' orders come from it. Null: its id.
  gateway_reference text,
  -- When it was released, or its time was over. Null: it goes on, was booked, or ended under an earlier version.
  ended_at timestamp(3) with time zone,
  CONSTRAINT holds_pkey PRIMARY KEY (id),
  CONSTRAINT holds_account_id_event_id_fkey FOREIGN KEY (account_id, event_id) REFERENCES events(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT holds_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT holds_event_id_tier_id_fkey FOREIGN KEY (event_id, tier_id) REFERENCES tiers(event_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- What is held can be paid with one charge.
  CONSTRAINT holds_amount_is_chargeable CHECK (((amount_minor >= 1) AND (amount_minor <= 999999999))),
  -- Whoever finds a hold that is being checked out finds the payment that will end it.
  CONSTRAINT holds_checked_out_by_an_order CHECK (((state <> ALL (ARRAY['checking_out'::hold_state, 'booked'::hold_state])) OR (order_id IS NOT NULL))),
  -- Only a hold that was not paid for ends.
  CONSTRAINT holds_ended_without_payment CHECK (((ended_at IS NULL) OR (state = ANY (ARRAY['released'::hold_state, 'expired'::hold_state])))),
  -- A hold is of seats or of places, never of both.
  CONSTRAINT holds_of_seats_or_places CHECK ((((seat_ids IS NULL) <> (tier_id IS NULL)) AND ((seat_ids IS NULL) OR (cardinality(seat_ids) = quantity)))),
  -- One request locks a bounded number of rows.
  CONSTRAINT holds_quantity_is_bounded CHECK (((quantity >= 1) AND (quantity <= 10))),
  -- Nobody keeps seats by trying one card after the other.
  CONSTRAINT holds_three_checkouts CHECK ((((checkouts >= 0) AND (checkouts <= 3)) AND ((checkouts = 0) = (order_id IS NULL)))),
  -- The clock of a hold stands still while it is being paid.
  CONSTRAINT holds_time_left_while_checking_out CHECK ((((state = 'checking_out'::hold_state) = (left_ms IS NOT NULL)) AND (left_ms >= 0)))
);
-- Finds the checkouts that are under way, of which some may be overdue.
CREATE INDEX holds_being_paid ON public.holds USING btree (order_id) WHERE (state = 'checking_out'::hold_state);
-- Finds the seats that a customer let go a short time ago.
CREATE INDEX holds_ended_of_customer ON public.holds USING btree (event_id, customer_id, ended_at) WHERE (ended_at IS NOT NULL);
-- One use of a creation key makes one hold.
CREATE UNIQUE INDEX holds_gateway_reference_key ON public.holds USING btree (gateway_reference);
-- Counts what a customer holds.
CREATE INDEX holds_of_customer ON public.holds USING btree (event_id, customer_id) WHERE (state = ANY (ARRAY['active'::hold_state, 'checking_out'::hold_state]));
-- Finds what of one tier has lapsed, before it is called sold out.
CREATE INDEX holds_of_tier_to_expire ON public.holds USING btree (tier_id, expires_at) WHERE ((state = 'active'::hold_state) AND (tier_id IS NOT NULL));
-- An order pays one hold.
CREATE UNIQUE INDEX holds_order_id_key ON public.holds USING btree (order_id);
-- Finds what has lapsed.
CREATE INDEX holds_to_expire ON public.holds USING btree (expires_at) WHERE (state = 'active'::hold_state);
-- A hold that ended stays so, what it is of and its price never change, and one that is being paid for keeps its order.
CREATE TRIGGER holds_final_stays_final BEFORE UPDATE ON public.holds FOR EACH ROW EXECUTE FUNCTION holds_final_stays_final();

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
  -- The step of its target that the key started.
  step text NOT NULL DEFAULT 'pay'::text,
  refund_id uuid,
  -- A key is kept for a day after this, not after it came: a client may have been asking all the while.
  answered_at timestamp(3) with time zone DEFAULT clock_timestamp(),
  -- One key of an account starts one operation.
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key),
  CONSTRAINT idempotency_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT idempotency_keys_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT idempotency_keys_account_id_refund_id_fkey FOREIGN KEY (account_id, refund_id) REFERENCES refunds(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A key has a whole answer or none.
  CONSTRAINT idempotency_keys_answer_is_whole CHECK ((((answer_status IS NULL) = (answer_body IS NULL)) AND ((answer_status IS NULL) = (answered_at IS NULL)))),
  CONSTRAINT idempotency_keys_fingerprint_length CHECK ((octet_length(fingerprint) = 32)),
  CONSTRAINT idempotency_keys_key_length CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255))),
  -- A key started one step of one payment or refund, or none at all.
  CONSTRAINT idempotency_keys_step_is_known CHECK (
CASE step
    WHEN 'pay'::text THEN (refund_id IS NULL)
    WHEN 'checkout'::text THEN ((payment_id IS NOT NULL) AND (refund_id IS NULL))
    WHEN 'capture'::text THEN ((payment_id IS NOT NULL) AND (refund_id IS NULL))
    WHEN 'void'::text THEN ((payment_id IS NOT NULL) AND (refund_id IS NULL))
    WHEN 'withdraw'::text THEN ((payment_id IS NOT NULL) AND (refund_id IS NULL))
    WHEN 'refund'::text THEN ((payment_id IS NULL) AND (refund_id IS NOT NULL))
    ELSE false
END),
  -- A key without an answer names the payment or refund that will bring one.
  CONSTRAINT idempotency_keys_target_or_answer CHECK (((payment_id IS NOT NULL) OR (refund_id IS NOT NULL) OR (answer_status IS NOT NULL)))
);
-- A step of a payment was started by one key, which gets its answer. Any number of keys may withdraw a payment.
CREATE UNIQUE INDEX idempotency_keys_account_id_payment_id_step_key ON public.idempotency_keys USING btree (account_id, payment_id, step, (
CASE step
    WHEN 'withdraw'::text THEN key
    ELSE ''::text
END));
-- A refund was started by one key, which gets its answer.
CREATE UNIQUE INDEX idempotency_keys_account_id_refund_id_key ON public.idempotency_keys USING btree (account_id, refund_id);
-- Finds the keys that were answered long ago; one without an answer is never forgotten.
CREATE INDEX idempotency_keys_to_purge ON public.idempotency_keys USING btree (answered_at) WHERE (answered_at IS NOT NULL);
-- A recorded answer never changes. A key changes its target only from a refund that failed to another of its payment.
CREATE TRIGGER idempotency_keys_answer_stays BEFORE UPDATE ON public.idempotency_keys FOR EACH ROW EXECUTE FUNCTION idempotency_keys_answer_stays();

-- One period of one subscription, and the order that collects it.
CREATE TABLE invoices (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  subscription_id uuid NOT NULL,
  period integer NOT NULL,
  due_at timestamp(3) with time zone NOT NULL,
  order_id uuid NOT NULL,
  state invoice_state NOT NULL DEFAULT 'open'::invoice_state,
  declines integer NOT NULL DEFAULT 0,
  -- Grows with every charge that is started; who starts the next one names the number it read.
  tries integer NOT NULL DEFAULT 0,
  -- The billing run tries then. Null: no run tries any more, and the merchant must ask for it.
  next_try_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  settled_at timestamp(3) with time zone,
  -- Tries that came to nothing without a bank's word on the card. They space the next tries.
  refusals integer NOT NULL DEFAULT 0,
  CONSTRAINT invoices_pkey PRIMARY KEY (id),
  -- An invoice is collected by an order of its own account.
  CONSTRAINT invoices_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- An invoice belongs to a subscription of its own account.
  CONSTRAINT invoices_account_id_subscription_id_fkey FOREIGN KEY (account_id, subscription_id) REFERENCES subscriptions(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- What the gateway refuses again and again is not retried for ever.
  CONSTRAINT invoices_refusals_are_bounded CHECK (((refusals >= 0) AND (refusals <= 6))),
  -- An invoice is final exactly when it was settled.
  CONSTRAINT invoices_settled_when_final CHECK (((state = 'open'::invoice_state) = (settled_at IS NULL))),
  -- After three declines nobody tries any more.
  CONSTRAINT invoices_three_declines CHECK (((declines >= 0) AND (declines <= 3)))
);
-- Finds what the billing run must charge.
CREATE INDEX invoices_due ON public.invoices USING btree (next_try_at) WHERE (state = 'open'::invoice_state);
-- A period waits until the one before it is final.
CREATE UNIQUE INDEX invoices_one_open_per_subscription ON public.invoices USING btree (subscription_id) WHERE (state = 'open'::invoice_state);
-- A period is invoiced once, however many servers start the run.
CREATE UNIQUE INDEX invoices_one_per_period ON public.invoices USING btree (subscription_id, period);
-- An order collects one invoice.
CREATE UNIQUE INDEX invoices_order_id_key ON public.invoices USING btree (order_id);

-- The latest fence of each led resource. One row a resource, for ever: a counter that is deleted would begin again.
CREATE TABLE lock_fences (
  resource text NOT NULL,
  token bigint NOT NULL,
  CONSTRAINT lock_fences_pkey PRIMARY KEY (resource),
  -- A fence is counted from one upwards.
  CONSTRAINT lock_fences_token_grows CHECK ((token > 0))
);

-- Each action of an operator, written before it is done. What a merchant may see of it stands in the history.
CREATE TABLE operator_actions (
  id uuid NOT NULL,
  at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  reason text NOT NULL,
  action text NOT NULL,
  -- The payment, refund, message or run that the action is about. Null: it is about several.
  subject_id uuid,
  -- The output of the command. Null: the command did not end.
  outcome text,
  CONSTRAINT operator_actions_pkey PRIMARY KEY (id),
  -- An action names the person and the reason.
  CONSTRAINT operator_actions_says_who_and_why CHECK (((btrim(actor) <> ''::text) AND (btrim(reason) <> ''::text)))
);
-- Lists what operators did about one payment, refund or message.
CREATE INDEX operator_actions_subject_id_idx ON public.operator_actions USING btree (subject_id, id);
-- An action is never rewritten, and ends once.
CREATE TRIGGER operator_actions_are_kept BEFORE DELETE OR UPDATE ON public.operator_actions FOR EACH ROW EXECUTE FUNCTION operator_actions_are_kept();
-- No action is ever lost.
CREATE TRIGGER operator_actions_never_emptied BEFORE TRUNCATE ON public.operator_actions FOR EACH STATEMENT EXECUTE FUNCTION append_only();

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
  -- What made the order, which alone pays and cancels it.
  purpose text NOT NULL DEFAULT 'merchant'::text,
  receipt_email text,
  -- The order's name at the gateway, from the key and the account that asked for it. Null: its id.
  gateway_reference text,
  CONSTRAINT orders_pkey PRIMARY KEY (id),
  CONSTRAINT orders_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- An order is for a positive amount that the gateway takes in one charge.
  CONSTRAINT orders_amount_is_chargeable CHECK (((amount_minor >= 1) AND (amount_minor <= 999999999))),
  -- A currency is written in one way, so that amounts can be compared.
  CONSTRAINT orders_currency_is_a_code CHECK ((currency ~ '^[A-Z]{3}$'::text)),
  -- The code that settles an order finds by its purpose what else belongs into that commit.
  CONSTRAINT orders_purpose_is_known CHECK ((purpose = ANY (ARRAY['merchant'::text, 'invoice'::text, 'checkout'::text]))),
  CONSTRAINT orders_receipt_email_length CHECK (((char_length(receipt_email) >= 3) AND (char_length(receipt_email) <= 254)))
);
-- Lists an account's orders by id, and lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX orders_account_id_id_key ON public.orders USING btree (account_id, id);
-- One use of a creation key makes one order, and a gateway's event finds it.
CREATE UNIQUE INDEX orders_gateway_reference_key ON public.orders USING btree (gateway_reference);
-- A step that is repeated meets the same intent at the gateway: what its key comes from never changes.
CREATE TRIGGER orders_gateway_reference_stays BEFORE UPDATE OF gateway_reference ON public.orders FOR EACH ROW WHEN ((old.gateway_reference IS DISTINCT FROM new.gateway_reference)) EXECUTE FUNCTION orders_gateway_reference_stays();
-- Each change of an order shows in its version, so that compare-and-set finds it.
CREATE TRIGGER orders_version_grows BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION orders_version_grows();

-- Payments and refunds at the gateway that our books do not have, because commits were lost. An open one blocks new payments and refunds of its order.
CREATE TABLE orphans (
  id uuid NOT NULL,
  kind text NOT NULL,
  account_id uuid,
  -- Our order, where it is there. Not a foreign key: it may be lost as well.
  order_id uuid,
  -- The order as the gateway names it.
  order_reference text,
  -- The payment or refund as the gateway names it.
  gateway_key text,
  gateway_intent_id text,
  gateway_refund_id text,
  amount_minor integer,
  currency character(3),
  -- Until then the gateway shows this very payment to a creation with its name, so that a repetition meets it.
  key_known_until timestamp(3) with time zone,
  -- The state that the gateway showed.
  seen text NOT NULL,
  -- Why it could not be entered into the books.
  why text NOT NULL,
  found_by text NOT NULL,
  found_at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamp(3) with time zone,
  resolution text,
  -- The person who decided.
  resolved_by text,
  resolution_reason text,
  -- Since then a person returns its money, so no payment may meet it. Null: nobody does.
  refund_claimed_at timestamp(3) with time zone,
  -- A person names an orphan by its id.
  CONSTRAINT orphans_pkey PRIMARY KEY (id),
  -- An orphan can be found at the gateway.
  CONSTRAINT orphans_is_named CHECK ((COALESCE(gateway_refund_id, gateway_intent_id, gateway_key) IS NOT NULL)),
  -- Money that was taken, or money that was returned.
  CONSTRAINT orphans_kind_is_known CHECK ((kind = ANY (ARRAY['payment'::text, 'refund'::text]))),
  -- A person entered it into the books, returned its money, cancelled its intent, or dismissed it.
  CONSTRAINT orphans_resolution_is_known CHECK ((resolution = ANY (ARRAY['adopted'::text, 'refunded'::text, 'cancelled'::text, 'dismissed'::text]))),
  -- Each resolution has a time, a name and a reason.
  CONSTRAINT orphans_resolved_as_a_whole CHECK ((((resolved_at IS NULL) = (resolution IS NULL)) AND ((resolved_at IS NULL) = (resolved_by IS NULL)) AND ((resolved_at IS NULL) = (resolution_reason IS NULL))))
);
-- A checkout asks for orphans only where its account has any.
CREATE INDEX orphans_by_account ON public.orphans USING btree (account_id);
-- Finds what blocks an order, and the names that it must not use again.
CREATE INDEX orphans_by_order ON public.orphans USING btree (order_id);
-- The same for an order that was lost and made again.
CREATE INDEX orphans_by_reference ON public.orphans USING btree (order_reference);
-- The same news, however often it comes, makes one orphan.
CREATE UNIQUE INDEX orphans_one_each ON public.orphans USING btree (kind, COALESCE(gateway_refund_id,
CASE kind
    WHEN 'refund'::text THEN gateway_key
    ELSE gateway_intent_id
END, gateway_key)) WHERE (resolved_at IS NULL);

-- Messages to receivers outside, each written in the commit that made it true.
CREATE TABLE outbox (
  -- Also the message's id outside: a copy that a crash may cause can be known for one.
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  channel text NOT NULL,
  topic text NOT NULL,
  subject_id uuid NOT NULL,
  -- A mail address; a webhook goes to the endpoint that the account has when it is sent.
  recipient text,
  payload jsonb NOT NULL,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  next_attempt_at timestamp(3) with time zone NOT NULL DEFAULT date_trunc('milliseconds'::text, clock_timestamp()),
  attempts integer NOT NULL DEFAULT 0,
  generation integer NOT NULL DEFAULT 0,
  leased_until timestamp(3) with time zone,
  published_at timestamp(3) with time zone,
  dead_at timestamp(3) with time zone,
  last_error text,
  CONSTRAINT outbox_pkey PRIMARY KEY (id),
  CONSTRAINT outbox_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A receipt has a recipient. A webhook goes to the endpoint of the account.
  CONSTRAINT outbox_channel_is_known CHECK (
CASE channel
    WHEN 'receipt'::text THEN (recipient IS NOT NULL)
    WHEN 'webhook'::text THEN (recipient IS NULL)
    ELSE false
END),
  -- A message was sent, or given up, or neither.
  CONSTRAINT outbox_ends_once CHECK (((published_at IS NULL) OR (dead_at IS NULL))),
  -- A message that was sent or given up has no owner.
  CONSTRAINT outbox_leased_only_while_open CHECK (((leased_until IS NULL) OR ((published_at IS NULL) AND (dead_at IS NULL))))
);
-- Lists an account's messages that were given up.
CREATE INDEX outbox_dead ON public.outbox USING btree (account_id, id) WHERE (dead_at IS NOT NULL);
-- A fact is published once on each channel.
CREATE UNIQUE INDEX outbox_one_message_per_fact ON public.outbox USING btree (subject_id, topic, channel);
-- Finds what is old enough to be forgotten.
CREATE INDEX outbox_to_purge ON public.outbox USING btree (published_at) WHERE (published_at IS NOT NULL);
-- Finds what is to be sent by its state, never by "id greater than the last": commits are not in the order of ids. Each channel has its own: what cannot be sent on one is not in the way of the other.
CREATE INDEX outbox_to_send ON public.outbox USING btree (channel, next_attempt_at) WHERE ((published_at IS NULL) AND (dead_at IS NULL));
-- Lists an account's deliveries.
CREATE INDEX outbox_webhooks ON public.outbox USING btree (account_id, id) WHERE (channel = 'webhook'::text);

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
  -- The refund of this payment that the line is about.
  refund_id uuid,
  account_id uuid NOT NULL,
  -- The person who decided this. Null: the system did.
  actor text,
  -- Why the gateway rejected the request, in its own words. For operators: no answer carries it.
  gateway_message text,
  CONSTRAINT payment_events_pkey PRIMARY KEY (payment_id, id),
  CONSTRAINT payment_events_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT payment_events_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds(id) ON UPDATE RESTRICT ON DELETE RESTRICT
);
-- History is never rewritten.
CREATE TRIGGER payment_events_append_only BEFORE DELETE OR UPDATE ON public.payment_events FOR EACH ROW EXECUTE FUNCTION append_only();
-- No history is ever lost.
CREATE TRIGGER payment_events_never_emptied BEFORE TRUNCATE ON public.payment_events FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- One attempt to collect an order's money, written before the gateway is asked.
CREATE TABLE payments (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  order_id uuid NOT NULL,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  payment_method text NOT NULL,
  state payment_state NOT NULL DEFAULT 'processing'::payment_state,
  decline_code text,
  -- Raised at each takeover. A write of an owner names the generation that it claimed.
  generation integer NOT NULL DEFAULT 1,
  -- Until when the owner may ask the gateway. Null: the payment has no owner, and recovery takes it when it is due.
  leased_until timestamp(3) with time zone,
  -- When recovery may take the payment over, if its lease is over by then.
  next_attempt_at timestamp(3) with time zone NOT NULL,
  -- How often recovery has tried this step without an outcome. It spaces the next tries.
  attempts integer NOT NULL DEFAULT 0,
  -- Until then recovery asks for the money; afterwards it cancels the intent.
  abandon_after timestamp(3) with time zone NOT NULL,
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
  -- What the owner is to reach. It outlives needs_review, so that recovery knows what it was about.
  goal text NOT NULL DEFAULT 'charge'::text,
  capture_attempt integer NOT NULL DEFAULT 1,
  -- When the gateway held the amount on the card for us; it lapses there after days.
  authorized_at timestamp(3) with time zone,
  -- When recovery voids an authorization that was not captured, well before the gateway lets it lapse.
  void_at timestamp(3) with time zone,
  -- When the present step was claimed: how long it has been open is counted from here.
  step_started_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- The gateway sent an event while an owner was at work: recovery starts as soon as that owner gives up.
  wake_requested boolean NOT NULL DEFAULT false,
  -- What went back to the customer.
  refunded_minor integer NOT NULL DEFAULT 0,
  -- What refunds under way have reserved, so that two of them cannot promise the same money.
  refund_pending_minor integer NOT NULL DEFAULT 0,
  -- The bank; or the gateway, which then asked no card, because of the payment method or because of our own request.
  declined_by text,
  -- The attempt that acts under this generation. An owner whose COMMIT was not answered finds itself here.
  owner uuid,
  -- The payment's name at the gateway and the first part of its keys: from the order's reference and the payment's number. Null: the id of the payment.
  gateway_key text,
  -- What was taken, where it was less than the amount. Null: all of it, if the payment succeeded.
  captured_minor integer,
  -- When a cancellation, or a change of the card, withdrew it. From then on its intent is only cancelled.
  withdrawn_at timestamp(3) with time zone,
  -- Account and mode of the API key that claimed the payment, then of the key that created its intent. Only a key of the same account is believed that the intent does not exist. Null: not known.
  gateway_account text,
  -- Of its disputes, the state that matters most. Null: it has none.
  dispute_state text,
  -- The amount that its disputes withdrew and did not reinstate.
  disputed_minor integer NOT NULL DEFAULT 0,
  -- The customer of the order, who named the card. Null: a charge without the customer, or one of an earlier version.
  customer_id text,
  CONSTRAINT payments_pkey PRIMARY KEY (id),
  -- A payment pays an order of its own account.
  CONSTRAINT payments_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A payment takes a positive amount that fits into one charge.
  CONSTRAINT payments_amount_is_chargeable CHECK (((amount_minor >= 1) AND (amount_minor <= 999999999))),
  -- Only what the gateway holds on a card can be captured or voided.
  CONSTRAINT payments_authorized_has_intent CHECK (((state <> ALL (ARRAY['authorized'::payment_state, 'capturing'::payment_state, 'voiding'::payment_state, 'voided'::payment_state])) OR ((gateway_intent_id IS NOT NULL) AND (authorized_at IS NOT NULL) AND (void_at IS NOT NULL)))),
  -- Only a payment that took a part of its amount names the part.
  CONSTRAINT payments_captured_in_part CHECK (((captured_minor IS NULL) OR ((state = 'succeeded'::payment_state) AND (captured_minor >= 1) AND (captured_minor < amount_minor)))),
  -- A charge came out of the one intent that was stored before it was asked for.
  CONSTRAINT payments_charge_has_intent CHECK (((gateway_charge_id IS NULL) OR (gateway_intent_id IS NOT NULL))),
  -- A refusal is noted while the intent is being cancelled, and stands only if it was.
  CONSTRAINT payments_decline_belongs_to_decline CHECK (((decline_code IS NULL) OR (state = ANY (ARRAY['processing'::payment_state, 'capturing'::payment_state, 'voiding'::payment_state, 'needs_review'::payment_state, 'declined'::payment_state, 'voided'::payment_state])))),
  -- Only a refusal records which side refused.
  CONSTRAINT payments_declined_by_somebody CHECK (((declined_by IS NULL) OR ((declined_by = ANY (ARRAY['bank'::text, 'payment-method'::text, 'gateway'::text])) AND (decline_code IS NOT NULL)))),
  -- A payment is declined on evidence, never because an answer is missing.
  CONSTRAINT payments_declined_has_code CHECK (((state <> 'declined'::payment_state) OR (decline_code IS NOT NULL))),
  -- Only a payment that took money is disputed. A bank may dispute all of a payment of which a part was refunded.
  CONSTRAINT payments_disputed_took_money CHECK (((disputed_minor >= 0) AND ((dispute_state IS NULL) OR (state = 'succeeded'::payment_state)) AND ((disputed_minor = 0) OR (dispute_state IS NOT NULL)))),
  -- A payment is on its way to one thing: capturing and voiding exclude each other.
  CONSTRAINT payments_goal_fits_state CHECK (
CASE state
    WHEN 'processing'::payment_state THEN (goal = ANY (ARRAY['charge'::text, 'authorize'::text]))
    WHEN 'authorized'::payment_state THEN (goal = 'authorize'::text)
    WHEN 'capturing'::payment_state THEN (goal = 'capture'::text)
    WHEN 'voiding'::payment_state THEN (goal = 'void'::text)
    ELSE (goal = ANY (ARRAY['charge'::text, 'authorize'::text, 'capture'::text, 'void'::text]))
END),
  -- A settled payment has no owner, and neither has one that waits for the merchant's decision.
  CONSTRAINT payments_leased_only_while_open CHECK (((leased_until IS NULL) OR (state = ANY (ARRAY['processing'::payment_state, 'capturing'::payment_state, 'voiding'::payment_state, 'needs_review'::payment_state])))),
  -- Refunds, those under way included, never exceed what was taken.
  CONSTRAINT payments_refunds_within_payment CHECK (((refunded_minor >= 0) AND (refund_pending_minor >= 0) AND ((refunded_minor + refund_pending_minor) <=
CASE
    WHEN (state = 'succeeded'::payment_state) THEN COALESCE(captured_minor, amount_minor)
    ELSE 0
END))),
  -- A payment is final exactly when it was settled.
  CONSTRAINT payments_settled_when_final CHECK (((state = ANY (ARRAY['succeeded'::payment_state, 'declined'::payment_state, 'cancelled'::payment_state, 'voided'::payment_state])) = (settled_at IS NOT NULL))),
  -- Nothing counts as paid without the charge that proves it.
  CONSTRAINT payments_succeeded_has_charge CHECK (((state = 'succeeded'::payment_state) = (gateway_charge_id IS NOT NULL)))
);
-- Lists an account's payments by id, and lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX payments_account_id_id_key ON public.payments USING btree (account_id, id);
-- Lists an account's payments in one state, such as the few that wait for a person.
CREATE INDEX payments_account_id_state_id_idx ON public.payments USING btree (account_id, state, id);
-- Counts the cards at one account that were declined lately.
CREATE INDEX payments_declines_of_account ON public.payments USING btree (account_id, settled_at) WHERE ((customer_id IS NOT NULL) AND (state = 'declined'::payment_state) AND (declined_by = 'bank'::text));
-- Counts the cards of one customer that were declined lately.
CREATE INDEX payments_declines_of_customer ON public.payments USING btree (account_id, customer_id, settled_at) WHERE ((customer_id IS NOT NULL) AND (state = 'declined'::payment_state) AND (declined_by = 'bank'::text));
-- One gateway intent belongs to one payment.
CREATE UNIQUE INDEX payments_gateway_intent_id_key ON public.payments USING btree (gateway_intent_id);
-- At most one payment of an order can hold, or come to hold, the customer's money.
CREATE UNIQUE INDEX payments_one_live_per_order ON public.payments USING btree (order_id) WHERE (state = ANY (ARRAY['processing'::payment_state, 'authorized'::payment_state, 'capturing'::payment_state, 'voiding'::payment_state, 'succeeded'::payment_state, 'needs_review'::payment_state]));
-- Lists an order's payments.
CREATE INDEX payments_order_id_id_idx ON public.payments USING btree (order_id, id);
-- Finds the few payments whose id is too old for the window of a reconciliation in which they were settled.
CREATE INDEX payments_settled_late ON public.payments USING btree (settled_at) WHERE ((settled_at - created_at) > '7 days'::interval);
-- Finds the open payments that are due, without reading settled ones.
CREATE INDEX payments_to_recover ON public.payments USING btree (next_attempt_at) WHERE (state = ANY (ARRAY['processing'::payment_state, 'capturing'::payment_state, 'voiding'::payment_state, 'needs_review'::payment_state]));
-- Finds authorizations that were not captured in time.
CREATE INDEX payments_to_void ON public.payments USING btree (void_at) WHERE (state = 'authorized'::payment_state);
-- A settled payment never changes. Neither do the stored intent, the amount and the gateway's key of any payment, and a generation only grows.
CREATE TRIGGER payments_final_stays_final BEFORE UPDATE ON public.payments FOR EACH ROW EXECUTE FUNCTION payments_final_stays_final();
-- An intent stays in the account that created it.
CREATE TRIGGER payments_gateway_account_stays BEFORE UPDATE OF gateway_account ON public.payments FOR EACH ROW WHEN (((old.gateway_intent_id IS NOT NULL) AND (old.gateway_account IS DISTINCT FROM new.gateway_account))) EXECUTE FUNCTION payments_gateway_account_stays();
-- A payment is for exactly what its order costs.
CREATE TRIGGER payments_take_the_orders_amount BEFORE INSERT ON public.payments FOR EACH ROW EXECUTE FUNCTION payments_take_the_orders_amount();

-- Each difference between the gateway's list and our books, and what was done about it.
CREATE TABLE reconciliation_findings (
  id uuid NOT NULL,
  run_id uuid NOT NULL,
  kind text NOT NULL,
  account_id uuid,
  order_id uuid,
  payment_id uuid,
  refund_id uuid,
  gateway_intent_id text,
  gateway_charge_id text,
  gateway_refund_id text,
  gateway_amount_minor integer,
  books_amount_minor integer,
  currency character(3),
  -- What would put it right.
  action text NOT NULL,
  -- What came of that; null: it was not tried.
  outcome text,
  detail text,
  found_at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  gateway_dispute_id text,
  CONSTRAINT reconciliation_findings_pkey PRIMARY KEY (id),
  CONSTRAINT reconciliation_findings_run_id_fkey FOREIGN KEY (run_id) REFERENCES reconciliation_runs(id) ON UPDATE RESTRICT ON DELETE CASCADE,
  -- Anything else than these is for a person.
  CONSTRAINT reconciliation_findings_action_is_known CHECK ((action = ANY (ARRAY['adopt'::text, 'refund'::text, 'cancel-intent'::text, 'reverse-refund'::text, 'enter-refund'::text, 'enter-dispute'::text, 'person'::text]))),
  -- It was put right, or is on its way, or was no longer there, or must wait, or is for a person after all.
  CONSTRAINT reconciliation_findings_outcome_is_known CHECK ((outcome = ANY (ARRAY['done'::text, 'under-way'::text, 'gone'::text, 'left'::text, 'person'::text])))
);
-- Lists what a run found.
CREATE INDEX reconciliation_findings_run_id_id_idx ON public.reconciliation_findings USING btree (run_id, id);

-- A comparison of the gateway's list with our books, page by page, which a stopped process goes on with.
CREATE TABLE reconciliation_runs (
  id uuid NOT NULL,
  mode text NOT NULL,
  window_from timestamp(3) with time zone NOT NULL,
  window_to timestamp(3) with time zone NOT NULL,
  -- What is being read, or acted upon; a run that is finished in another stage than done was given up.
  stage text NOT NULL DEFAULT 'charges'::text,
  -- Behind which the next page of the stage begins.
  cursor text,
  charges_seen integer NOT NULL DEFAULT 0,
  refunds_seen integer NOT NULL DEFAULT 0,
  payments_read integer NOT NULL DEFAULT 0,
  refunds_read integer NOT NULL DEFAULT 0,
  -- What could not be judged, because somebody is still at work on it.
  left_open integer NOT NULL DEFAULT 0,
  -- Raised whenever the run changes hands; who writes a page names the generation it claimed.
  generation integer NOT NULL DEFAULT 1,
  leased_until timestamp(3) with time zone,
  by text NOT NULL,
  started_at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamp(3) with time zone,
  disputes_seen integer NOT NULL DEFAULT 0,
  CONSTRAINT reconciliation_runs_pkey PRIMARY KEY (id),
  -- A run that has done all has ended.
  CONSTRAINT reconciliation_runs_done_is_finished CHECK (((stage <> 'done'::text) OR (finished_at IS NOT NULL))),
  -- Nobody owns what has ended.
  CONSTRAINT reconciliation_runs_leased_only_while_open CHECK (((leased_until IS NULL) OR (finished_at IS NULL))),
  -- A run reports, or was told to act.
  CONSTRAINT reconciliation_runs_mode_is_known CHECK ((mode = ANY (ARRAY['report'::text, 'act'::text]))),
  -- The gateway's lists are read before our books, and nothing is done before all was read.
  CONSTRAINT reconciliation_runs_stage_is_known CHECK ((stage = ANY (ARRAY['charges'::text, 'refunds'::text, 'disputes'::text, 'our-payments'::text, 'our-refunds'::text, 'act'::text, 'done'::text]))),
  -- What is compared begins before it ends.
  CONSTRAINT reconciliation_runs_window_is_a_window CHECK ((window_from < window_to))
);
-- One comparison at a time, however many are started.
CREATE UNIQUE INDEX reconciliation_runs_one_unfinished ON public.reconciliation_runs USING btree (((finished_at IS NULL))) WHERE (finished_at IS NULL);

-- Charges and refunds that the gateway's lists showed to a run, kept until the run ends: what our books have and these lack is asked for one by one.
CREATE TABLE reconciliation_sightings (
  run_id uuid NOT NULL,
  gateway_id text NOT NULL,
  -- A thing is seen or it is not.
  CONSTRAINT reconciliation_sightings_pkey PRIMARY KEY (run_id, gateway_id),
  CONSTRAINT reconciliation_sightings_run_id_fkey FOREIGN KEY (run_id) REFERENCES reconciliation_runs(id) ON UPDATE RESTRICT ON DELETE CASCADE
);

-- One attempt to return money, written before the gateway is asked.
CREATE TABLE refunds (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  order_id uuid NOT NULL,
  -- Null for a repair: the charge that it gives back never belonged to a payment that stands.
  payment_id uuid,
  origin text NOT NULL DEFAULT 'merchant'::text,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  reason text,
  state refund_state NOT NULL DEFAULT 'processing'::refund_state,
  failure_code text,
  generation integer NOT NULL DEFAULT 1,
  leased_until timestamp(3) with time zone,
  next_attempt_at timestamp(3) with time zone NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  gateway_intent_id text NOT NULL,
  gateway_charge_id text NOT NULL,
  gateway_refund_id text,
  -- Number in the gateway's idempotency key; raised only after the gateway ended the request and its effect was seen to be absent.
  refund_attempt integer NOT NULL DEFAULT 1,
  -- Since when that number has been in use. The gateway forgets keys after a day: asking again later could refund twice.
  attempt_since timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  wake_requested boolean NOT NULL DEFAULT false,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  settled_at timestamp(3) with time zone,
  -- When a refund that had succeeded failed after all, as the customer's bank may decide days later.
  reversed_at timestamp(3) with time zone,
  -- The attempt that acts under this generation. An owner whose COMMIT was not answered finds itself here.
  owner uuid,
  -- The refund's name at the gateway and the first part of its key: from its payment's name and its number. Null: the id of the refund.
  gateway_key text,
  CONSTRAINT refunds_pkey PRIMARY KEY (id),
  -- A refund belongs to an order of its own account.
  CONSTRAINT refunds_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A refund belongs to a payment of its own account.
  CONSTRAINT refunds_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A refund returns a positive amount.
  CONSTRAINT refunds_amount_is_positive CHECK (((amount_minor >= 1) AND (amount_minor <= 999999999))),
  -- The gateway is never asked for what was returned outside of it, and a person has said why.
  CONSTRAINT refunds_by_operators_are_settled CHECK (((origin <> 'operator'::text) OR ((settled_at IS NOT NULL) AND (gateway_refund_id IS NULL) AND (reason IS NOT NULL)))),
  -- A refund fails on evidence, never because an answer is missing.
  CONSTRAINT refunds_failed_has_code CHECK (((state = 'failed'::refund_state) = (failure_code IS NOT NULL))),
  -- What was made at the gateway is known by its id there, and is never requested.
  CONSTRAINT refunds_from_elsewhere_have_evidence CHECK (((origin <> 'gateway'::text) OR (gateway_refund_id IS NOT NULL))),
  -- A settled refund has no owner.
  CONSTRAINT refunds_leased_only_while_open CHECK (((leased_until IS NULL) OR (state = ANY (ARRAY['processing'::refund_state, 'pending'::refund_state, 'needs_review'::refund_state])))),
  -- A refund takes from one payment; the charge of a repair belongs to none.
  CONSTRAINT refunds_name_payment CHECK (((origin <> 'reconciliation'::text) = (payment_id IS NOT NULL))),
  -- A merchant asked for it, reconciliation repairs, it was made at the gateway without us, or outside of the gateway.
  CONSTRAINT refunds_origin_is_known CHECK ((origin = ANY (ARRAY['merchant'::text, 'reconciliation'::text, 'gateway'::text, 'operator'::text]))),
  -- Only the gateway can say that the bank takes its time.
  CONSTRAINT refunds_pending_has_evidence CHECK (((state <> 'pending'::refund_state) OR (gateway_refund_id IS NOT NULL))),
  -- Only a refund that failed was taken back.
  CONSTRAINT refunds_reversed_has_failed CHECK (((reversed_at IS NULL) OR (state = 'failed'::refund_state))),
  -- A refund is final exactly when it was settled.
  CONSTRAINT refunds_settled_when_final CHECK (((state = ANY (ARRAY['succeeded'::refund_state, 'failed'::refund_state])) = (settled_at IS NOT NULL))),
  -- Nothing counts as refunded without the gateway's refund that proves it, or a person who returned the money.
  CONSTRAINT refunds_succeeded_has_evidence CHECK (((state <> 'succeeded'::refund_state) OR (gateway_refund_id IS NOT NULL) OR (origin = 'operator'::text)))
);
-- Lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX refunds_account_id_id_key ON public.refunds USING btree (account_id, id);
-- Lists an account's refunds in one state, such as the few that wait for a person.
CREATE INDEX refunds_account_id_state_id_idx ON public.refunds USING btree (account_id, state, id);
-- Finds the few refunds that failed: of a booking that is shown, and for the metric of the money that is owed.
CREATE INDEX refunds_failed ON public.refunds USING btree (order_id) WHERE (state = 'failed'::refund_state);
-- One refund of the gateway belongs to one refund of ours.
CREATE UNIQUE INDEX refunds_gateway_refund_id_key ON public.refunds USING btree (gateway_refund_id);
-- Reconciliation gives a charge back once, however often and wherever it runs.
CREATE UNIQUE INDEX refunds_one_repair_per_charge ON public.refunds USING btree (gateway_charge_id) WHERE (origin = 'reconciliation'::text);
-- Tells whether an order's money is on its way back.
CREATE INDEX refunds_order_id_idx ON public.refunds USING btree (order_id);
-- Lists a payment's refunds.
CREATE INDEX refunds_payment_id_id_idx ON public.refunds USING btree (payment_id, id);
-- Finds the few refunds whose id is too old for the window of a reconciliation in which they were settled.
CREATE INDEX refunds_settled_late ON public.refunds USING btree (settled_at) WHERE ((settled_at - created_at) > '7 days'::interval);
-- Finds the open refunds that are due, without reading settled ones.
CREATE INDEX refunds_to_recover ON public.refunds USING btree (next_attempt_at) WHERE (state = ANY (ARRAY['processing'::refund_state, 'pending'::refund_state, 'needs_review'::refund_state]));
-- A refund never changes what it returns, nor the gateway's key. One that succeeded can only be reversed, once.
CREATE TRIGGER refunds_final_stays_final BEFORE UPDATE ON public.refunds FOR EACH ROW EXECUTE FUNCTION refunds_final_stays_final();

-- The owner of a seat. The seat is free without a row, or with one that has expired and is not pinned; the next buyer deletes that row. Expiry and pin stand here and not only in the hold, because a conflicting insert reads only this row again.
CREATE TABLE seat_claims (
  seat_id uuid NOT NULL,
  section_id uuid NOT NULL,
  hold_id uuid NOT NULL,
  expires_at timestamp(3) with time zone NOT NULL,
  -- It does not lapse: it is being paid for, or booked.
  pinned boolean NOT NULL DEFAULT false,
  booking_id uuid,
  account_id uuid NOT NULL,
  -- A seat has one claim, with or without any lock.
  CONSTRAINT seat_claims_pkey PRIMARY KEY (seat_id),
  CONSTRAINT seat_claims_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES bookings(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT seat_claims_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES holds(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT seat_claims_seat_id_fkey FOREIGN KEY (seat_id) REFERENCES seats(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- What is booked does not lapse.
  CONSTRAINT seat_claims_booked_is_pinned CHECK (((booking_id IS NULL) OR pinned))
);
-- Extending, pinning and releasing find the claims of one hold.
CREATE INDEX seat_claims_of_hold ON public.seat_claims USING btree (hold_id);
-- Draws the map of one section.
CREATE INDEX seat_claims_of_section ON public.seat_claims USING btree (section_id);
-- A claim never passes from one hold to another, and a booked one never changes.
CREATE TRIGGER seat_claims_are_kept BEFORE UPDATE ON public.seat_claims FOR EACH ROW EXECUTE FUNCTION seat_claims_are_kept();
-- A seat that is booked, or being paid for, keeps its claim until that has ended.
CREATE TRIGGER seat_claims_pinned_are_kept BEFORE DELETE ON public.seat_claims FOR EACH ROW WHEN (old.pinned) EXECUTE FUNCTION seat_claims_are_kept();

-- A chair. Two are adjacent when their numbers in one row follow each other: where a chair is missing, so is its number.
CREATE TABLE seats (
  id uuid NOT NULL,
  event_id uuid NOT NULL,
  section_id uuid NOT NULL,
  row_position integer NOT NULL,
  row_name text NOT NULL,
  number integer NOT NULL,
  accessible boolean NOT NULL DEFAULT false,
  account_id uuid NOT NULL,
  CONSTRAINT seats_pkey PRIMARY KEY (id),
  CONSTRAINT seats_event_id_section_id_fkey FOREIGN KEY (event_id, section_id) REFERENCES event_sections(event_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- What a ticket says.
  CONSTRAINT seats_number_is_positive CHECK ((number > 0))
);
-- No chair stands on another, and a section's are listed as they stand.
CREATE UNIQUE INDEX seats_section_id_row_position_number_key ON public.seats USING btree (section_id, row_position, number);

-- What a customer agreed to be charged again and again.
CREATE TABLE subscriptions (
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  customer_id text NOT NULL,
  gateway_customer_id text NOT NULL,
  payment_method text NOT NULL,
  receipt_email text,
  amount_minor integer NOT NULL,
  currency character(3) NOT NULL,
  interval_unit text NOT NULL,
  interval_count integer NOT NULL,
  time_zone text NOT NULL,
  -- The moment of period 0 as a clock on the wall of time_zone shows it: every period is counted from here, so that no rounding adds up.
  anchor timestamp(0) without time zone NOT NULL,
  state subscription_state NOT NULL DEFAULT 'active'::subscription_state,
  -- The first period without an invoice.
  next_period integer NOT NULL DEFAULT 0,
  next_due_at timestamp(3) with time zone NOT NULL,
  -- Grows by one with every change; a writer names the version it read and loses if it is gone.
  version integer NOT NULL DEFAULT 0,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- The references of its invoices' orders come from it. Null: its id.
  gateway_reference text,
  -- The merchant must do this before it is charged again.
  paused_because text,
  -- Whether periods that were not charged when they fell due, after an outage or while it was past due, are charged later.
  missed_periods text NOT NULL DEFAULT 'skip'::text,
  CONSTRAINT subscriptions_pkey PRIMARY KEY (id),
  CONSTRAINT subscriptions_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- A period costs a positive amount that the gateway takes in one charge.
  CONSTRAINT subscriptions_amount_is_chargeable CHECK (((amount_minor >= 1) AND (amount_minor <= 999999999))),
  -- A currency is written in one way, so that amounts can be compared.
  CONSTRAINT subscriptions_currency_is_a_code CHECK ((currency ~ '^[A-Z]{3}$'::text)),
  -- Time goes on from period to period, and none is longer than the gateway's own subscriptions know.
  CONSTRAINT subscriptions_interval_is_possible CHECK (((interval_count >= 1) AND (interval_count <=
CASE interval_unit
    WHEN 'day'::text THEN 365
    WHEN 'week'::text THEN 156
    WHEN 'month'::text THEN 36
    WHEN 'year'::text THEN 3
    ELSE 0
END))),
  -- Missed periods are skipped, or collected one a day.
  CONSTRAINT subscriptions_missed_periods_is_known CHECK ((missed_periods = ANY (ARRAY['skip'::text, 'collect'::text]))),
  -- A subscription that is paused says what would resume it.
  CONSTRAINT subscriptions_paused_for_a_reason CHECK (((state = 'paused'::subscription_state) = (paused_because IS NOT NULL))),
  -- Periods are counted from the anchor.
  CONSTRAINT subscriptions_period_counts_up CHECK ((next_period >= 0))
);
-- Lists an account's subscriptions by id, and lets other rows prove that they belong to the same account.
CREATE UNIQUE INDEX subscriptions_account_id_id_key ON public.subscriptions USING btree (account_id, id);
-- Finds what the billing run must invoice.
CREATE INDEX subscriptions_due ON public.subscriptions USING btree (next_due_at) WHERE (state = 'active'::subscription_state);
-- One use of a creation key makes one subscription.
CREATE UNIQUE INDEX subscriptions_gateway_reference_key ON public.subscriptions USING btree (gateway_reference);

-- General admission: places without numbers. The counters say how many are held and sold; each hold and booking moves them in its own commit.
CREATE TABLE tiers (
  id uuid NOT NULL,
  event_id uuid NOT NULL,
  "position" integer NOT NULL,
  name text NOT NULL,
  price_minor integer NOT NULL,
  capacity integer NOT NULL,
  sold integer NOT NULL DEFAULT 0,
  held integer NOT NULL DEFAULT 0,
  account_id uuid NOT NULL,
  CONSTRAINT tiers_pkey PRIMARY KEY (id),
  CONSTRAINT tiers_account_id_event_id_fkey FOREIGN KEY (account_id, event_id) REFERENCES events(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- What is sold and held never exceeds the capacity and is never less than zero.
  CONSTRAINT tiers_never_oversold CHECK (((sold >= 0) AND (held >= 0) AND ((sold + held) <= capacity))),
  -- Ten places at the highest price fit into one charge.
  CONSTRAINT tiers_price_is_chargeable CHECK (((price_minor >= 1) AND (price_minor <= 99999999)))
);
-- Lets a hold prove that its tier belongs to its event.
CREATE UNIQUE INDEX tiers_event_id_id_key ON public.tiers USING btree (event_id, id);
-- Lists an event's tiers in their order.
CREATE UNIQUE INDEX tiers_event_id_position_key ON public.tiers USING btree (event_id, "position");

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
  refund_id uuid,
  account_id uuid NOT NULL,
  -- The dispute that moved the money.
  dispute_id uuid,
  CONSTRAINT transfers_pkey PRIMARY KEY (id),
  CONSTRAINT transfers_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments(account_id, id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT transfers_dispute_id_fkey FOREIGN KEY (dispute_id) REFERENCES disputes(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT transfers_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  -- The direction of money is in the accounts, never in a sign.
  CONSTRAINT transfers_amount_is_positive CHECK ((amount_minor > 0)),
  -- Money moves from one account to another.
  CONSTRAINT transfers_between_two_accounts CHECK ((debit_account <> credit_account)),
  -- Every booking has a meaning that the reports know, and names what it books.
  CONSTRAINT transfers_kind_is_known CHECK (
CASE kind
    WHEN 'charge'::text THEN ((refund_id IS NULL) AND (dispute_id IS NULL))
    WHEN 'refund'::text THEN ((refund_id IS NOT NULL) AND (dispute_id IS NULL))
    WHEN 'refund_reversal'::text THEN ((refund_id IS NOT NULL) AND (dispute_id IS NULL))
    WHEN 'dispute_withdrawal'::text THEN ((refund_id IS NULL) AND (dispute_id IS NOT NULL))
    WHEN 'dispute_reinstatement'::text THEN ((refund_id IS NULL) AND (dispute_id IS NOT NULL))
    ELSE false
END)
);
-- A payment is booked once.
CREATE UNIQUE INDEX transfers_one_charge_per_payment ON public.transfers USING btree (payment_id) WHERE (kind = 'charge'::text);
-- Lists what was booked for a payment.
CREATE INDEX transfers_payment_id_idx ON public.transfers USING btree (payment_id);
-- A refund is booked once, and taken back once.
CREATE UNIQUE INDEX transfers_refund_id_kind_key ON public.transfers USING btree (refund_id, kind);
-- A booking is never rewritten.
CREATE TRIGGER transfers_append_only BEFORE DELETE OR UPDATE ON public.transfers FOR EACH ROW EXECUTE FUNCTION append_only();
-- No booking is ever lost.
CREATE TRIGGER transfers_never_emptied BEFORE TRUNCATE ON public.transfers FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Where an account hears of what happened. One each: a second listener can be put behind it.
CREATE TABLE webhook_endpoints (
  account_id uuid NOT NULL,
  url text NOT NULL,
  -- Signs what is sent. It must be had in clear to sign, so this table is as secret as the secrets in it.
  secret text NOT NULL,
  -- Signs as well while the receiver changes over.
  previous_secret text,
  created_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamp(3) with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (account_id),
  CONSTRAINT webhook_endpoints_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(id) ON UPDATE RESTRICT ON DELETE RESTRICT,
  CONSTRAINT webhook_endpoints_url_length CHECK (((char_length(url) >= 1) AND (char_length(url) <= 2048)))
);

CREATE OR REPLACE FUNCTION public.append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $function$;

CREATE OR REPLACE FUNCTION public.bookings_final_stays_final()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF OLD.state = 'cancelled' AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'booking % is final', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'bookings_final_stays_final';
  END IF;
  IF (NEW.account_id, NEW.event_id, NEW.customer_id, NEW.hold_id, NEW.order_id, NEW.payment_id)
     IS DISTINCT FROM (OLD.account_id, OLD.event_id, OLD.customer_id, OLD.hold_id, OLD.order_id, OLD.payment_id)
     OR (NEW.state = 'pending' AND OLD.state <> 'pending') THEN
    RAISE EXCEPTION 'booking % cannot be rewritten', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'bookings_final_stays_final';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.disputes_only_go_forward()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF (NEW.id, NEW.account_id, NEW.payment_id, NEW.gateway_dispute_id, NEW.currency)
     IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.payment_id, OLD.gateway_dispute_id, OLD.currency)
     OR NEW.withdrawn_minor < OLD.withdrawn_minor OR NEW.reinstated_minor < OLD.reinstated_minor
     OR NEW.seen_at < OLD.seen_at THEN
    RAISE EXCEPTION 'dispute % cannot be rewritten', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'disputes_only_go_forward';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.gateway_customers_owner_stays()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'the owner of customer % cannot change', OLD.gateway_customer_id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'gateway_customers_owner_stays';
END $function$;

-- Ends the transaction when a write found another row than its writer had read.
CREATE OR REPLACE FUNCTION public.guard(holds boolean, name text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF holds IS NOT TRUE THEN
    RAISE EXCEPTION 'the guard % failed', name USING ERRCODE = 'SB001', CONSTRAINT = name;
  END IF;
END $function$;

CREATE OR REPLACE FUNCTION public.holds_final_stays_final()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF OLD.state IN ('booked', 'released', 'expired') AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'hold % is final', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_final_stays_final';
  END IF;
  IF (NEW.account_id, NEW.event_id, NEW.customer_id, NEW.seat_ids, NEW.tier_id, NEW.quantity, NEW.amount_minor, NEW.currency)
     IS DISTINCT FROM (OLD.account_id, OLD.event_id, OLD.customer_id, OLD.seat_ids, OLD.tier_id, OLD.quantity, OLD.amount_minor, OLD.currency)
     OR NEW.checkouts < OLD.checkouts OR (OLD.extended AND NOT NEW.extended)
     OR (OLD.state = 'active' AND NEW.state = 'booked')
     OR (OLD.state = 'checking_out' AND (NEW.state = 'released' OR NEW.order_id IS DISTINCT FROM OLD.order_id
                                         OR (NEW.state = 'checking_out' AND NEW IS DISTINCT FROM OLD))) THEN
    RAISE EXCEPTION 'hold % cannot be rewritten', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_final_stays_final';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.idempotency_keys_answer_stays()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
END $function$;

CREATE OR REPLACE FUNCTION public.operator_actions_are_kept()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  -- Only the outcome is written later, once.
  IF TG_OP = 'UPDATE' AND OLD.outcome IS NULL
     AND (NEW.id, NEW.at, NEW.actor, NEW.reason, NEW.action, NEW.subject_id)
         IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.actor, OLD.reason, OLD.action, OLD.subject_id) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'an operator''s action is never rewritten'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'operator_actions_are_kept';
END $function$;

CREATE OR REPLACE FUNCTION public.orders_gateway_reference_stays()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'the gateway reference of order % cannot change', OLD.id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_gateway_reference_stays';
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
END $function$;

CREATE OR REPLACE FUNCTION public.payments_gateway_account_stays()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'the gateway account of payment % cannot change', OLD.id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_gateway_account_stays';
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

CREATE OR REPLACE FUNCTION public.refunds_final_stays_final()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF (OLD.state = 'failed' OR (OLD.state = 'succeeded' AND (NEW.state <> 'failed' OR NEW.reversed_at IS NULL)))
     AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'refund % is final', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_final_stays_final';
  END IF;
  IF NEW.generation < OLD.generation
     OR (OLD.gateway_refund_id IS NOT NULL AND NEW.gateway_refund_id IS DISTINCT FROM OLD.gateway_refund_id)
     OR (NEW.payment_id, NEW.order_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.origin,
         NEW.gateway_charge_id, NEW.gateway_key)
        IS DISTINCT FROM (OLD.payment_id, OLD.order_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.origin,
                          OLD.gateway_charge_id, OLD.gateway_key) THEN
    RAISE EXCEPTION 'refund % cannot be rewritten', OLD.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_final_stays_final';
  END IF;
  RETURN NEW;
END $function$;

CREATE OR REPLACE FUNCTION public.seat_claims_are_kept()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF (NEW.seat_id, NEW.hold_id) IS DISTINCT FROM (OLD.seat_id, OLD.hold_id)
       OR (OLD.booking_id IS NOT NULL AND NEW IS DISTINCT FROM OLD) THEN
      RAISE EXCEPTION 'the claim of seat % cannot be rewritten', OLD.seat_id USING ERRCODE = 'check_violation', CONSTRAINT = 'seat_claims_are_kept';
    END IF;
    RETURN NEW;
  END IF;
  IF EXISTS (SELECT FROM bookings WHERE id = OLD.booking_id AND state <> 'cancelled')
     OR (OLD.booking_id IS NULL AND EXISTS (SELECT FROM holds WHERE id = OLD.hold_id AND state IN ('checking_out', 'booked'))) THEN
    RAISE EXCEPTION 'seat % is booked or being paid for', OLD.seat_id USING ERRCODE = 'check_violation', CONSTRAINT = 'seat_claims_are_kept';
  END IF;
  RETURN OLD;
END $function$;
