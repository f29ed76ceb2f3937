import type { Money } from './money.ts'
import type { LivePayment } from './payment.ts'
import type { Refusal } from './refusal.ts'

/**
 * `pending -> processing -> paid -> partially_refunded -> refunded`; `processing -> pending` after a decline or a cancelled
 * payment; `pending -> cancelled`. A refund that fails after all leads back.
 */
export type OrderState = 'pending' | 'processing' | 'paid' | 'partially_refunded' | 'refunded' | 'cancelled'

/** What made an order, and alone may pay and cancel it: the merchant by the API, a billing run for an invoice, or a checkout. */
export type OrderPurpose = 'merchant' | 'invoice' | 'checkout'

export interface Order extends Money {
  readonly id: string
  readonly accountId: string
  readonly customerId: string
  readonly state: OrderState
  readonly purpose: OrderPurpose
  /** Where the receipts go, if anybody wants them. */
  readonly receiptEmail: string | null
  /** Grows by one with every change of the row. A writer names the version it read and loses if it is no longer there. */
  readonly version: number
  readonly createdAt: Date
}

/** A client that polls faster than this learns nothing: an unanswered gateway request takes about as long. */
export const inProgressRetryAfterSeconds = 1

/** May this order be paid now, by whom asks? `live` is its payment that counts as live, if it has one. */
export function decideToPay(
  order: Order,
  live: LivePayment | null,
  asker: OrderPurpose = 'merchant',
): Refusal | { readonly code: 'pay' } {
  if (order.purpose !== asker) return { code: 'order-managed', orderId: order.id }
  switch (order.state) {
    case 'pending':
      return { code: 'pay' }
    case 'processing':
      return refuseWhilePaying(order.id, live)
    case 'paid':
    case 'partially_refunded':
    case 'refunded':
      return { code: 'order-already-paid', orderId: order.id, paymentId: live?.id ?? null }
    case 'cancelled':
      return { code: 'order-cancelled', orderId: order.id }
    default:
      return order.state satisfies never
  }
}

/**
 * Why an order cannot be decided about while it has this payment. Waiting helps only while a process is at work: an
 * authorized payment waits for the merchant, and one in review for an operator.
 */
export function refuseWhilePaying(orderId: string, live: LivePayment | null): Refusal {
  switch (live?.state) {
    case 'authorized':
      return { code: 'payment-authorized', orderId, paymentId: live.id }
    case 'needs_review':
      return { code: 'payment-in-review', orderId, paymentId: live.id }
    default:
      return { code: 'payment-in-progress', orderId, retryAfterSeconds: inProgressRetryAfterSeconds }
  }
}

/**
 * Whether this order can be cancelled at once, because no payment of it is live. An open payment without a live owner
 * is withdrawn instead, which the caller decides.
 */
export function decideToCancel(order: Order, live: LivePayment | null): Refusal | { readonly code: 'cancel' } {
  const decision = decideToPay(order, live)
  return decision.code === 'pay' ? { code: 'cancel' } : decision
}
