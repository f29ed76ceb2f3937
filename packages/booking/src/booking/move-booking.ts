import { sql, type Tx } from '@seatbelt/database'
import type { Booking, Payment } from '@seatbelt/domain'
import { enqueueMessages } from '@seatbelt/payments'
import { changedOne } from '@seatbelt/safety'
import { deleteClaims } from '../hold/delete-claims.ts'
import type { LockedHold } from '../hold/hold-queries.ts'
import { moveHold } from '../hold/move-hold.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { BookingNow } from './booking-queries.ts'

/** The dependencies of the writes that create and move a booking, under the lock of its order. */
export type SettlingDeps = Pick<BookingDeps, 'payments' | 'renderings' | 'publishSeatChange'>

/**
 * Turns a hold that is being checked out, and is whole, into a booking that waits for its money.
 *
 * Guarantees: all of it or nothing. Claims and booked seats are both written, so that either table alone keeps a seat
 * from being sold twice.
 */
export function bookHold(
  { payments, publishSeatChange }: SettlingDeps,
  tx: Tx,
  hold: LockedHold,
  { id: paymentId, orderId }: Payment,
): void {
  const { eventId, accountId, customerId, id: holdId, tierId, quantity } = hold
  const id = payments.runtime.newId()
  tx.write(sql`
    INSERT INTO bookings (id, account_id, event_id, customer_id, hold_id, order_id, payment_id, created_at)
    VALUES (${id}::uuid, ${accountId}::uuid, ${eventId}::uuid, ${customerId}, ${holdId}::uuid, ${orderId}::uuid,
            ${paymentId}::uuid, ${hold.now}::timestamptz)`)
  moveHold(tx, hold, {
    hold: sql`state = 'booked', left_ms = NULL`,
    claims: sql`booking_id = ${id}::uuid, pinned = true`,
  })
  if (tierId === null)
    tx.write(sql`
      INSERT INTO booked_seats (account_id, booking_id, seat_id)
      SELECT ${accountId}::uuid, ${id}::uuid, unnest(${hold.claimedIds}::uuid[])`)
  else
    tx.write(sql`
      WITH changed AS (
        UPDATE tiers SET sold = sold + ${quantity}, held = held - ${quantity}
         WHERE id = ${tierId}::uuid AND held >= ${quantity}
        RETURNING id)
      SELECT ${changedOne['places-held']}`)
  publishSeatChange(tx, hold, 'booked')
}

/** The money was taken. */
export function confirmBooking(deps: SettlingDeps, tx: Tx, booking: BookingNow): Booking {
  const confirmed = moveBooking(tx, booking, { state: 'confirmed', confirmedAt: booking.now })
  announce(deps, tx, confirmed)
  return confirmed
}

/** Cancels a booking and frees what it was of. Its money is the caller's business. */
export function freeBooking(deps: SettlingDeps, tx: Tx, booking: BookingNow): Booking {
  const cancelled = moveBooking(tx, booking, { state: 'cancelled', cancelledAt: booking.now })
  const { id, tierId, quantity, now } = booking
  if (tierId === null) {
    tx.write(sql`UPDATE booked_seats SET released_at = ${now}::timestamptz WHERE booking_id = ${id}::uuid`)
    deleteClaims(tx, sql`booking_id = ${id}::uuid`)
  } else {
    // Never below zero, as when a hold is freed.
    tx.write(sql`UPDATE tiers SET sold = greatest(0, sold - ${quantity}) WHERE id = ${tierId}::uuid`)
  }
  deps.publishSeatChange(tx, cancelled, 'free')
  announce(deps, tx, cancelled)
  return cancelled
}

type Move = Pick<Booking, 'state'> & Partial<Pick<Booking, 'refundId' | 'confirmedAt' | 'cancelledAt'>>

/** Layer 4 for bookings: moves the booking from the state that was read to the next one. */
export function moveBooking(tx: Tx, { now: _, isInReview: __, ...booking }: BookingNow, move: Move): Booking {
  const moved: Booking = { ...booking, ...move }
  tx.write(sql`
    WITH changed AS (
      UPDATE bookings
         SET state = ${moved.state}::booking_state, refund_id = ${moved.refundId}::uuid,
             confirmed_at = ${moved.confirmedAt}::timestamptz, cancelled_at = ${moved.cancelledAt}::timestamptz
       WHERE id = ${booking.id}::uuid AND state = ${booking.state}::booking_state
      RETURNING id)
    SELECT ${changedOne['booking-state']}`)
  return moved
}

/** To the account's webhook. */
function announce({ payments, renderings }: SettlingDeps, tx: Tx, booking: Booking): void {
  const topic = booking.state === 'confirmed' ? 'booking.confirmed' : 'booking.cancelled'
  const { accountId, id: subjectId } = booking
  enqueueMessages(payments, tx, { accountId, topic, subjectId, data: renderings.bookingSeen(booking), receipt: null })
}
