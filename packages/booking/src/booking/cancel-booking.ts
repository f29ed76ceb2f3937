import type { Tx } from '@seatbelt/database'
import { type Booking, type Call, decideToCancelBooking, type Refund, refuseWhileMoneyMoves } from '@seatbelt/domain'
import {
  claimRefund,
  leasedRefunds,
  type OwnedRefund,
  orderLockName,
  readRefundState,
  recoverRefund,
  resumeRefund,
  settleRefund,
  wasClaimed,
} from '@seatbelt/payments'
import {
  type Claimed,
  type Done,
  type Guarded,
  guardEffect,
  type LockTarget,
  type RefundEvidence,
  type Refused,
} from '@seatbelt/safety'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { CancellationResult, CancellationUnderWay } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { findBooking, readBooking, readBookingOfOrder } from './booking-queries.ts'
import { freeBooking, moveBooking } from './move-booking.ts'

interface OwnedCancellation extends OwnedRefund {
  readonly booking: Booking
}

/**
 * Cancels a booking: refunds what is left of its payment, and then frees its seats.
 *
 * Guarantees: refunded once, also beside refunds by the payments API, because all of them take the order's lock and
 * reserve what they refund. The seats are free as soon as the gateway has accepted the refund, and stay booked if it
 * refunded nothing. If nothing is left to refund, because the bank has accepted all of it or a dispute was lost, the
 * booking is cancelled at once. If a part turns out to have been refunded at the gateway without us, the same
 * cancellation refunds the rest. While the outcome of another refund is unknown, or a dispute is open, or was won
 * and the gateway has not given the money back, it is refused. `unsettled` means the same as for a checkout.
 */
export async function cancelBooking(deps: BookingDeps, call: Call, bookingId: string): Promise<CancellationResult> {
  const { payments } = deps
  const result = await guardEffect<OwnedCancellation, RefundEvidence, CancellationUnderWay>(payments.layers, call, {
    lockOn: () => orderLockOfBooking(deps, call, bookingId),
    begins: 'refund',
    claim: (tx) => claim(deps, tx, call, bookingId),
    effect: ({ attempt }) => payments.layers.gatewayRefund(attempt),
    settle: async (tx, owned, evidence) => {
      const settled = await settleRefund(payments, tx, owned, evidence, call, () => beginAgain(tx, owned))
      return ofBooking(settled, owned.booking)
    },
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedRefunds, attempt),
    unsettled: ({ booking }) => ({ ...booking, isInReview: false }),
    resume: async (target) => {
      const result = await resumeRefund(payments, target)
      if (result.kind !== 'unsettled') return result
      const booking = await findBooking(payments.database, call.accountId, bookingId)
      if (!booking) throw new Error(`booking ${bookingId} is gone`)
      return ofBooking(result, booking)
    },
  })
  return result.kind === 'unsettled' ? refundRest(deps, result.subject) : result
}

/**
 * Refunds the rest now, if the settle of the first refund has opened another one. That one has no owner yet, so
 * recovery makes it if this process cannot.
 */
async function refundRest({ payments }: BookingDeps, before: CancellationUnderWay): Promise<CancellationResult> {
  const unsettled = { kind: 'unsettled', subject: before } as const
  try {
    const now = await findBooking(payments.database, before.accountId, before.id)
    if (!now || now.refundId === null || now.refundId === before.refundId) return unsettled
    const recovered = await recoverRefund(payments, now.refundId)
    return recovered ? ofBooking(recovered.result, now) : { kind: 'unsettled', subject: { ...now, isInReview: false } }
  } catch (fault) {
    payments.layers.reportFault(fault, orderLockName(before))
    return unsettled
  }
}

/** The claim was lost, and the gateway has its refund: unless the booking was lost as well, it is being cancelled. */
async function beginAgain(tx: Tx, { refund }: OwnedCancellation): Promise<void> {
  const booking = await readBookingOfOrder(tx, refund.orderId)
  if (booking?.state === 'confirmed') moveBooking(tx, booking, { state: 'cancelling', refundId: refund.id })
}

function ofBooking(result: Guarded<Refund>, booking: Booking): CancellationResult {
  if (result.kind !== 'unsettled') return result
  return { kind: 'unsettled', subject: { ...booking, isInReview: result.subject.state === 'needs_review' } }
}

/** A booking never changes its order, so it can be looked up before the order's lock is taken. */
async function orderLockOfBooking(
  { payments }: BookingDeps,
  { accountId }: Call,
  bookingId: string,
): Promise<LockTarget | Refused> {
  const known = await findBooking(payments.database, accountId, bookingId)
  if (!known) return refuse({ code: 'booking-not-found', bookingId })
  return { resource: orderLockName(known), contended: refuseWhileMoneyMoves(bookingId, false) }
}

async function claim(
  deps: BookingDeps,
  tx: Tx,
  call: Call,
  bookingId: string,
): Promise<Claimed<OwnedCancellation> | Done | Refused> {
  const booking = await readBooking(tx, bookingId)
  const decision = decideToCancelBooking(booking, booking.isInReview)
  if (decision.code !== 'cancel') return refuse(decision)

  const { paymentId } = booking
  const { leftMinor, isOutcomeUnknown, isInReview, isDisputed, disputeState } = await readRefundState(tx, paymentId)
  // A refund with an unknown outcome may still fail: then money would be owed for seats that were sold again.
  if (isOutcomeUnknown) return refuse(refuseWhileMoneyMoves(bookingId, isInReview))
  // The merchant may win, or has won: then the money would be kept for seats that were sold again.
  if (isDisputed)
    return refuse({ code: 'payment-disputed', paymentId, disputeState: disputeState === 'won' ? 'won' : 'open' })
  if (leftMinor === 0) {
    const cancelled = freeBooking(deps, tx, booking)
    return { kind: 'done', answer: deps.renderings.cancellationEnded({ kind: 'cancelled', booking: cancelled }) }
  }
  const request = { paymentId, amountMinor: leftMinor, reason: `cancellation of booking ${bookingId}` }
  const claimed = await claimRefund(deps.payments, tx, call, request)
  if (claimed.kind === 'refused') return claimed
  const cancelling = moveBooking(tx, booking, { state: 'cancelling', refundId: claimed.attempt.refund.id })
  return { ...claimed, attempt: { ...claimed.attempt, booking: cancelling } }
}
