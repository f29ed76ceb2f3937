-- An event may limit the seats of a customer in all. A hold that ends without a payment keeps the time of its end.
ALTER TABLE events
  ADD COLUMN seats_per_customer_in_all int,
  ADD CONSTRAINT events_somebody_may_buy CHECK (seats_per_customer_in_all BETWEEN 1 AND 1000);
COMMENT ON COLUMN events.seats_per_customer_in_all IS
  'How many seats and places one customer may have in all: held, and booked without being cancelled. Null: no limit.';
COMMENT ON CONSTRAINT events_somebody_may_buy ON events IS 'A limit leaves at least one seat.';

CREATE INDEX bookings_of_customer ON bookings (event_id, customer_id) WHERE state <> 'cancelled';
COMMENT ON INDEX bookings_of_customer IS 'Counts what a customer has bought of an event.';

ALTER TABLE holds
  ADD COLUMN ended_at timestamptz(3),
  ADD CONSTRAINT holds_ended_without_payment CHECK (ended_at IS NULL OR state IN ('released', 'expired'));
COMMENT ON COLUMN holds.ended_at IS
  'When it was released, or its time was over. Null: it goes on, was booked, or ended under an earlier version.';
COMMENT ON CONSTRAINT holds_ended_without_payment ON holds IS 'Only a hold that was not paid for ends.';

CREATE INDEX holds_ended_of_customer ON holds (event_id, customer_id, ended_at) WHERE ended_at IS NOT NULL;
COMMENT ON INDEX holds_ended_of_customer IS 'Finds the seats that a customer let go a short time ago.';
