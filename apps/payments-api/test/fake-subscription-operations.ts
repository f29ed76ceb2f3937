import type { Invoice, Subscription } from '@seatbelt/domain'
import { renderings } from '@seatbelt/http'
import type { Result, SubscriptionOperations } from '@seatbelt/payments'
import { accountId, answered, settledPayment } from './fake-payment-operations.ts'

export const subscription: Subscription = {
  id: '0192f000-0000-7000-8000-00000000000c',
  accountId,
  customerId: 'customer-1',
  gatewayCustomerId: 'cus_1',
  paymentMethod: 'pm_1',
  amountMinor: 900,
  currency: 'EUR',
  interval: { unit: 'month', count: 1 },
  timeZone: 'Europe/Berlin',
  anchor: '2026-01-31T09:00:00',
  receiptEmail: null,
  missedPeriods: 'collect',
  state: 'active',
  pausedBecause: null,
  nextPeriod: 1,
  nextDueAt: new Date('2026-02-28T08:00:00.000Z'),
  version: 1,
  createdAt: new Date('2026-01-31T07:00:00.000Z'),
}

export const invoice: Invoice = {
  id: '0192f000-0000-7000-8000-00000000000d',
  subscriptionId: subscription.id,
  period: 0,
  dueAt: new Date('2026-01-31T08:00:00.000Z'),
  orderId: '0192f000-0000-7000-8000-00000000000a',
  state: 'paid',
  declines: 1,
  refusals: 0,
  nextTryAt: new Date('2026-02-01T08:00:00.000Z'),
  settledAt: new Date('2026-02-01T09:00:00.000Z'),
}

/** Not an implementation of anything: it knows one subscription and writes down what it was asked. */
export function fakeSubscriptionOperations(
  calls: { operation: string; arguments: unknown[] }[],
): SubscriptionOperations {
  const note = (operation: string, args: unknown[]) => calls.push({ operation, arguments: args })
  const ifOwned = (caller: string, subscriptionId: string, result: Result): Result =>
    caller === accountId && subscriptionId === subscription.id
      ? result
      : { kind: 'refused', refusal: { code: 'subscription-not-found', subscriptionId } }
  return {
    createSubscription: async (...args) => {
      note('createSubscription', args)
      return answered(renderings.subscriptionCreated(subscription))
    },
    cancelSubscription: async (...args) => {
      note('cancelSubscription', args)
      const [{ accountId: caller }, id] = args
      return ifOwned(
        caller,
        id,
        answered(renderings.subscriptionChanged({ ...subscription, state: 'cancelled' }, null)),
      )
    },
    changePaymentMethod: async (...args) => {
      note('changePaymentMethod', args)
      const [{ accountId: caller }, { subscriptionId, paymentMethod }] = args
      return ifOwned(
        caller,
        subscriptionId,
        answered(renderings.subscriptionChanged({ ...subscription, paymentMethod }, null)),
      )
    },
    payInvoice: async (...args) => {
      note('payInvoice', args)
      const [{ accountId: caller }, invoiceId] = args
      if (caller !== accountId || invoiceId !== invoice.id)
        return { kind: 'refused', refusal: { code: 'invoice-not-found', invoiceId } }
      const { capturedMinor } = settledPayment
      const outcome = { state: 'succeeded', gatewayChargeId: 'ch_1', capturedMinor } as const
      return answered(renderings.paymentSettled(settledPayment, outcome, 'pay'))
    },
    registerGatewayCustomer: async (...args) => {
      note('registerGatewayCustomer', args)
      const [{ accountId: caller }, { customerId, gatewayCustomerId }] = args
      const customer = { id: gatewayCustomerId ?? 'cus_1', accountId: caller, customerId }
      return answered(renderings.gatewayCustomerRegistered({ ...customer, createdAt: subscription.createdAt }))
    },
    findSubscription: async (...args) => {
      note('findSubscription', args)
      return args[0] === accountId && args[1] === subscription.id ? { subscription, invoices: [invoice] } : null
    },
    listSubscriptions: async (...args) => {
      note('listSubscriptions', args)
      return { items: [subscription], next: args[1].after === null ? subscription.id : null }
    },
  }
}
