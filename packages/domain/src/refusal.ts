import type { PaymentState } from './payment.ts'
import type { RefundState } from './refund.ts'

/**
 * Everything that the backend may refuse on purpose, as values. What is broken is an Error, never one of these.
 *
 * A refusal before a claim changes nothing and is not recorded under the idempotency key. HTTP statuses are not known
 * here: `packages/http` maps each code to one, in a table that the compiler holds complete.
 */
export type Refusal =
  /** There is no such order, or it belongs to another account: the two cannot be told apart from outside. */
  | { readonly code: 'order-not-found'; readonly orderId: string }
  | { readonly code: 'payment-not-found'; readonly paymentId: string }
  | { readonly code: 'order-already-paid'; readonly orderId: string; readonly paymentId: string | null }
  | { readonly code: 'order-cancelled'; readonly orderId: string }
  /** Its order belongs to a subscription's invoice, which alone pays and cancels it. */
  | { readonly code: 'order-managed'; readonly orderId: string }
  | { readonly code: 'refund-not-found'; readonly refundId: string }
  /** Nothing is on hold that could be captured or voided. */
  | { readonly code: 'payment-not-authorized'; readonly paymentId: string; readonly state: PaymentState }
  /** Only what was taken can be given back. */
  | { readonly code: 'payment-not-refundable'; readonly paymentId: string; readonly state: PaymentState }
  | { readonly code: 'refund-exceeds-payment'; readonly paymentId: string; readonly refundableMinor: number }
  /** Among more than these nobody could tell whether one is there. */
  | { readonly code: 'too-many-refunds'; readonly paymentId: string; readonly mostRefunds: number }
  /** Nothing waits for a person: the payment is settled, or its owner is at work. */
  | { readonly code: 'payment-not-in-review'; readonly paymentId: string; readonly state: PaymentState }
  | { readonly code: 'refund-not-in-review'; readonly refundId: string; readonly state: RefundState }
  | { readonly code: 'subscription-not-found'; readonly subscriptionId: string }
  | { readonly code: 'subscription-cancelled'; readonly subscriptionId: string }
  /** The account has told no address for its webhooks. */
  | { readonly code: 'webhook-endpoint-not-found' }
  | { readonly code: 'webhook-delivery-not-found'; readonly deliveryId: string }
  /** Only what was given up is sent again. */
  | { readonly code: 'webhook-delivery-not-dead'; readonly deliveryId: string }
  /** Somebody else is deciding about, or paying for, the same order right now. */
  | { readonly code: 'payment-in-progress'; readonly orderId: string; readonly retryAfterSeconds: number }
  /** The first request with this key is still running. */
  | { readonly code: 'request-in-progress'; readonly retryAfterSeconds: number }
  /** The key was used before, for a different request. */
  | { readonly code: 'idempotency-key-reused' }
  /** A store that we cannot do without is down, and nothing of this request has been committed. */
  | { readonly code: 'temporarily-unavailable'; readonly retryAfterSeconds: number }

export type RefusalCode = Refusal['code']
