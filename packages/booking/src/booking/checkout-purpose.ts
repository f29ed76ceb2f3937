import { afterCommit, Prisma, type Tx } from '@seatbelt/database'
import {
  type Booking,
  type CheckoutOutcome,
  type Hold,
  holdAfterFailedCheckout,
  type Payment,
  type Refund,
  type RefundOutcome,
} from '@seatbelt/domain'
import { type CheckoutSteps, enqueueMessages, type Topic } from '@seatbelt/payments'
import { type FinalOutcome, orderLockName } from '@seatbelt/safety'
import { freeHold, type SeatNews } from '../hold/free-hold.ts'
import { type LockedHold, lockHoldOfOrder } from '../hold/hold-rows.ts'
import type { BookingRenderings } from '../shared/operations.ts'
import { bookHold } from './book-hold.ts'
import { findBookingOfOrder, findBookingOfRefund, readBooking } from './booking-queries.ts'
import { releaseBooking } from './release-booking.ts'

export interface CheckoutStepsParts extends SeatNews {
  readonly renderings: BookingRenderings
  readonly newId: () => string
  readonly reportFault: (fault: unknown, resource: string) => void
}

/**
 * What happens to seats in the commits that settle a checkout's payment, whoever settles it: the API, the worker, or the gateway's
 * webhook. All three compose these.
 *
 * Under the order's lock; then, as everywhere, the hold's row, its claims in the order of their seats, its tier.
 */
export function createCheckoutSteps(parts: CheckoutStepsParts): CheckoutSteps {
  return {
    authorized: (tx, payment) => bookAuthorized(parts, tx, payment),
    ended: async (tx, payment, outcome) => {
      const ended =
        outcome.state === 'succeeded' ? await confirm(parts, tx, payment) : await undo(parts, tx, payment, outcome)
      return { answer: parts.renderings.checkoutEnded(ended), paidInVain: ended.kind === 'paid-without-seats' }
    },
    refunded: (tx, refund, outcome) => endCancellation(parts, tx, refund, outcome),
  }
}

/** The money is on hold. What it is for is booked, or it is given back. */
async function bookAuthorized(parts: CheckoutStepsParts, tx: Tx, payment: Payment): Promise<'capture' | 'void'> {
  const hold = await lockHoldOfOrder(tx, payment)
  if (hold.state === 'checking_out') {
    if (await bookHold(parts.tell, tx, { id: parts.newId(), hold, payment })) return 'capture'
    // Its claims were pinned: whoever took one away did so by hand. Nobody is to pay for what is left of them.
    await freeHold(parts, tx, hold, 'expired')
  }
  report(parts, tx, payment, 'its seats were gone when its payment was authorized, which is given back')
  return 'void'
}

async function confirm(parts: CheckoutStepsParts, tx: Tx, payment: Payment): Promise<CheckoutOutcome> {
  const pending = (await findBookingOfOrder(tx, payment)) ?? (await bookCaptured(parts, tx, payment))
  if (!pending) {
    report(parts, tx, payment, 'its payment was taken and its seats are gone: it is refunded')
    return { kind: 'paid-without-seats', hold: await lockHoldOfOrder(tx, payment) }
  }
  await tx.$executeRaw`
    UPDATE bookings SET state = 'confirmed', confirmed_at = clock_timestamp()
     WHERE id = ${pending.id}::uuid AND state = 'pending'`
  const booking = await readBooking(tx, pending.id)
  await tellBooking(parts, tx, booking, 'booking.confirmed')
  return { kind: 'booked', booking }
}

/** Captured at the gateway by somebody else than us, before we heard that it was authorized. */
async function bookCaptured(parts: CheckoutStepsParts, tx: Tx, payment: Payment): Promise<Booking | null> {
  const hold = await lockHoldOfOrder(tx, payment)
  const id = parts.newId()
  const isBooked = hold.state === 'checking_out' && (await bookHold(parts.tell, tx, { id, hold, payment }))
  return isBooked ? readBooking(tx, id) : null
}

type Failed = Exclude<FinalOutcome, { state: 'succeeded' }>

/** Nothing was taken: the hold goes on with the time that it had left, or what was booked is given back. */
async function undo(parts: CheckoutStepsParts, tx: Tx, payment: Payment, outcome: Failed): Promise<CheckoutOutcome> {
  const booking = await findBookingOfOrder(tx, payment)
  if (booking) {
    const cancelled = await releaseBooking(parts, tx, booking)
    await tellBooking(parts, tx, cancelled, 'booking.cancelled')
    return { kind: 'not-paid', outcome, hold: await lockHoldOfOrder(tx, payment) }
  }
  const hold = await lockHoldOfOrder(tx, payment)
  if (hold.state === 'checking_out') return { kind: 'not-paid', outcome, hold: await endCheckout(parts, tx, hold) }
  return outcome.state === 'voided' ? { kind: 'seats-gone', hold } : { kind: 'not-paid', outcome, hold }
}

async function endCheckout(parts: CheckoutStepsParts, tx: Tx, hold: LockedHold): Promise<Hold> {
  const state = holdAfterFailedCheckout(hold.checkouts)
  if (state === 'expired') {
    await freeHold(parts, tx, hold, state)
    return { ...hold, state }
  }
  return { ...hold, state, expiresAt: await unpin(tx, hold.id) }
}

/** Its clock goes on where it stood when the checkout began. */
async function unpin(tx: Tx, holdId: string): Promise<Date> {
  const [row] = await tx.$queryRaw<{ expiresAt: Date }[]>`
    WITH unpinned AS (
      UPDATE holds
         SET state = 'active', expires_at = clock_timestamp() + make_interval(secs => left_ms / 1000.0), left_ms = NULL
       WHERE id = ${holdId}::uuid RETURNING expires_at),
    claims AS (
      UPDATE seat_claims SET pinned = false, expires_at = unpinned.expires_at FROM unpinned
       WHERE hold_id = ${holdId}::uuid)
    SELECT expires_at AS "expiresAt" FROM unpinned`
  if (!row) throw new Error(`hold ${holdId} is not there`)
  return row.expiresAt
}

/**
 * A refund got this far. If it is that of a cancelled booking: the seats are free once the gateway has it in hand, also where the
 * bank takes its time; and where the gateway gave nothing back, the booking stands.
 */
async function endCancellation(parts: CheckoutStepsParts, tx: Tx, refund: Refund, outcome: RefundOutcome) {
  const booking = await findBookingOfRefund(tx, refund.id)
  if (!booking) {
    if (outcome.state === 'failed') await reportOwed(parts, tx, refund)
    return null
  }
  if (outcome.state === 'failed') {
    // One that had been pending: its seats may have been sold since. The payment can still be refunded on its own.
    const standing = booking.state === 'cancelled' ? booking : await restore(tx, booking)
    return parts.renderings.cancellationEnded({ kind: 'refund-failed', booking: standing, outcome })
  }
  if (booking.state === 'cancelled') return parts.renderings.cancellationEnded({ kind: 'cancelled', booking })
  const cancelled = await releaseBooking(parts, tx, booking)
  await tellBooking(parts, tx, cancelled, 'booking.cancelled')
  return parts.renderings.cancellationEnded({ kind: 'cancelled', booking: cancelled })
}

/** Nobody asked for it and nobody hears its answer: money that was taken for seats that are gone. */
async function reportOwed(parts: CheckoutStepsParts, tx: Tx, refund: Refund): Promise<void> {
  const order = await tx.order.findUniqueOrThrow({ where: { id: refund.orderId }, select: { purpose: true } })
  if (order.purpose !== 'checkout' || (await findBookingOfOrder(tx, refund))) return
  report(parts, tx, refund, 'its payment was taken in vain and could not be given back: a person must do it')
}

async function restore(tx: Tx, { id }: Booking): Promise<Booking> {
  await tx.$executeRaw(
    Prisma.sql`UPDATE bookings SET state = 'confirmed' WHERE id = ${id}::uuid AND state = 'cancelling'`,
  )
  return readBooking(tx, id)
}

export async function tellBooking(
  { newId, renderings }: Pick<CheckoutStepsParts, 'newId' | 'renderings'>,
  tx: Tx,
  booking: Booking,
  topic: Topic,
): Promise<void> {
  const { accountId, id: subjectId } = booking
  await enqueueMessages({ newId }, tx, {
    accountId,
    topic,
    subjectId,
    receipt: null,
    data: renderings.bookingSeen(booking),
  })
}

/** Once it is committed, and not with each repetition of the transaction. */
function report(
  { reportFault }: CheckoutStepsParts,
  tx: Tx,
  of: Pick<Payment, 'accountId' | 'orderId'>,
  what: string,
): void {
  const fault = new Error(`checkout by order ${of.orderId}: ${what}`)
  afterCommit(tx, () => reportFault(fault, orderLockName(of)))
}
