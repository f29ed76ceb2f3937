import type { Currency, Invoice, Schedule, Subscription } from '@seatbelt/domain'
import type { Call } from '@seatbelt/safety'
import type { Listed, Page, Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { cancelSubscription, changePaymentMethod } from './change-subscription.ts'
import { createSubscription } from './create-subscription.ts'
import { findSubscription, listSubscriptions } from './subscription-queries.ts'

/** What an account can do about its subscriptions. What falls due is charged by the billing run. */
export interface SubscriptionOperations {
  createSubscription(call: Call, subscription: NewSubscription): Promise<Result>
  cancelSubscription(call: Call, subscriptionId: string): Promise<Result>
  /** Charges another payment method from now on; the way out of `past_due`. */
  changePaymentMethod(call: Call, change: NewPaymentMethod): Promise<Result>
  findSubscription(accountId: string, subscriptionId: string): Promise<SubscriptionWithInvoices | null>
  listSubscriptions(accountId: string, page: Page): Promise<Listed<Subscription>>
}

export interface NewSubscription extends Omit<Schedule, 'anchor'> {
  readonly customerId: string
  /** The gateway's customer, to whom the payment method is attached. */
  readonly gatewayCustomerId: string
  readonly paymentMethod: string
  readonly amountMinor: number
  readonly currency: Currency
  readonly receiptEmail: string | null
  /** The wall time of the first period; null: now. */
  readonly anchor: string | null
}

export interface NewPaymentMethod {
  readonly subscriptionId: string
  readonly paymentMethod: string
}

export interface SubscriptionWithInvoices {
  readonly subscription: Subscription
  /** The latest, newest first. */
  readonly invoices: readonly Invoice[]
}

export function createSubscriptionOperations(deps: PaymentDeps): SubscriptionOperations {
  const { database } = deps
  return {
    createSubscription: (call, subscription) => createSubscription(deps, call, subscription),
    cancelSubscription: (call, subscriptionId) => cancelSubscription(deps, call, subscriptionId),
    changePaymentMethod: (call, change) => changePaymentMethod(deps, call, change),
    findSubscription: (accountId, subscriptionId) => findSubscription(database, accountId, subscriptionId),
    listSubscriptions: (accountId, page) => listSubscriptions(database, accountId, page),
  }
}
