import type { DeclineScope } from './decline-limits.ts'
import type { Currency } from './money.ts'
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
  /** What made the order, a subscription's invoice or a checkout, alone pays and cancels it. */
  | { readonly code: 'order-managed'; readonly orderId: string }
  /** The gateway has a payment or refund of it that our books do not. A person decides what becomes of that. */
  | { readonly code: 'order-blocked'; readonly orderId: string }
  /** So many cards were declined within the window that no further one is tried for now. */
  | { readonly code: 'too-many-declines'; readonly scope: DeclineScope; readonly retryAfterSeconds: number }
  | { readonly code: 'refund-not-found'; readonly refundId: string }
  /** Nothing is on hold that could be captured or voided. */
  | { readonly code: 'payment-not-authorized'; readonly paymentId: string; readonly state: PaymentState }
  /** Only what was taken can be given back. */
  | { readonly code: 'payment-not-refundable'; readonly paymentId: string; readonly state: PaymentState }
  | { readonly code: 'refund-exceeds-payment'; readonly paymentId: string; readonly refundableMinor: number }
  /** The customer disputes it: the dispute decides about the money, has returned it, or was won and holds it still. */
  | { readonly code: 'payment-disputed'; readonly paymentId: string; readonly disputeState: 'open' | 'lost' | 'won' }
  /** The gateway returns only multiples of the currency's smallest unit. `nearestMinor`: what it would return. */
  | {
      readonly code: 'refund-between-units'
      readonly paymentId: string
      readonly currency: Currency
      readonly unitMinor: number
      readonly nearestMinor: readonly number[]
    }
  /** Among more than these nobody could tell whether one is there. */
  | { readonly code: 'too-many-refunds'; readonly paymentId: string; readonly mostRefunds: number }
  /** Nothing waits for a person: the payment is settled, or its owner is at work. */
  | { readonly code: 'payment-not-in-review'; readonly paymentId: string; readonly state: PaymentState }
  | { readonly code: 'refund-not-in-review'; readonly refundId: string; readonly state: RefundState }
  | { readonly code: 'subscription-not-found'; readonly subscriptionId: string }
  | { readonly code: 'subscription-cancelled'; readonly subscriptionId: string }
  /** The gateway has no such customer, or it is not known to be the account's: the two cannot be told apart. */
  | { readonly code: 'gateway-customer-not-found'; readonly gatewayCustomerId: string }
  | { readonly code: 'invoice-not-found'; readonly invoiceId: string }
  /** The account has told no address for its webhooks. */
  | { readonly code: 'webhook-endpoint-not-found' }
  | { readonly code: 'webhook-delivery-not-found'; readonly deliveryId: string }
  /** Only what was given up is sent again. */
  | { readonly code: 'webhook-delivery-not-dead'; readonly deliveryId: string }
  | { readonly code: 'event-not-found'; readonly eventId: string }
  | {
      readonly code: 'event-not-on-sale'
      readonly eventId: string
      /** ISO 8601, UTC. */
      readonly saleOpensAt: string
      readonly saleClosesAt: string
    }
  /** A part of the plan that no event has, or not this one. */
  | { readonly code: 'section-not-found'; readonly sectionId: string }
  | { readonly code: 'tier-not-found'; readonly tierId: string }
  /** Nobody has ever heard of them, or they belong to another account. */
  | { readonly code: 'seats-not-found'; readonly seatIds: readonly string[] }
  /** They exist, and not in this event. */
  | { readonly code: 'seats-of-another-event'; readonly seatIds: readonly string[] }
  | { readonly code: 'seats-named-twice'; readonly seatIds: readonly string[] }
  | { readonly code: 'too-many-seats'; readonly mostSeats: number }
  | { readonly code: 'quantity-not-positive'; readonly quantity: number }
  /** More than the tier ever had. */
  | { readonly code: 'quantity-over-capacity'; readonly tierId: string; readonly capacity: number }
  /** Together with what the customer holds already. */
  | {
      readonly code: 'customer-holds-too-many'
      readonly customerId: string
      readonly heldSeats: number
      readonly mostSeats: number
    }
  /** Together with what the customer holds and has bought already. */
  | {
      readonly code: 'customer-has-too-many'
      readonly customerId: string
      readonly heldSeats: number
      readonly boughtSeats: number
      readonly mostSeats: number
    }
  /** The customer held them until a short time ago, and did not pay. Others come first for a while. */
  | {
      readonly code: 'seats-held-recently'
      readonly customerId: string
      readonly seatIds: readonly string[]
      readonly retryAfterSeconds: number
    }
  /** Somebody has them, or is taking them at this moment. */
  | { readonly code: 'seats-taken'; readonly seatIds: readonly string[] }
  | { readonly code: 'sold-out'; readonly tierId: string }
  /** No row of the section has so many free seats side by side. */
  | { readonly code: 'no-adjacent-seats'; readonly sectionId: string; readonly quantity: number }
  /** Another hold of the same customer at the same event is being decided about right now. */
  | { readonly code: 'hold-in-progress'; readonly customerId: string; readonly retryAfterSeconds: number }
  | { readonly code: 'hold-not-found'; readonly holdId: string }
  | { readonly code: 'hold-of-another-customer'; readonly holdId: string }
  | { readonly code: 'hold-expired'; readonly holdId: string }
  | { readonly code: 'hold-released'; readonly holdId: string }
  | { readonly code: 'hold-booked'; readonly holdId: string; readonly bookingId: string | null }
  | { readonly code: 'hold-extended-before'; readonly holdId: string }
  /** Its payment is under way, or somebody is deciding about it right now. */
  | { readonly code: 'hold-checking-out'; readonly holdId: string; readonly retryAfterSeconds: number }
  /** As above, and an operator is at work on its payment. */
  | { readonly code: 'hold-in-review'; readonly holdId: string }
  | { readonly code: 'booking-not-found'; readonly bookingId: string }
  | { readonly code: 'booking-cancelled'; readonly bookingId: string }
  /** Its payment, or a refund of it, waits for an operator. */
  | { readonly code: 'booking-in-review'; readonly bookingId: string }
  /** Its money is being taken or given back right now. */
  | { readonly code: 'booking-in-progress'; readonly bookingId: string; readonly retryAfterSeconds: number }
  /** Its money is reserved. The merchant captures or voids the payment; nothing else changes that for days. */
  | { readonly code: 'payment-authorized'; readonly orderId: string; readonly paymentId: string }
  /** A day of looking brought no evidence. An operator looks at it, and recovery once an hour. */
  | { readonly code: 'payment-in-review'; readonly orderId: string; readonly paymentId: string }
  /** Somebody else is deciding about, or paying for, the same order right now. */
  | { readonly code: 'payment-in-progress'; readonly orderId: string; readonly retryAfterSeconds: number }
  /** The first request with this key is still running. */
  | { readonly code: 'request-in-progress'; readonly retryAfterSeconds: number }
  /** The key was used before, for a different request. */
  | { readonly code: 'idempotency-key-reused' }
  /** The gateway does not allow our key this operation for the account, and nothing was claimed. */
  | { readonly code: 'gateway-forbids-operation'; readonly retryAfterSeconds: number }
  /** The gateway found our request wrong, so that a repetition is refused as well, until we have repaired it. */
  | { readonly code: 'gateway-refused-request' }
  /** A store that we cannot do without is down, and nothing of this request has been committed. */
  | { readonly code: 'temporarily-unavailable'; readonly retryAfterSeconds: number }

export type RefusalCode = Refusal['code']
