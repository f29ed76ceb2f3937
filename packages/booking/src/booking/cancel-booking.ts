import type { RollBack, Tx } from '@seatbelt/database'
import { type Booking, decideToCancelBooking, inProgressRetryAfterSeconds, type Refund } from '@seatbelt/domain'
import { claimRefund, type RefundClaimedByOwner, resumeRefund, settleRefund } from '@seatbelt/payments'
import {
  type Call,
  type Effectful,
  type Guarded,
  guardEffect,
  type MeetingPoint,
  orderLockName,
  type RefundEvidence,
  type Refused,
} from '@seatbelt/safety'
import { seatNews } from '../hold/free-hold.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { CancellationResult } from '../shared/operations.ts'
import { findBooking, readBooking } from './booking-queries.ts'
import { tellBooking } from './checkout-purpose.ts'
import { releaseBooking } from './release-booking.ts'

/**
 * Cancels a booking: gives back what is left of its payment, and then its seats.
 *
 * Guarantees: refunded once, also beside refunds by the payments API, because all of them meet at the order and reserve what they
 * give back. The seats are free as soon as the gateway has the refund in hand, and stay booked where it gave nothing back. Where
 * nothing is left to give back, or the bank has all of it in hand, it is cancelled at once; while it is not known what became of
 * another refund, it is refused for now. `unsettled` means as for a checkout.
 */
export function cancelBooking(deps: BookingDeps, call: Call, bookingId: string): Promise<CancellationResult> {
  const { layers, payments } = deps
  return guardEffect<ClaimedCancellation, RefundEvidence, Booking>(layers, call, {
    meetAt: () => atOrderOfBooking(deps, call, bookingId),
    claim: (tx, rollBack) => claim(deps, tx, { call, bookingId, rollBack }),
    effect: ({ claimed, lease }) => layers.gatewayRefund(claimed, lease),
    settle: async (tx, { refund, claimed, booking }, evidence) =>
      ofBooking(await settleRefund(payments, tx, { refund, claimed, evidence }), booking),
    unsettled: ({ booking }) => booking,
    resume: async (intent) => {
      const result = await resumeRefund(payments, intent)
      if (result.kind !== 'unsettled') return result
      return ofBooking(result, await payments.database.statement((client) => readBooking(client, bookingId)))
    },
  })
}

interface ClaimedCancellation extends RefundClaimedByOwner {
  readonly booking: Booking
}

function ofBooking(result: Guarded<Refund>, booking: Booking): Guarded<Booking> {
  return result.kind === 'unsettled' ? { kind: 'unsettled', subject: booking } : result
}

/** A booking never changes its order, so that it can be looked up before the order's lock is taken. */
async function atOrderOfBooking(
  { payments: { database } }: BookingDeps,
  { accountId }: Call,
  bookingId: string,
): Promise<MeetingPoint | Refused> {
  const known = await database.statement((client) => findBooking(client, accountId, bookingId))
  if (!known) return { kind: 'refused', refusal: { code: 'booking-not-found', bookingId } }
  return {
    resource: orderLockName(known),
    contended: inProgress(bookingId),
  }
}

function inProgress(bookingId: string) {
  return { code: 'booking-in-progress', bookingId, retryAfterSeconds: inProgressRetryAfterSeconds } as const
}

interface Claim {
  readonly call: Call
  readonly bookingId: string
  readonly rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>
}

/** Read, decide, claim the refund of what is left, which binds the key. All of it or nothing is committed. */
async function claim(
  deps: BookingDeps,
  tx: Tx,
  { call, bookingId, rollBack }: Claim,
): ReturnType<Effectful<ClaimedCancellation, never, Booking>['claim']> {
  const { payments } = deps
  const booking = await readBooking(tx, bookingId)
  const decision = decideToCancelBooking(booking)
  if (decision.code !== 'cancel') return { kind: 'refused', refusal: decision }

  const { paymentId } = booking
  // One whose outcome is not known may still come to nothing, and its money would then be owed for seats that are sold again.
  const unknown = await tx.refund.count({ where: { paymentId, state: { in: ['processing', 'needs_review'] } } })
  if (unknown > 0) return { kind: 'refused', refusal: inProgress(bookingId) }
  const payment = await tx.payment.findUniqueOrThrow({ where: { id: paymentId } })
  const leftMinor = payment.amountMinor - payment.refundedMinor - payment.refundPendingMinor
  if (leftMinor === 0) return cancelAtOnce(deps, tx, booking, { call, rollBack })

  const request = { paymentId, amountMinor: leftMinor, reason: `cancellation of booking ${bookingId}` }
  const result = await claimRefund(payments, tx, { call, request, rollBack })
  if (result.kind === 'refused') return result
  const { id: refundId } = result.claimed.refund
  const cancelling = { state: 'cancelling', refundId } as const
  const { count } = await tx.booking.updateMany({ where: { id: bookingId, state: 'confirmed' }, data: cancelling })
  // Under the lock only a writer that does not take it can have been faster.
  if (count !== 1) return rollBack({ kind: 'contended' })
  return { kind: 'claimed', claimed: { ...result.claimed, booking: { ...booking, ...cancelling } } }
}

async function cancelAtOnce(
  deps: BookingDeps,
  tx: Tx,
  booking: Booking,
  { call, rollBack }: Pick<Claim, 'call' | 'rollBack'>,
) {
  const { renderings, payments, layers } = deps
  const cancelled = await releaseBooking(seatNews(deps), tx, booking)
  await tellBooking({ newId: payments.newId, renderings }, tx, cancelled, 'booking.cancelled')
  const answer = renderings.cancellationEnded({ kind: 'cancelled', booking: cancelled })
  if (!(await layers.idempotencyKey.bindToAnswer(tx, call, answer))) return rollBack({ kind: 'key-taken' })
  return { kind: 'answered', answer, replayed: false } as const
}
