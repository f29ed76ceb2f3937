-- Seats: what is sold, who holds it for a while, and who has it for good.

-- Orders and keys of checkouts. ----------------------------------------------------------------------------------------

ALTER TABLE orders
  DROP CONSTRAINT orders_purpose_is_known,
  ADD CONSTRAINT orders_purpose_is_known CHECK (purpose IN ('merchant', 'invoice', 'checkout'));
COMMENT ON CONSTRAINT orders_purpose_is_known ON orders IS 'Whoever settles an order knows what else belongs into that commit.';

ALTER TABLE idempotency_keys
  DROP CONSTRAINT idempotency_keys_step_is_known,
  ADD CONSTRAINT idempotency_keys_step_is_known CHECK (CASE step
    WHEN 'pay' THEN refund_id IS NULL
    WHEN 'checkout' THEN payment_id IS NOT NULL AND refund_id IS NULL
    WHEN 'capture' THEN payment_id IS NOT NULL AND refund_id IS NULL
    WHEN 'void' THEN payment_id IS NOT NULL AND refund_id IS NULL
    WHEN 'refund' THEN payment_id IS NULL AND refund_id IS NOT NULL
    ELSE false END);
COMMENT ON CONSTRAINT idempotency_keys_step_is_known ON idempotency_keys IS 'A key started one step of one intent, or none at all.';

-- What is sold. --------------------------------------------------------------------------------------------------------

CREATE TABLE events (
  id                 uuid           NOT NULL,
  account_id         uuid           NOT NULL,
  name               text           NOT NULL,
  currency           char(3)        NOT NULL,
  sale_opens_at      timestamptz(3) NOT NULL,
  sale_closes_at     timestamptz(3) NOT NULL,
  seats_per_customer integer        NOT NULL,
  created_at         timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT events_pkey PRIMARY KEY (id),
  CONSTRAINT events_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT events_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
  CONSTRAINT events_sale_has_a_length CHECK (sale_opens_at < sale_closes_at),
  CONSTRAINT events_somebody_may_hold CHECK (seats_per_customer BETWEEN 1 AND 100)
);
CREATE UNIQUE INDEX events_account_id_id_key ON events (account_id, id);
COMMENT ON TABLE events IS 'What an account sells seats for. Its sections, seats, tiers and prices do not change once it is there.';
COMMENT ON COLUMN events.seats_per_customer IS 'How many seats and places one customer may hold at once. What is booked does not count.';
COMMENT ON CONSTRAINT events_currency_is_a_code ON events IS 'A currency is written in one way, so that amounts can be compared.';
COMMENT ON CONSTRAINT events_sale_has_a_length ON events IS 'A sale that closes before it opens sells nothing.';
COMMENT ON CONSTRAINT events_somebody_may_hold ON events IS 'Nobody empties a hall, and somebody can buy.';
COMMENT ON INDEX events_account_id_id_key IS 'Lists an account''s events by id, and lets other rows prove that they belong to the same account.';

CREATE TABLE event_sections (
  id          uuid    NOT NULL,
  event_id    uuid    NOT NULL,
  position    integer NOT NULL,
  name        text    NOT NULL,
  price_minor integer NOT NULL,
  CONSTRAINT event_sections_pkey PRIMARY KEY (id),
  CONSTRAINT event_sections_event_id_fkey FOREIGN KEY (event_id) REFERENCES events (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT event_sections_price_is_chargeable CHECK (price_minor BETWEEN 1 AND 9999999)
);
CREATE UNIQUE INDEX event_sections_event_id_position_key ON event_sections (event_id, position);
CREATE UNIQUE INDEX event_sections_event_id_id_key ON event_sections (event_id, id);
COMMENT ON TABLE event_sections IS 'A part of the hall, with one price for each of its seats.';
COMMENT ON CONSTRAINT event_sections_price_is_chargeable ON event_sections IS 'Ten seats at the highest price fit into one charge.';
COMMENT ON INDEX event_sections_event_id_position_key IS 'Lists an event''s sections in the order of its plan.';
COMMENT ON INDEX event_sections_event_id_id_key IS 'Lets a seat prove that its section belongs to its event.';

CREATE TABLE seats (
  id           uuid    NOT NULL,
  event_id     uuid    NOT NULL,
  section_id   uuid    NOT NULL,
  row_position integer NOT NULL,
  row_name     text    NOT NULL,
  number       integer NOT NULL,
  accessible   boolean NOT NULL DEFAULT false,
  CONSTRAINT seats_pkey PRIMARY KEY (id),
  CONSTRAINT seats_event_id_section_id_fkey FOREIGN KEY (event_id, section_id) REFERENCES event_sections (event_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT seats_number_is_positive CHECK (number > 0)
);
CREATE UNIQUE INDEX seats_section_id_row_position_number_key ON seats (section_id, row_position, number);
COMMENT ON TABLE seats IS 'A chair. Two are adjacent when their numbers in one row follow each other: where a chair is missing, so is its number.';
COMMENT ON CONSTRAINT seats_number_is_positive ON seats IS 'What a ticket says.';
COMMENT ON INDEX seats_section_id_row_position_number_key IS 'No chair stands on another, and a section''s are listed as they stand.';

CREATE TABLE tiers (
  id          uuid    NOT NULL,
  event_id    uuid    NOT NULL,
  position    integer NOT NULL,
  name        text    NOT NULL,
  price_minor integer NOT NULL,
  capacity    integer NOT NULL,
  sold        integer NOT NULL DEFAULT 0,
  held        integer NOT NULL DEFAULT 0,
  CONSTRAINT tiers_pkey PRIMARY KEY (id),
  CONSTRAINT tiers_event_id_fkey FOREIGN KEY (event_id) REFERENCES events (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT tiers_price_is_chargeable CHECK (price_minor BETWEEN 1 AND 9999999),
  CONSTRAINT tiers_never_oversold CHECK (sold >= 0 AND held >= 0 AND sold + held <= capacity)
);
CREATE UNIQUE INDEX tiers_event_id_position_key ON tiers (event_id, position);
CREATE UNIQUE INDEX tiers_event_id_id_key ON tiers (event_id, id);
COMMENT ON TABLE tiers IS 'General admission: places without numbers. The counters say how many are held and sold; each hold and booking moves them in its own commit.';
COMMENT ON CONSTRAINT tiers_price_is_chargeable ON tiers IS 'Ten places at the highest price fit into one charge.';
COMMENT ON CONSTRAINT tiers_never_oversold ON tiers IS 'More than there are is never sold or held, and never less than nothing, whoever writes.';
COMMENT ON INDEX tiers_event_id_position_key IS 'Lists an event''s tiers in their order.';
COMMENT ON INDEX tiers_event_id_id_key IS 'Lets a hold prove that its tier belongs to its event.';

-- Holds. ---------------------------------------------------------------------------------------------------------------

CREATE TYPE hold_state AS ENUM ('active', 'checking_out', 'booked', 'released', 'expired');

CREATE TABLE holds (
  id           uuid           NOT NULL,
  account_id   uuid           NOT NULL,
  event_id     uuid           NOT NULL,
  customer_id  text           NOT NULL,
  state        hold_state     NOT NULL DEFAULT 'active',
  seat_ids     uuid[],
  tier_id      uuid,
  quantity     integer        NOT NULL,
  amount_minor integer        NOT NULL,
  currency     char(3)        NOT NULL,
  expires_at   timestamptz(3) NOT NULL,
  extended     boolean        NOT NULL DEFAULT false,
  checkouts    integer        NOT NULL DEFAULT 0,
  order_id     uuid,
  left_ms      integer,
  created_at   timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT holds_pkey PRIMARY KEY (id),
  CONSTRAINT holds_account_id_event_id_fkey FOREIGN KEY (account_id, event_id) REFERENCES events (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT holds_event_id_tier_id_fkey FOREIGN KEY (event_id, tier_id) REFERENCES tiers (event_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT holds_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT holds_of_seats_or_places CHECK ((seat_ids IS NULL) <> (tier_id IS NULL) AND (seat_ids IS NULL OR cardinality(seat_ids) = quantity)),
  CONSTRAINT holds_quantity_is_bounded CHECK (quantity BETWEEN 1 AND 10),
  CONSTRAINT holds_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 99999999),
  CONSTRAINT holds_three_checkouts CHECK (checkouts BETWEEN 0 AND 3 AND (checkouts = 0) = (order_id IS NULL)),
  CONSTRAINT holds_checked_out_by_an_order CHECK (state NOT IN ('checking_out', 'booked') OR order_id IS NOT NULL),
  CONSTRAINT holds_time_left_while_checking_out CHECK ((state = 'checking_out') = (left_ms IS NOT NULL) AND left_ms >= 0)
);
CREATE UNIQUE INDEX holds_order_id_key ON holds (order_id);
CREATE INDEX holds_of_customer ON holds (event_id, customer_id) WHERE state IN ('active', 'checking_out');
CREATE INDEX holds_being_paid ON holds (order_id) WHERE state = 'checking_out';
CREATE INDEX holds_to_expire ON holds (expires_at) WHERE state = 'active';
CREATE INDEX holds_of_tier_to_expire ON holds (tier_id, expires_at) WHERE state = 'active' AND tier_id IS NOT NULL;
COMMENT ON TABLE holds IS 'What a customer has set aside for a while, at the price of that moment: seats, or places of a tier.';
COMMENT ON COLUMN holds.expires_at IS 'For seats a copy: their claims decide. For places this row decides.';
COMMENT ON COLUMN holds.order_id IS 'The order of the latest checkout.';
COMMENT ON COLUMN holds.left_ms IS 'How much time the hold had left when its checkout began; it has that again when the checkout comes to nothing.';
COMMENT ON CONSTRAINT holds_of_seats_or_places ON holds IS 'A hold is of seats or of places, never of both.';
COMMENT ON CONSTRAINT holds_quantity_is_bounded ON holds IS 'One request locks a bounded number of rows.';
COMMENT ON CONSTRAINT holds_amount_is_chargeable ON holds IS 'What is held can be paid with one charge.';
COMMENT ON CONSTRAINT holds_three_checkouts ON holds IS 'Nobody keeps seats by trying one card after the other.';
COMMENT ON CONSTRAINT holds_checked_out_by_an_order ON holds IS 'Whoever finds a hold that is being checked out finds the payment that will end it.';
COMMENT ON CONSTRAINT holds_time_left_while_checking_out ON holds IS 'The clock of a hold stands still while it is being paid.';
COMMENT ON INDEX holds_order_id_key IS 'An order pays one hold.';
COMMENT ON INDEX holds_of_customer IS 'Counts what a customer holds.';
COMMENT ON INDEX holds_being_paid IS 'Finds the checkouts that are under way, of which some may be overdue.';
COMMENT ON INDEX holds_to_expire IS 'Finds what has lapsed.';
COMMENT ON INDEX holds_of_tier_to_expire IS 'Finds what of one tier has lapsed, before it is called sold out.';

CREATE FUNCTION holds_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;
CREATE TRIGGER holds_final_stays_final BEFORE UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION holds_final_stays_final();
COMMENT ON TRIGGER holds_final_stays_final ON holds IS 'A hold that ended stays so, what it is of and its price never change, and one that is being paid for keeps its order.';

-- Bookings. ------------------------------------------------------------------------------------------------------------

CREATE TYPE booking_state AS ENUM ('pending', 'confirmed', 'cancelling', 'cancelled');

CREATE TABLE bookings (
  id           uuid           NOT NULL,
  account_id   uuid           NOT NULL,
  event_id     uuid           NOT NULL,
  customer_id  text           NOT NULL,
  hold_id      uuid           NOT NULL,
  order_id     uuid           NOT NULL,
  payment_id   uuid           NOT NULL,
  refund_id    uuid,
  state        booking_state  NOT NULL DEFAULT 'pending',
  created_at   timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  confirmed_at timestamptz(3),
  cancelled_at timestamptz(3),
  CONSTRAINT bookings_pkey PRIMARY KEY (id),
  CONSTRAINT bookings_account_id_event_id_fkey FOREIGN KEY (account_id, event_id) REFERENCES events (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT bookings_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES holds (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT bookings_account_id_order_id_fkey FOREIGN KEY (account_id, order_id) REFERENCES orders (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT bookings_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id) REFERENCES payments (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT bookings_account_id_refund_id_fkey FOREIGN KEY (account_id, refund_id) REFERENCES refunds (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT bookings_confirmed_when_paid CHECK (state NOT IN ('confirmed', 'cancelling') OR confirmed_at IS NOT NULL),
  CONSTRAINT bookings_cancelled_has_time CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL)),
  CONSTRAINT bookings_cancelling_has_refund CHECK (state <> 'cancelling' OR refund_id IS NOT NULL)
);
CREATE UNIQUE INDEX bookings_account_id_id_key ON bookings (account_id, id);
CREATE UNIQUE INDEX bookings_hold_id_key ON bookings (hold_id);
CREATE UNIQUE INDEX bookings_order_id_key ON bookings (order_id);
CREATE UNIQUE INDEX bookings_payment_id_key ON bookings (payment_id);
CREATE UNIQUE INDEX bookings_refund_id_key ON bookings (refund_id);
COMMENT ON TABLE bookings IS 'What a hold became when its payment was authorized; it stands once the money was taken. What it is of stands in its hold.';
COMMENT ON COLUMN bookings.refund_id IS 'The refund of the latest cancellation.';
COMMENT ON CONSTRAINT bookings_confirmed_when_paid ON bookings IS 'A booking is confirmed by the money.';
COMMENT ON CONSTRAINT bookings_cancelled_has_time ON bookings IS 'A booking is cancelled exactly when it has a time for it.';
COMMENT ON CONSTRAINT bookings_cancelling_has_refund ON bookings IS 'Whoever finds a booking that is being cancelled finds the refund that will end it.';
COMMENT ON INDEX bookings_account_id_id_key IS 'Finds a booking for its account alone.';
COMMENT ON INDEX bookings_hold_id_key IS 'A hold is booked once.';
COMMENT ON INDEX bookings_order_id_key IS 'An order pays one booking.';
COMMENT ON INDEX bookings_payment_id_key IS 'A payment pays one booking.';
COMMENT ON INDEX bookings_refund_id_key IS 'A refund belongs to one cancellation.';

CREATE FUNCTION bookings_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;
CREATE TRIGGER bookings_final_stays_final BEFORE UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION bookings_final_stays_final();
COMMENT ON TRIGGER bookings_final_stays_final ON bookings IS 'A cancelled booking stays so, one that was paid never waits for its money again, and what a booking is of never changes.';

-- The claim row alone decides who has a seat. ----------------------------------------------------------------------------

CREATE TABLE seat_claims (
  seat_id    uuid           NOT NULL,
  section_id uuid           NOT NULL,
  hold_id    uuid           NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  pinned     boolean        NOT NULL DEFAULT false,
  booking_id uuid,
  CONSTRAINT seat_claims_pkey PRIMARY KEY (seat_id),
  CONSTRAINT seat_claims_seat_id_fkey FOREIGN KEY (seat_id) REFERENCES seats (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT seat_claims_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES holds (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT seat_claims_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES bookings (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT seat_claims_booked_is_pinned CHECK (booking_id IS NULL OR pinned)
);
CREATE INDEX seat_claims_of_section ON seat_claims (section_id);
CREATE INDEX seat_claims_of_hold ON seat_claims (hold_id);
COMMENT ON TABLE seat_claims IS 'Who has a seat: no row, nobody; a row whose time is over and that is not pinned, nobody either, and whoever wants the seat deletes it. Expiry and pin stand here and not only in the hold, because a conflicting insert reads only this row again.';
COMMENT ON COLUMN seat_claims.pinned IS 'It does not lapse: it is being paid for, or booked.';
COMMENT ON CONSTRAINT seat_claims_pkey ON seat_claims IS 'A seat is had by one hold, whoever inserts, with or without any lock.';
COMMENT ON CONSTRAINT seat_claims_booked_is_pinned ON seat_claims IS 'What is booked does not lapse.';
COMMENT ON INDEX seat_claims_of_section IS 'Draws the map of one section.';
COMMENT ON INDEX seat_claims_of_hold IS 'Extending, pinning and releasing find the claims of one hold.';

-- Its twin is bookings_one_per_seat: two tables would have to be wrong before a seat is sold twice.
CREATE FUNCTION seat_claims_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;
CREATE TRIGGER seat_claims_are_kept BEFORE UPDATE ON seat_claims FOR EACH ROW EXECUTE FUNCTION seat_claims_are_kept();
CREATE TRIGGER seat_claims_pinned_are_kept BEFORE DELETE ON seat_claims FOR EACH ROW WHEN (OLD.pinned) EXECUTE FUNCTION seat_claims_are_kept();
COMMENT ON TRIGGER seat_claims_are_kept ON seat_claims IS 'A claim never passes from one hold to another, and a booked one never changes.';
COMMENT ON TRIGGER seat_claims_pinned_are_kept ON seat_claims IS 'A seat that is booked, or being paid for, is not given away before that has ended.';

CREATE TABLE booked_seats (
  booking_id  uuid           NOT NULL,
  seat_id     uuid           NOT NULL,
  released_at timestamptz(3),
  CONSTRAINT booked_seats_pkey PRIMARY KEY (booking_id, seat_id),
  CONSTRAINT booked_seats_booking_id_fkey FOREIGN KEY (booking_id) REFERENCES bookings (id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT booked_seats_seat_id_fkey FOREIGN KEY (seat_id) REFERENCES seats (id) ON DELETE RESTRICT ON UPDATE RESTRICT
);
CREATE UNIQUE INDEX bookings_one_per_seat ON booked_seats (seat_id) WHERE released_at IS NULL;
COMMENT ON TABLE booked_seats IS 'Every booking that a seat ever had. Claims are deleted, these rows stay.';
COMMENT ON INDEX bookings_one_per_seat IS 'A seat has one booking at a time; the twin of seat_claims_pkey.';
