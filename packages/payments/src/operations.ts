import type { Currency, Order, Payment, PaymentEvent, PaymentOutcome } from '@seatbelt/domain'
import type { Call, Guarded, RecordedAnswer } from '@seatbelt/safety'

/** What the payments backend can do. Made by `createPaymentOperations`; the lab makes unsafe twins of it. */
export interface PaymentOperations {
  createOrder(call: Call, order: NewOrder): Promise<Result>
  payOrder(call: Call, payment: { readonly orderId: string; readonly paymentMethod: string }): Promise<Result>
  cancelOrder(call: Call, orderId: string): Promise<Result>
  findOrder(accountId: string, orderId: string): Promise<Order | null>
  findPayment(accountId: string, paymentId: string): Promise<PaymentWithHistory | null>
  listOrders(accountId: string, page: Page): Promise<Listed<Order>>
  listPayments(accountId: string, page: Page & { readonly orderId: string | null }): Promise<Listed<Payment>>
}

/**
 * `answered`: the recorded answer, now or earlier. `unsettled`: the intent exists and its outcome is not known yet.
 * `refused`: nothing was changed.
 */
export type Result = Guarded<Payment>

export interface NewOrder {
  readonly customerId: string
  readonly amountMinor: number
  readonly currency: Currency
}

export interface PaymentWithHistory {
  readonly payment: Payment
  readonly events: readonly PaymentEvent[]
}

/** Newest first. `after` is the id of the last item of the page before; null begins. */
export interface Page {
  readonly limit: number
  readonly after: string | null
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
  paymentSettled(payment: Payment, outcome: PaymentOutcome): RecordedAnswer
}
