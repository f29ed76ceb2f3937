-- The columns of the rebuilt core. Stop the replicas of the version before; the new version recovers what they left.

-- 1. Guards. A write that found another row than it had read ends its transaction, and the COMMIT that left with it.
CREATE FUNCTION guard(holds boolean, name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF holds IS NOT TRUE THEN
    RAISE EXCEPTION 'the guard % failed', name USING ERRCODE = 'SB001', CONSTRAINT = name;
  END IF;
END $$;
COMMENT ON FUNCTION guard(boolean, text) IS
  'Ends the transaction when a write found another row than its writer had read.';

-- 2. The vocabulary of the field.
ALTER TABLE payments RENAME COLUMN look_at TO next_attempt_at;
ALTER TABLE payments RENAME COLUMN looks TO attempts;
ALTER TABLE payments RENAME COLUMN hinted TO wake_requested;
ALTER TABLE payments RENAME COLUMN wanted_until TO abandon_after;
ALTER TABLE refunds RENAME COLUMN look_at TO next_attempt_at;
ALTER TABLE refunds RENAME COLUMN looks TO attempts;
ALTER TABLE refunds RENAME COLUMN hinted TO wake_requested;
ALTER TABLE outbox RENAME COLUMN look_at TO next_attempt_at;
-- The column keeps milliseconds. A rounded time could lie in the future, where a relay does not find the message yet.
ALTER TABLE outbox ALTER COLUMN next_attempt_at SET DEFAULT date_trunc('milliseconds', clock_timestamp());
ALTER TABLE idempotency_keys RENAME CONSTRAINT idempotency_keys_intent_or_answer TO idempotency_keys_target_or_answer;

-- 3. The owner of a generation. A later step belongs to the attempt whose id stands here, and to no other.
ALTER TABLE payments ADD COLUMN owner uuid;
ALTER TABLE refunds ADD COLUMN owner uuid;
COMMENT ON COLUMN payments.owner IS
  'The attempt that acts under this generation. An owner whose COMMIT was not answered finds itself here.';
COMMENT ON COLUMN refunds.owner IS
  'The attempt that acts under this generation. An owner whose COMMIT was not answered finds itself here.';

-- 4. The source of the gateway's idempotency keys. Null: the id of the row itself, as in the version before.
ALTER TABLE orders ADD COLUMN gateway_reference text;
ALTER TABLE payments ADD COLUMN gateway_key text;
ALTER TABLE refunds ADD COLUMN gateway_key text;
COMMENT ON COLUMN orders.gateway_reference IS
  'What the gateway''s keys and metadata of this order come from. Null: the ids of its payments and refunds.';
COMMENT ON COLUMN payments.gateway_key IS
  'First part of the gateway''s idempotency keys. Null: the id of the payment.';
COMMENT ON COLUMN refunds.gateway_key IS
  'First part of the gateway''s idempotency key. Null: the id of the refund.';

CREATE FUNCTION orders_gateway_reference_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the gateway reference of order % cannot change', OLD.id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_gateway_reference_stays';
END $$;
CREATE TRIGGER orders_gateway_reference_stays BEFORE UPDATE OF gateway_reference ON orders FOR EACH ROW
  WHEN (OLD.gateway_reference IS DISTINCT FROM NEW.gateway_reference)
  EXECUTE FUNCTION orders_gateway_reference_stays();
COMMENT ON TRIGGER orders_gateway_reference_stays ON orders IS
  'A step that is repeated meets the same intent at the gateway: what its key comes from never changes.';

CREATE OR REPLACE FUNCTION payments_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  but_for_refunds payments := NEW;
BEGIN
  -- Refunds change these two of a final payment; payments_refunds_within_payment bounds them.
  but_for_refunds.refunded_minor := OLD.refunded_minor;
  but_for_refunds.refund_pending_minor := OLD.refund_pending_minor;
  IF OLD.state IN ('succeeded', 'declined', 'cancelled', 'voided') AND but_for_refunds IS DISTINCT FROM OLD THEN
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
END $$;
COMMENT ON TRIGGER payments_final_stays_final ON payments IS
  'A settled payment never changes. Neither do the stored intent, the amount and the gateway''s key of any payment, '
  'and a generation only grows.';

CREATE OR REPLACE FUNCTION refunds_final_stays_final() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;
COMMENT ON TRIGGER refunds_final_stays_final ON refunds IS
  'A refund never changes what it returns, nor the gateway''s key. One that succeeded can only be reversed, once.';

-- 5. The account of each row, in the row itself.
ALTER TABLE event_sections ADD COLUMN account_id uuid;
ALTER TABLE tiers ADD COLUMN account_id uuid;
ALTER TABLE seats ADD COLUMN account_id uuid;
ALTER TABLE seat_claims ADD COLUMN account_id uuid;
ALTER TABLE booked_seats ADD COLUMN account_id uuid;
ALTER TABLE payment_events ADD COLUMN account_id uuid;
ALTER TABLE transfers ADD COLUMN account_id uuid;
ALTER TABLE gateway_events ADD COLUMN account_id uuid;
COMMENT ON COLUMN gateway_events.account_id IS 'Null: the event was about no payment or refund of ours.';

UPDATE event_sections SET account_id = events.account_id FROM events WHERE events.id = event_id;
UPDATE tiers SET account_id = events.account_id FROM events WHERE events.id = event_id;
UPDATE seats SET account_id = events.account_id FROM events WHERE events.id = event_id;
ALTER TABLE seat_claims DISABLE TRIGGER seat_claims_are_kept;
UPDATE seat_claims SET account_id = holds.account_id FROM holds WHERE holds.id = hold_id;
ALTER TABLE seat_claims ENABLE TRIGGER seat_claims_are_kept;
UPDATE booked_seats SET account_id = bookings.account_id FROM bookings WHERE bookings.id = booking_id;
ALTER TABLE payment_events DISABLE TRIGGER payment_events_append_only;
UPDATE payment_events SET account_id = payments.account_id FROM payments WHERE payments.id = payment_id;
ALTER TABLE payment_events ENABLE TRIGGER payment_events_append_only;
ALTER TABLE transfers DISABLE TRIGGER transfers_append_only;
UPDATE transfers SET account_id = payments.account_id FROM payments WHERE payments.id = payment_id;
ALTER TABLE transfers ENABLE TRIGGER transfers_append_only;
UPDATE gateway_events SET account_id = payments.account_id FROM payments WHERE payments.id = payment_id;
UPDATE gateway_events SET account_id = refunds.account_id FROM refunds WHERE refunds.id = refund_id;

ALTER TABLE event_sections ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE tiers ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE seats ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE seat_claims ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE booked_seats ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE payment_events ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE transfers ALTER COLUMN account_id SET NOT NULL;

-- The foreign key that was there now proves the account as well. It costs no more than before.
ALTER TABLE event_sections
  DROP CONSTRAINT event_sections_event_id_fkey,
  ADD CONSTRAINT event_sections_account_id_event_id_fkey FOREIGN KEY (account_id, event_id)
    REFERENCES events (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE tiers
  DROP CONSTRAINT tiers_event_id_fkey,
  ADD CONSTRAINT tiers_account_id_event_id_fkey FOREIGN KEY (account_id, event_id)
    REFERENCES events (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE booked_seats
  DROP CONSTRAINT booked_seats_booking_id_fkey,
  ADD CONSTRAINT booked_seats_account_id_booking_id_fkey FOREIGN KEY (account_id, booking_id)
    REFERENCES bookings (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE payment_events
  DROP CONSTRAINT payment_events_payment_id_fkey,
  ADD CONSTRAINT payment_events_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id)
    REFERENCES payments (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE transfers
  DROP CONSTRAINT transfers_payment_id_fkey,
  ADD CONSTRAINT transfers_account_id_payment_id_fkey FOREIGN KEY (account_id, payment_id)
    REFERENCES payments (account_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT;

-- 6. The person who decided.
ALTER TABLE payment_events ADD COLUMN actor text;
COMMENT ON COLUMN payment_events.actor IS 'The person who decided this. Null: the system did.';

-- 7. Comments of these tables in the words of the field.
COMMENT ON CONSTRAINT orders_purpose_is_known ON orders IS
  'The code that settles an order finds by its purpose what else belongs into that commit.';
COMMENT ON TRIGGER orders_version_grows ON orders IS
  'Each change of an order shows in its version, so that compare-and-set finds it.';

COMMENT ON TABLE payments IS 'One attempt to collect an order''s money, written before the gateway is asked.';
COMMENT ON COLUMN payments.generation IS
  'Raised at each takeover. A write of an owner names the generation that it claimed.';
COMMENT ON COLUMN payments.leased_until IS
  'Until when the owner may ask the gateway. Null: the payment has no owner, and recovery takes it when it is due.';
COMMENT ON COLUMN payments.next_attempt_at IS 'When recovery may take the payment over, if its lease is over by then.';
COMMENT ON COLUMN payments.attempts IS
  'How often recovery has tried this step without an outcome. It spaces the next tries.';
COMMENT ON COLUMN payments.abandon_after IS
  'Until then recovery asks for the money; afterwards it cancels the intent.';
COMMENT ON COLUMN payments.wake_requested IS
  'The gateway sent an event while an owner was at work: recovery starts as soon as that owner gives up.';
COMMENT ON COLUMN payments.void_at IS
  'When recovery voids an authorization that was not captured, well before the gateway lets it lapse.';
COMMENT ON COLUMN payments.declined_by IS
  'The bank, or the gateway where it refused our request, which says nothing about the card.';
COMMENT ON CONSTRAINT payments_declined_by_somebody ON payments IS 'Only a refusal records which side refused.';
COMMENT ON CONSTRAINT payments_leased_only_while_open ON payments IS
  'A settled payment has no owner, and neither has one that waits for the merchant''s decision.';
COMMENT ON INDEX payments_to_recover IS 'Finds the open payments that are due, without reading settled ones.';
COMMENT ON INDEX payments_to_void IS 'Finds authorizations that were not captured in time.';

COMMENT ON TABLE refunds IS 'One attempt to return money, written before the gateway is asked.';
COMMENT ON CONSTRAINT refunds_leased_only_while_open ON refunds IS 'A settled refund has no owner.';
COMMENT ON INDEX refunds_to_recover IS 'Finds the open refunds that are due, without reading settled ones.';

COMMENT ON COLUMN idempotency_keys.step IS 'The step of its target that the key started.';
COMMENT ON CONSTRAINT idempotency_keys_target_or_answer ON idempotency_keys IS
  'A key without an answer names the payment or refund that will bring one.';
COMMENT ON CONSTRAINT idempotency_keys_step_is_known ON idempotency_keys IS
  'A key started one step of one payment or refund, or none at all.';

COMMENT ON TABLE outbox IS 'Messages to receivers outside, each written in the commit that made it true.';
COMMENT ON CONSTRAINT outbox_channel_is_known ON outbox IS
  'A receipt has a recipient. A webhook goes to the endpoint of the account.';
COMMENT ON CONSTRAINT outbox_leased_only_while_open ON outbox IS 'A message that was sent or given up has no owner.';
COMMENT ON INDEX outbox_one_message_per_fact IS 'A fact is published once on each channel.';

COMMENT ON TABLE gateway_events IS
  'The gateway''s events that we received, each written in the commit of what it caused.';
COMMENT ON CONSTRAINT gateway_events_result_is_known ON gateway_events IS
  'An event settled something, made recovery start, or was about nothing of ours.';

COMMENT ON CONSTRAINT tiers_never_oversold ON tiers IS
  'What is sold and held never exceeds the capacity and is never less than zero.';
COMMENT ON TABLE seat_claims IS
  'The owner of a seat. The seat is free without a row, or with one that has expired and is not pinned; the next buyer '
  'deletes that row. Expiry and pin stand here and not only in the hold, because a conflicting insert reads only '
  'this row again.';
COMMENT ON CONSTRAINT seat_claims_pkey ON seat_claims IS 'A seat has one claim, with or without any lock.';
COMMENT ON TRIGGER seat_claims_pinned_are_kept ON seat_claims IS
  'A seat that is booked, or being paid for, keeps its claim until that has ended.';
