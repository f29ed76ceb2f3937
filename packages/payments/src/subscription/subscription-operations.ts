import { bindOperations } from '../shared/bind-operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { cancelSubscription, changePaymentMethod } from './change-subscription.ts'
import { createSubscription } from './create-subscription.ts'
import { registerGatewayCustomer } from './gateway-customer.ts'
import { payInvoice } from './pay-invoice.ts'
import { findSubscription, listSubscriptions } from './subscription-queries.ts'

/** How an account manages its subscriptions. The billing run charges what falls due. */
export type SubscriptionOperations = ReturnType<typeof createSubscriptionOperations>

export function createSubscriptionOperations(deps: PaymentDeps) {
  const changes = { createSubscription, cancelSubscription, changePaymentMethod, payInvoice, registerGatewayCustomer }
  return bindOperations(deps, { ...changes, findSubscription, listSubscriptions })
}
