import { type Database, type Sql, sql, type Tx } from '@seatbelt/database'
import type { Booking } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'

/** A booking as it stands, with the database's time. */
export interface BookingNow extends Booking {
  readonly now: Date
  /** Its payment, or the refund of its cancellation, waits for an operator. */
  readonly isInReview: boolean
}

/** Of this account only; another account's booking is as unknown as one that never was. */
export function findBooking(database: Database, accountId: string, bookingId: string): Promise<BookingNow | null> {
  const which = sql`booking.account_id = ${accountId}::uuid AND booking.id = ${bookingId}::uuid`
  return findOne((statement) => database.query(statement), which)
}

/** Of a booking that was found before, under the lock of its order. */
export async function readBooking(tx: Tx, bookingId: string): Promise<BookingNow> {
  const booking = await findOne((statement) => tx.read(statement), sql`booking.id = ${bookingId}::uuid`)
  if (!booking) throw new Error(`booking ${bookingId} is gone`)
  return booking
}

/** The booking that this order pays, under the order's lock. */
export function readBookingOfOrder(tx: Tx, orderId: string): Promise<BookingNow | null> {
  return findOne((statement) => tx.read(statement), sql`booking.order_id = ${orderId}::uuid`)
}

interface BookingRow extends Omit<BookingNow, 'currency'> {
  readonly currency: string
}

/** The seats or places of a booking and its price stand in its hold, the money taken and refunded in its payment. */
async function findOne(ask: (statement: Sql) => Promise<BookingRow[]>, which: Sql): Promise<BookingNow | null> {
  const [row] = await ask(sql`
    SELECT booking.id, booking.account_id AS "accountId", booking.event_id AS "eventId",
           booking.customer_id AS "customerId", booking.hold_id AS "holdId", booking.order_id AS "orderId",
           booking.payment_id AS "paymentId", booking.refund_id AS "refundId", booking.state::text,
           coalesce(hold.seat_ids, '{}') AS "seatIds", hold.tier_id AS "tierId", hold.quantity,
           hold.amount_minor AS "amountMinor", hold.currency,
           CASE WHEN payment.state = 'succeeded' THEN COALESCE(payment.captured_minor, payment.amount_minor) ELSE 0 END
             AS "capturedMinor", payment.refunded_minor AS "refundedMinor", payment.state::text AS "paymentState",
           payment.dispute_state AS "disputeState", payment.disputed_minor AS "disputedMinor",
           ${owedMinor} AS "owedMinor", booking.created_at AS "createdAt",
           booking.confirmed_at AS "confirmedAt", booking.cancelled_at AS "cancelledAt", clock_timestamp() AS now,
           payment.state = 'needs_review' OR EXISTS (
             SELECT FROM refunds WHERE refunds.id = booking.refund_id AND refunds.state = 'needs_review') AS "isInReview"
      FROM bookings AS booking
      JOIN holds AS hold ON hold.id = booking.hold_id
      JOIN payments AS payment ON payment.id = booking.payment_id
     WHERE ${which}`)
  return row ? { ...row, currency: toCurrency(row.currency) } : null
}

/**
 * What is left of the money of a cancelled booking of which a refund failed, or a dispute gave money back to the
 * merchant, after its seats were given up. An operator who cancels after that settles it with the customer in another
 * way, so nothing is owed then.
 */
const owedMinor = sql`
  CASE WHEN booking.state = 'cancelled' AND (EXISTS (
    SELECT FROM refunds
     WHERE refunds.order_id = booking.order_id AND refunds.state = 'failed'
       AND COALESCE(refunds.reversed_at, refunds.settled_at) > booking.cancelled_at)
    OR EXISTS (
    SELECT FROM transfers
     WHERE transfers.payment_id = booking.payment_id AND transfers.kind = 'dispute_reinstatement'
       AND transfers.created_at >= booking.cancelled_at))
  THEN GREATEST(0, COALESCE(payment.captured_minor, payment.amount_minor) - payment.refunded_minor
                   - payment.refund_pending_minor - payment.disputed_minor)
  ELSE 0 END`
