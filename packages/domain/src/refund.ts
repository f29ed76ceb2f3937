import { type Money, unitProblem } from './money.ts'
import type { OrderState } from './order.ts'
import type { Payment } from './payment.ts'
import type { Refusal } from './refusal.ts'

/**
 * `processing -> succeeded | pending | failed`, `pending -> succeeded | failed` when the bank takes its time, and `succeeded ->
 * failed` days later, when it sends the money back. `needs_review` when a day of looking brought no evidence.
 */
export type RefundState = 'processing' | 'pending' | 'succeeded' | 'failed' | 'needs_review'

/**
 * `gateway`: made at the gateway without us, at its own console or by another program. `operator`: a person returned
 * the money outside of the gateway, and recorded it.
 */
export const refundOrigins = ['merchant', 'reconciliation', 'gateway', 'operator'] as const
export type RefundOrigin = (typeof refundOrigins)[number]

export interface Refund extends Money {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
  /** Null for a repair of reconciliation, whose charge never belonged to a payment that stands. */
  readonly paymentId: string | null
  readonly origin: RefundOrigin
  /** The merchant's own words. */
  readonly reason: string | null
  readonly state: RefundState
  /** Why the gateway refused it, or the bank sent it back. */
  readonly failureCode: string | null
  readonly createdAt: Date
  readonly settledAt: Date | null
  /** When it failed after it had succeeded. */
  readonly reversedAt: Date | null
}

/** What a refund came to, or what asking for it did. */
export type RefundOutcome =
  /** The gateway has it in hand, and the bank takes its time. What was asked for is done, the refund is not. */
  | { readonly state: 'pending'; readonly gatewayRefundId: string }
  | { readonly state: 'succeeded'; readonly gatewayRefundId: string }
  /** With an id: the gateway made one, and it failed there. */
  | { readonly state: 'failed'; readonly failureCode: string; readonly gatewayRefundId: string | null }

/** Why the gateway can never make a refund, however often it is asked. */
export type RefundObstacle = 'already-refunded' | 'disputed' | 'not-refundable' | 'no-balance'

/** By the gateway's error code. Source: https://docs.stripe.com/error-codes */
const obstacles: ReadonlyMap<string, RefundObstacle> = new Map([
  ['charge_already_refunded', 'already-refunded'],
  ['charge_disputed', 'disputed'],
  ['refund_disputed_payment', 'disputed'],
  ['charge_not_refundable', 'not-refundable'],
  ['balance_insufficient', 'no-balance'],
])

/** Null: the gateway may make the refund when it is asked again. */
export function refundObstacle(failureCode: string): RefundObstacle | null {
  return obstacles.get(failureCode) ?? null
}

type Refundable = Pick<
  Payment,
  | 'id'
  | 'currency'
  | 'state'
  | 'capturedMinor'
  | 'refundedMinor'
  | 'refundPendingMinor'
  | 'disputeState'
  | 'disputedMinor'
>

/** The amount that can still be refunded. Refunds under way and disputed amounts count as refunded. */
export function refundableMinor({
  state,
  capturedMinor,
  refundedMinor,
  refundPendingMinor,
  disputedMinor,
}: Omit<Refundable, 'id' | 'currency'>): number {
  if (state !== 'succeeded') return 0
  return Math.max(0, capturedMinor - refundedMinor - refundPendingMinor - disputedMinor)
}

/**
 * Most refunds of one payment. That one of them never came to be is known only from a list that shows all there are, and the
 * gateway shows a hundred at once.
 */
export const mostRefunds = 100

export type RefundRefusal = Extract<
  Refusal,
  {
    readonly code:
      | 'payment-not-refundable'
      | 'payment-disputed'
      | 'refund-exceeds-payment'
      | 'refund-between-units'
      | 'too-many-refunds'
  }
>

/**
 * May so much be refunded, beside so many refunds that there are? `askedMinor` null: all that is left. `refunds` null:
 * the money is returned outside of the gateway, whose limits do not hold there.
 */
export function decideToRefund(
  payment: Refundable,
  askedMinor: number | null,
  refunds: number | null,
): RefundRefusal | { readonly code: 'refund'; readonly amountMinor: number } {
  const paymentId = payment.id
  if (payment.state !== 'succeeded') return { code: 'payment-not-refundable', paymentId, state: payment.state }
  const { disputeState } = payment
  const leftMinor = refundableMinor(payment)
  // The gateway may say that it was won before it has given the money back.
  const isOnItsWay = disputeState === 'won' && payment.disputedMinor > 0
  if (disputeState === 'open' || isOnItsWay || (disputeState === 'lost' && leftMinor === 0))
    return { code: 'payment-disputed', paymentId, disputeState }
  const amountMinor = askedMinor ?? leftMinor
  if (amountMinor > leftMinor || leftMinor === 0)
    return { code: 'refund-exceeds-payment', paymentId, refundableMinor: leftMinor }
  if (refunds === null) return { code: 'refund', amountMinor }
  const { currency } = payment
  // All that is left can be returned, also of an amount that an earlier version took.
  const problem = amountMinor === leftMinor ? null : unitProblem({ amountMinor, currency }, leftMinor)
  if (problem) {
    const { unitMinor, nearestMinor } = problem
    return { code: 'refund-between-units', paymentId, currency, unitMinor, nearestMinor }
  }
  if (refunds >= mostRefunds) return { code: 'too-many-refunds', paymentId, mostRefunds }
  return { code: 'refund', amountMinor }
}

/** The order of a payment that succeeded, by how much of it is given back. */
export function orderStateAfterRefunds({
  capturedMinor,
  refundedMinor,
}: Pick<Payment, 'capturedMinor' | 'refundedMinor'>): OrderState {
  if (refundedMinor === 0) return 'paid'
  return refundedMinor < capturedMinor ? 'partially_refunded' : 'refunded'
}
