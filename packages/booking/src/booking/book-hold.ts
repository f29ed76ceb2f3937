import { afterCommit, type Tx } from '@seatbelt/database'
import type { Payment } from '@seatbelt/domain'
import type { LockedHold } from '../hold/hold-rows.ts'
import type { TellSeatChange } from '../live/seat-change.ts'

export interface NewBooking {
  readonly id: string
  readonly hold: LockedHold
  /** The one that pays for it. */
  readonly payment: Payment
}

/**
 * Turns a hold that is being checked out into a booking, under the locks of its order and of its row.
 *
 * Guarantees: all of it or nothing. False: not all of it is the hold's any more, and nothing was written. Claims and bookings are
 * asked both, so that one of the two tables would be enough to keep a seat from being sold twice.
 */
export async function bookHold(tell: TellSeatChange, tx: Tx, booking: NewBooking): Promise<boolean> {
  const { hold } = booking
  const isThere = hold.tierId === null ? await locksOwnClaims(tx, hold) : await sellsOwnPlaces(tx, hold.tierId, hold)
  if (!isThere) return false
  await insertBooking(tx, booking)
  const { eventId, seatIds, tierId, quantity } = hold
  afterCommit(tx, () => tell({ eventId, seatIds, tierId, quantity, state: 'booked' }))
  return true
}

async function locksOwnClaims(tx: Tx, { id, quantity }: LockedHold): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`
    WITH own AS MATERIALIZED (
      SELECT seat_id FROM seat_claims
       WHERE hold_id = ${id}::uuid AND pinned AND booking_id IS NULL ORDER BY seat_id FOR UPDATE)
    SELECT FROM own
     WHERE NOT EXISTS (SELECT FROM booked_seats WHERE booked_seats.seat_id = own.seat_id AND released_at IS NULL)`
  return rows.length === quantity
}

async function sellsOwnPlaces(tx: Tx, tierId: string, { quantity }: LockedHold): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE tiers SET sold = sold + ${quantity}, held = held - ${quantity}
     WHERE id = ${tierId}::uuid AND held >= ${quantity}`
  return count === 1
}

async function insertBooking(tx: Tx, { id, hold, payment }: NewBooking): Promise<void> {
  await tx.$executeRaw`
    WITH booking AS (
      INSERT INTO bookings (id, account_id, event_id, customer_id, hold_id, order_id, payment_id)
      VALUES (${id}::uuid, ${hold.accountId}::uuid, ${hold.eventId}::uuid, ${hold.customerId}, ${hold.id}::uuid,
              ${payment.orderId}::uuid, ${payment.id}::uuid)
      RETURNING id),
    claimed AS (
      UPDATE seat_claims SET booking_id = booking.id FROM booking WHERE hold_id = ${hold.id}::uuid
      RETURNING seat_id, booking_id),
    booked AS (INSERT INTO booked_seats (booking_id, seat_id) SELECT booking_id, seat_id FROM claimed)
    UPDATE holds SET state = 'booked', left_ms = NULL WHERE id = ${hold.id}::uuid`
}
