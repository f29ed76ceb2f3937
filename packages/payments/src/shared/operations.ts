import type {
  Currency,
  Invoice,
  Order,
  Payment,
  PaymentEvent,
  PaymentOutcome,
  PaymentState,
  Refund,
  RefundOutcome,
  RefundState,
  Refusal,
  Subscription,
  WebhookDelivery,
  WebhookEndpoint,
} from '@seatbelt/domain'
import type { Call, Guarded, Intent, RecordedAnswer } from '@seatbelt/safety'

/** What the payments backend can do. Made by `createPaymentOperations`; the lab makes unsafe twins of it. */
export interface PaymentOperations {
  createOrder(call: Call, order: NewOrder): Promise<Result>
  payOrder(call: Call, payment: NewPaymentRequest): Promise<Result>
  /** Takes what is on hold. */
  capturePayment(call: Call, paymentId: string): Promise<Result>
  /** Gives back what is on hold. */
  voidPayment(call: Call, paymentId: string): Promise<Result>
  /** Gives back what was taken, or a part of it. */
  refundPayment(call: Call, refund: NewRefundRequest): Promise<RefundResult>
  cancelOrder(call: Call, orderId: string): Promise<Result>
  /** Looks now at a payment that waits for a person. */
  reviewPayment(accountId: string, paymentId: string): Promise<ReviewResult>
  findOrder(accountId: string, orderId: string): Promise<Order | null>
  findPayment(accountId: string, paymentId: string): Promise<PaymentWithHistory | null>
  listOrders(accountId: string, page: Page): Promise<Listed<Order>>
  listPayments(accountId: string, page: PaymentPage): Promise<Listed<Payment>>
  findRefund(accountId: string, refundId: string): Promise<Refund | null>
  /** The same for a refund. */
  reviewRefund(accountId: string, refundId: string): Promise<RefundReviewResult>
  listAllRefunds(accountId: string, page: RefundPage): Promise<Listed<Refund>>
  /** Null: there is no such payment. */
  listRefunds(accountId: string, page: Page & { readonly paymentId: string }): Promise<Listed<Refund> | null>
}

/**
 * `answered`: the recorded answer, now or earlier. `unsettled`: the intent exists and its outcome is not known yet.
 * `refused`: nothing was changed.
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
  /** `manual`: only puts the amount on hold, until it is captured or voided. */
  readonly capture: 'automatic' | 'manual'
}

export interface NewRefundRequest {
  readonly paymentId: string
  /** Null: all that is left. */
  readonly amountMinor: number | null
  /** The merchant's own words. */
  readonly reason: string | null
}

/** `reviewed`: the gateway was asked, and this is how the payment stands now. */
export type ReviewResult =
  | { readonly kind: 'reviewed'; readonly payment: PaymentWithHistory }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export type RefundReviewResult =
  | { readonly kind: 'reviewed'; readonly refund: Refund }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export interface PaymentWithHistory {
  readonly payment: Payment
  readonly events: readonly PaymentEvent[]
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
  orderCancelled(order: Order): RecordedAnswer
  /** `step`: what the caller asked for whose answer it is. */
  paymentSettled(payment: Payment, outcome: PaymentOutcome, step: PaymentStep): RecordedAnswer
  refundSettled(refund: Refund, outcome: RefundOutcome): RecordedAnswer
  /** `secret`: where one was made. `isNew`: the account had no endpoint. */
  webhookEndpointSet(
    endpoint: WebhookEndpoint,
    how: { readonly secret: string | null; readonly isNew: boolean },
  ): RecordedAnswer
  webhookDeliveryReplayed(delivery: WebhookDelivery): RecordedAnswer
  /** What webhooks tell: what a client sees who looks. */
  paymentSeen(payment: Payment): object
  refundSeen(refund: Refund): object
  subscriptionCreated(subscription: Subscription): RecordedAnswer
  subscriptionChanged(subscription: Subscription): RecordedAnswer
  /** What a webhook tells: the invoice as a client sees it. */
  invoiceSeen(invoice: Invoice): object
}

/** What a caller of the payments API can ask of a payment. */
export type PaymentStep = Exclude<Intent['step'], 'refund' | 'checkout'>
