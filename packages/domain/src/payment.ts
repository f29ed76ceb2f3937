import type { DisputeState } from './dispute.ts'
import type { Money } from './money.ts'
import { type OrderPurpose, type OrderState, refuseWhilePaying } from './order.ts'
import type { Refusal } from './refusal.ts'

/**
 * `processing -> succeeded | declined | cancelled`; with manual capture `processing -> authorized -> capturing | voiding`,
 * `capturing -> succeeded | voided`, `voiding -> voided | succeeded`. `needs_review` when a day of looking brought no
 * evidence. Only evidence from the gateway ends a payment; the passing of time never does.
 */
export type PaymentState =
  | 'processing'
  | 'authorized'
  | 'capturing'
  | 'voiding'
  | 'succeeded'
  | 'declined'
  | 'cancelled'
  | 'voided'
  | 'needs_review'

/** States in which a payment may still hold, or come to hold, the customer's money. An order has at most one such payment. */
export const livePaymentStates = [
  'processing',
  'authorized',
  'capturing',
  'voiding',
  'succeeded',
  'needs_review',
] as const satisfies readonly PaymentState[]

/** States in which an owner, or recovery, is at work on a payment. In `authorized` the merchant is to decide. */
export const openPaymentStates = [
  'processing',
  'capturing',
  'voiding',
  'needs_review',
] as const satisfies readonly PaymentState[]

/** What a payment's owner is to reach. It outlives `needs_review`, so that recovery knows what the payment was about. */
export type PaymentGoal = 'charge' | 'authorize' | 'capture' | 'void'

export interface LivePayment {
  readonly id: string
  readonly state: (typeof livePaymentStates)[number]
}

export interface Payment extends Money {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
  readonly paymentMethod: string
  readonly state: PaymentState
  /** Why the gateway refused: its decline code, or its error code where it asked no card. */
  readonly declineCode: string | null
  /** Null: nothing was declined, or by a version that did not record it. */
  readonly declinedBy: DeclinedBy | null
  readonly gatewayIntentId: string | null
  /** 0 until it succeeded. Less than the amount where a part was captured at the gateway's own console. */
  readonly capturedMinor: number
  readonly refundedMinor: number
  /** Reserved by refunds whose outcome is not known yet. */
  readonly refundPendingMinor: number
  /** Of its disputes, the one that matters most: open, then inquiry, lost, won, closed. Null: it has none. */
  readonly disputeState: DisputeState | null
  /** The amount that its disputes withdrew and did not reinstate. A bank may dispute more than refunds have left. */
  readonly disputedMinor: number
  readonly createdAt: Date
  readonly authorizedAt: Date | null
  readonly settledAt: Date | null
}

/** Why a payment was refused, and by whom. Only the bank's refusal says something about the card. */
export interface Decline {
  readonly declineCode: string
  readonly declinedBy: DeclinedBy
}

/**
 * `bank`: the card was asked, and declined. The gateway refused the other two before it asked any card:
 * `payment-method`, because it does not exist or does not belong to the customer, and `gateway`, because it found our
 * own request wrong.
 */
export type DeclinedBy = 'bank' | 'payment-method' | 'gateway'

/** What a payment came to, or what its present step did. This alone decides what the order becomes and what the client is told. */
export type PaymentOutcome =
  /** The money is on hold for us. The step is over, the payment is not. */
  | { readonly state: 'authorized' }
  | { readonly state: 'succeeded'; readonly gatewayChargeId: string; readonly capturedMinor: number }
  | ({ readonly state: 'declined' } & Decline)
  | { readonly state: 'cancelled' }
  /** Nothing was taken of what had been on hold. With a code: the gateway refused to capture it. */
  | { readonly state: 'voided'; readonly declineCode: string | null }

/**
 * The order after a step of its payment: paid, still being paid, or open for another try. The order of a checkout has one try
 * alone: the next checkout of the hold makes a new one.
 */
export function orderStateAfter(outcome: PaymentOutcome, purpose: OrderPurpose = 'merchant'): OrderState {
  if (outcome.state === 'succeeded') return 'paid'
  if (outcome.state === 'authorized') return 'processing'
  return purpose === 'checkout' ? 'cancelled' : 'pending'
}

/** May what is on hold be captured, or given back? Between the two, whoever comes first decides. */
export function decideToEndAuthorization(
  payment: Pick<Payment, 'id' | 'orderId' | 'state'>,
): Refusal | { readonly code: 'end-authorization' } {
  const { id: paymentId, orderId, state } = payment
  switch (state) {
    case 'authorized':
      return { code: 'end-authorization' }
    case 'processing':
    case 'capturing':
    case 'voiding':
    case 'needs_review':
      return refuseWhilePaying(orderId, { id: paymentId, state })
    case 'succeeded':
    case 'declined':
    case 'cancelled':
    case 'voided':
      return { code: 'payment-not-authorized', paymentId, state }
    default:
      return state satisfies never
  }
}

/** One line of a payment's history: what was asked of the gateway, by whom, and what came back. */
export interface PaymentEvent {
  readonly at: Date
  /**
   * Of the owner: `claimed`, `taken-over`, `settled`, `unknown`, `superseded`; of a refund that failed after all:
   * `reversed`; of one that was made at the gateway without us: `refunded-elsewhere`; of a dispute: `disputed`.
   * What was asked of the gateway, with its answer as detail: `create`, `intent-created`, `confirm`, `capture`, `look`,
   * `cancel`, `refund`, `refund-look`. An event of the gateway: `gateway-event`. A person's command: `operator`.
   */
  readonly event: string
  /** Who did it: the process's instance name, such as `payments-api-2` or `worker-1`. */
  readonly by: string
  readonly generation: number
  readonly gatewayRequestId: string | null
  readonly detail: string | null
  /** Why the gateway rejected the request, in its own words. For operators: no answer of ours carries it. */
  readonly gatewayMessage: string | null
  /** Of a line about a refund of the payment. */
  readonly refundId: string | null
}
