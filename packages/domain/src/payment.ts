import type { Money } from './money.ts'
import type { OrderState } from './order.ts'

/**
 * `processing -> succeeded | declined | cancelled`, and `needs_review` when a day of looking brought no evidence.
 * Only evidence from the gateway moves a payment out of `processing`; the passing of time never does.
 */
export type PaymentState = 'processing' | 'succeeded' | 'declined' | 'cancelled' | 'needs_review'

/** States in which a payment may still hold, or come to hold, the customer's money. An order has at most one such payment. */
export const livePaymentStates = ['processing', 'succeeded', 'needs_review'] as const satisfies readonly PaymentState[]

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
  /** Why the gateway refused: its decline code, or its error code where it refused to create the intent at all. */
  readonly declineCode: string | null
  readonly gatewayIntentId: string | null
  readonly createdAt: Date
  readonly settledAt: Date | null
}

/** What a settled payment came to. This alone decides what the order becomes and what the client is told. */
export type PaymentOutcome =
  | { readonly state: 'succeeded'; readonly gatewayChargeId: string }
  | { readonly state: 'declined'; readonly declineCode: string }
  | { readonly state: 'cancelled' }

/** The order after its payment was settled: paid, or open for another try. */
export function orderStateAfter(outcome: PaymentOutcome): OrderState {
  return outcome.state === 'succeeded' ? 'paid' : 'pending'
}

/** One line of a payment's history: what was asked of the gateway, by whom, and what came back. */
export interface PaymentEvent {
  readonly at: Date
  /**
   * Of the owner: `claimed`, `taken-over`, `settled`, `unknown`, `superseded`. What was asked of the gateway, with its
   * answer as detail: `create`, `intent-created`, `confirm`, `look`, `cancel`.
   */
  readonly event: string
  /** Who did it: the process's instance name, such as `payments-api-2` or `worker-1`. */
  readonly by: string
  readonly generation: number
  readonly gatewayRequestId: string | null
  readonly detail: string | null
}
