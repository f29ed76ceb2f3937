import { randomUUID } from 'node:crypto'
import type { Database, Invoice as InvoiceRow, Subscription as SubscriptionRow } from '@seatbelt/database'
import { type Currency, intervalUnits, type Subscription } from '@seatbelt/domain'
import { dueAt, type NewSubscription, type Renderings, type SubscriptionOperations } from '@seatbelt/payments'
import type { CustomerGateway } from '@seatbelt/safety'
import { answered, refused } from './naive-parts.ts'

export interface NaiveSubscriptionDeps {
  readonly database: Database
  readonly gateway: CustomerGateway
  readonly renderings: Renderings
}

/** What the load needs so that naive-billing.ts has something to bill: subscriptions that are due from their anchor on. */
export function createNaiveSubscriptions(deps: NaiveSubscriptionDeps): SubscriptionOperations {
  const { database, gateway, renderings } = deps
  return {
    registerGatewayCustomer: async ({ accountId }, { customerId }) => {
      const created = await gateway.createCustomer({ accountId, customerId }, randomUUID())
      if (created.kind !== 'customer') throw new Error(`the gateway did not create a customer: ${created.kind}`)
      const { gatewayCustomerId: id, ...row } = await database.client.gatewayCustomer.create({
        data: { gatewayCustomerId: created.customer.id, accountId, customerId },
      })
      return answered(renderings.gatewayCustomerRegistered({ id, ...row }))
    },
    createSubscription: async ({ accountId }, asked) => {
      const row = await database.client.subscription.create({ data: { ...rowOf(asked), id: randomUUID(), accountId } })
      return answered(renderings.subscriptionCreated(toSubscription(row)))
    },
    findSubscription: async (accountId, id) => {
      const found = await database.client.subscription.findFirst({
        where: { id, accountId },
        include: { invoices: true },
      })
      return found && { subscription: toSubscription(found), invoices: found.invoices satisfies InvoiceRow[] }
    },
    // Nobody asks the control for more.
    cancelSubscription: async (_, subscriptionId) => refused({ code: 'subscription-not-found', subscriptionId }),
    changePaymentMethod: async (_, { subscriptionId }) => refused({ code: 'subscription-not-found', subscriptionId }),
    payInvoice: async (_, invoiceId) => refused({ code: 'invoice-not-found', invoiceId }),
    listSubscriptions: async () => ({ items: [], next: null }),
  }
}

function rowOf({ interval, anchor, ...asked }: NewSubscription) {
  const begins = anchor ?? new Date().toISOString().slice(0, 19)
  return {
    ...asked,
    intervalUnit: interval.unit,
    intervalCount: interval.count,
    anchor: new Date(`${begins}Z`),
    nextDueAt: dueAt({ ...asked, interval, anchor: begins }, 0),
  }
}

/** Unit and currency came in through the API's schema, which knows no other ones. */
function toSubscription(row: SubscriptionRow): Subscription {
  const { intervalUnit, intervalCount, anchor, currency, missedPeriods, ...same } = row
  const unit = intervalUnits.find((name) => name === intervalUnit) ?? 'month'
  return {
    ...same,
    anchor: anchor.toISOString().slice(0, 19),
    currency: currency as Currency,
    missedPeriods: missedPeriods === 'skip' ? 'skip' : 'collect',
    interval: { unit, count: intervalCount },
  }
}
