import { sql, type Tx } from '@seatbelt/database'
import {
  type CheckoutOutcome,
  type Hold,
  holdAfterFailedCheckout,
  orderStateAfter,
  type Payment,
  type Refund,
  type RefundOutcome,
  refundObstacle,
} from '@seatbelt/domain'
import {
  openRefund,
  orderLockName,
  type PaymentDeps,
  type Purpose,
  type RefundAnswer,
  type RefundableAmount,
  type RefundEnd,
  type Reinstated,
} from '@seatbelt/payments'
import type { FinalOutcome } from '@seatbelt/safety'
import { freeHolds } from '../hold/free-holds.ts'
import { holdOfOrder, type LockedHold, lockHold } from '../hold/hold-queries.ts'
import { moveHold } from '../hold/move-hold.ts'
import { type BookingNow, readBookingOfOrder } from './booking-queries.ts'
import { bookHold, confirmBooking, freeBooking, moveBooking, type SettlingDeps } from './move-booking.ts'

/**
 * What happens to seats in the commits that settle a checkout's payment, whichever process settles it: the API, the
 * worker, or the receiver of the gateway's webhooks. All of them compose this purpose.
 */
export function createCheckoutPurpose(parts: Omit<SettlingDeps, 'payments'>): Purpose {
  return {
    settling: async (payments, tx, { accountId, orderId }) => {
      const [hold, booking] = await Promise.all([
        lockHold(tx, holdOfOrder({ accountId, orderId })),
        readBookingOfOrder(tx, orderId),
      ])
      // A settle that lost its race may find no hold: the next checkout of the hold has another order.
      const settlement = (): Settlement => {
        if (!hold) throw new Error(`order ${orderId} is of a checkout, and no hold names it`)
        return { ...parts, payments, tx, hold, booking }
      }
      return {
        keyStep: () => 'checkout',
        authorized: async (payment) => bookAuthorized(settlement(), payment),
        ended: async (payment, outcome) => {
          const ended =
            outcome.state === 'succeeded' ? await confirm(settlement(), payment) : undo(settlement(), outcome)
          return {
            orderState: orderStateAfter(outcome, 'checkout'),
            answer: () => parts.renderings.checkoutEnded(ended),
            withdrawalAnswer: null,
            isUnfulfilled: ended.kind === 'paid-without-seats',
          }
        },
      }
    },
    refunded: (payments, tx, refund, end) => endCancellation({ ...parts, payments }, tx, refund, end),
    refundLost: async (payments, tx, refund) => {
      reportOwed(payments, tx, refund, await readBookingOfOrder(tx, refund.orderId))
    },
    reinstated: async (payments, tx, payment) => {
      if (payment.leftMinor > 0) reportReinstated(payments, tx, payment, await readBookingOfOrder(tx, payment.orderId))
    },
  }
}

/** One settle of a checkout's payment. */
interface Settlement extends SettlingDeps {
  readonly tx: Tx
  readonly hold: LockedHold
  readonly booking: BookingNow | null
}

/** The money is reserved. The seats are booked, or the authorization is voided. */
function bookAuthorized(settlement: Settlement, payment: Payment): 'capture' | 'void' {
  const { tx, hold, payments } = settlement
  if (hold.state === 'checking_out') {
    if (hold.isWhole) {
      bookHold(settlement, tx, hold, payment)
      return 'capture'
    }
    // Its claims were pinned, so they were deleted by hand. No customer pays for the seats that are left.
    freeHolds(settlement, tx, [hold], 'expired')
  }
  report(payments, tx, payment, 'its seats were gone when its payment was authorized, which is voided')
  return 'void'
}

async function confirm(settlement: Settlement, payment: Payment): Promise<CheckoutOutcome> {
  const { tx, hold, payments } = settlement
  const booking = settlement.booking ?? (await bookCaptured(settlement, payment))
  if (booking?.state === 'pending') {
    const paid = { ...booking, capturedMinor: payment.capturedMinor, paymentState: payment.state }
    return { kind: 'booked', booking: confirmBooking(settlement, tx, paid) }
  }
  report(payments, tx, payment, 'its payment was taken and its seats are gone: it is refunded')
  return { kind: 'paid-without-seats', hold }
}

/** Captured at the gateway by another system, before we learned that it was authorized. */
async function bookCaptured(settlement: Settlement, payment: Payment): Promise<BookingNow | null> {
  const { tx, hold } = settlement
  if (hold.state !== 'checking_out' || !hold.isWhole) return null
  bookHold(settlement, tx, hold, payment)
  return readBookingOfOrder(tx, payment.orderId)
}

type Failed = Exclude<FinalOutcome, { state: 'succeeded' }>

/** Nothing was taken: the hold continues with the time that it had left, or the booking is cancelled. */
function undo(settlement: Settlement, outcome: Failed): CheckoutOutcome {
  const { tx, hold, booking } = settlement
  if (booking) freeBooking(settlement, tx, { ...booking, paymentState: outcome.state })
  else if (hold.state === 'checking_out') return { kind: 'not-paid', outcome, hold: endCheckout(settlement) }
  else if (outcome.state === 'voided') return { kind: 'seats-gone', hold }
  return { kind: 'not-paid', outcome, hold }
}

function endCheckout(settlement: Settlement): Hold {
  const { tx, hold } = settlement
  const state = holdAfterFailedCheckout(hold.checkouts)
  if (state === 'expired') {
    freeHolds(settlement, tx, [hold], state)
    return { ...hold, state }
  }
  // The clock of the hold continues where it stood when the checkout began.
  const expiresAt = new Date(hold.now.getTime() + hold.leftMs)
  moveHold(tx, hold, {
    hold: sql`state = 'active', expires_at = ${expiresAt}::timestamptz, left_ms = NULL`,
    claims: sql`pinned = false, expires_at = ${expiresAt}::timestamptz`,
  })
  return { ...hold, state, expiresAt }
}

/**
 * A refund of a checkout's order got this far. If it is the refund of a cancelled booking, the seats are free once the
 * gateway has accepted it, also while the bank takes its time. If the gateway refunded nothing, the booking stands,
 * unless the money is back with the customer all the same: then it was refunded at the gateway without us. If a part
 * of it was, the cancellation goes on with a refund of the rest.
 */
async function endCancellation(
  deps: SettlingDeps,
  tx: Tx,
  refund: Refund,
  { outcome, left }: RefundEnd,
): Promise<RefundAnswer> {
  const booking = await readBookingOfOrder(tx, refund.orderId)
  if (outcome.state === 'failed') reportOwed(deps.payments, tx, refund, booking)
  if (booking?.refundId !== refund.id) return null
  const { cancellationEnded } = deps.renderings
  const isAllBack = left !== null && left.leftMinor === 0 && !left.isOutcomeUnknown && !left.isDisputed
  if (outcome.state === 'failed' && !(isAllBack && booking.state === 'cancelling')) {
    const next = booking.state === 'cancelling' ? await refundRest(deps, tx, booking, refund, outcome, left) : null
    if (next) return { next }
    // A refund that had been pending: its seats may have been sold since. The payment can still be refunded on its own.
    const standing = booking.state === 'cancelling' ? moveBooking(tx, booking, { state: 'confirmed' }) : booking
    const amounts = { askedMinor: refund.amountMinor, refundableMinor: left?.leftMinor ?? 0 }
    return cancellationEnded({ kind: 'refund-failed', booking: standing, outcome, ...amounts })
  }
  const cancelled = booking.state === 'cancelled' ? booking : freeBooking(deps, tx, booking)
  return cancellationEnded({ kind: 'cancelled', booking: cancelled })
}

/**
 * The refund of a cancellation failed because a part of the money was refunded at the gateway without us. Opens another
 * one of what is left, once for each such part. Null: something else is in the way of it.
 */
async function refundRest(
  { payments }: SettlingDeps,
  tx: Tx,
  booking: BookingNow,
  { accountId, paymentId, amountMinor: askedMinor, reason }: Refund,
  { failureCode }: Extract<RefundOutcome, { state: 'failed' }>,
  left: RefundableAmount | null,
): Promise<Refund | null> {
  if (paymentId === null || left === null || left.isOutcomeUnknown || refundObstacle(failureCode) !== null) return null
  if (left.leftMinor === 0 || left.leftMinor >= askedMinor) return null
  const opened = await openRefund(payments, tx, { accountId, paymentId, amountMinor: null, reason, lease: null })
  if (opened.kind === 'refused') return null
  const { refund } = opened.owned
  moveBooking(tx, booking, { state: 'cancelling', refundId: refund.id })
  return refund
}

/** A refund failed although the seats were given up, or never booked: the customer has neither seats nor money. */
function reportOwed(payments: PaymentDeps, tx: Tx, refund: Refund, booking: BookingNow | null): void {
  if (booking !== null && booking.state !== 'cancelled') return
  const seats = booking === null ? 'it has no booking' : `its booking ${booking.id} is cancelled`
  report(
    payments,
    tx,
    refund,
    `${seats}, and its refund ${refund.id} failed (${refund.failureCode}): refund it by hand`,
  )
}

/** The seats were given up because a dispute had taken the money, and now the merchant has it again. */
function reportReinstated(
  payments: PaymentDeps,
  tx: Tx,
  { gatewayDisputeId, leftMinor, ...payment }: Reinstated,
  booking: BookingNow | null,
): void {
  if (booking !== null && booking.state !== 'cancelling' && booking.state !== 'cancelled') return
  const seats = booking === null ? 'it has no booking' : `its booking ${booking.id} is ${booking.state}`
  const what = `dispute ${gatewayDisputeId} gave money of payment ${payment.id} back to the merchant`
  report(payments, tx, payment, `${seats}, and ${what}: refund the ${leftMinor} that are left by hand`)
}

/** Once it is committed, and not with each repetition of the transaction. */
function report({ layers }: PaymentDeps, tx: Tx, order: Pick<Payment, 'accountId' | 'orderId'>, what: string): void {
  const fault = new Error(`checkout by order ${order.orderId}: ${what}`)
  tx.afterCommit(() => layers.reportFault(fault, orderLockName(order)))
}
