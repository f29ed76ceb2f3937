import type {
  Currency,
  Dispute,
  GatewayCustomer,
  Invoice,
  Order,
  Payment,
  PaymentEvent,
  PaymentOutcome,
  PaymentState,
  RecordedAnswer,
  Refund,
  RefundOutcome,
  RefundState,
  Subscription,
  WebhookDelivery,
  WebhookEndpoint,
} from '@seatbelt/domain'
import type { Guarded, KeyTarget } from '@seatbelt/safety'

/**
 * `answered`: the recorded answer, now or earlier. `unsettled`: the claim is committed, and its outcome is not known
 * yet. `refused`: nothing was changed.
 */
export type Result = Guarded<Payment>
export type RefundResult = Guarded<Refund>

export interface NewOrder {
  readonly customerId: string
  readonly amountMinor: number
  readonly currency: Currency
  readonly receiptEmail: string | null
}

export interface NewPaymentRequest {
  readonly orderId: string
  readonly paymentMethod: string
  /** `manual`: only reserves the amount, until it is captured or voided. */
  readonly capture: 'automatic' | 'manual'
}

export interface NewRefundRequest {
  readonly paymentId: string
  /** Null: all that is left. */
  readonly amountMinor: number | null
  /** The merchant's own words. */
  readonly reason: string | null
}

export interface PaymentWithHistory {
  readonly payment: Payment
  readonly events: readonly PaymentEvent[]
  /** The oldest first. */
  readonly disputes: readonly Dispute[]
}

/** Newest first. `after` is the id of the last item of the page before; null begins. */
export interface Page {
  readonly limit: number
  readonly after: string | null
}

export interface PaymentPage extends Page {
  readonly orderId: string | null
  readonly state: PaymentState | null
}

export interface RefundPage extends Page {
  readonly state: RefundState | null
}

/** `next` is the `after` of the following page; null: this is the last one. */
export interface Listed<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

/** Makes the answers that are recorded. Handed in by whoever composes, so that HTTP stays out of this package. */
export interface Renderings {
  orderCreated(order: Order): RecordedAnswer
  /** `paymentId`: the payment that had taken the money before the order could be cancelled; null: none had. */
  orderCancelled(order: Order, paymentId: string | null): RecordedAnswer
  /** `step`: what the caller asked for whose answer it is. */
  paymentSettled(payment: Payment, outcome: PaymentOutcome, step: PaymentStep): RecordedAnswer
  /** `refundableMinor`: what is left of the payment after a refund that failed. Null: not known, or it did not fail. */
  refundSettled(refund: Refund, outcome: RefundOutcome, refundableMinor: number | null): RecordedAnswer
  /** `secret`: the hash of the secret, where one was made. `isNew`: the account had no endpoint. */
  webhookEndpointSet(
    endpoint: WebhookEndpoint,
    how: { readonly secret: string | null; readonly isNew: boolean },
  ): RecordedAnswer
  webhookDeliveryReplayed(delivery: WebhookDelivery): RecordedAnswer
  /** What webhooks tell: what a client sees who looks. */
  paymentSeen(payment: Payment): object
  refundSeen(refund: Refund): object
  disputeSeen(dispute: Dispute): object
  subscriptionCreated(subscription: Subscription): RecordedAnswer
  /** `paymentId`: the payment that had taken the open invoice's money before the change; null: none had. */
  subscriptionChanged(subscription: Subscription, paymentId: string | null): RecordedAnswer
  /** The payload of a webhook: the invoice or the subscription as a client sees it. */
  invoiceSeen(invoice: Invoice): object
  subscriptionSeen(subscription: Subscription): object
  gatewayCustomerRegistered(customer: GatewayCustomer): RecordedAnswer
}

/** What a caller of the payments API can ask of a payment. */
export type PaymentStep = Exclude<KeyTarget['step'], 'refund' | 'checkout' | 'withdraw'>
