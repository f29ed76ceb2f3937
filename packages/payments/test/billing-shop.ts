import { randomUUID } from 'node:crypto'
import {
  type BillingOptions,
  billHour,
  createSubscriptionOperations,
  drawBillingFence,
  type NewSubscription,
} from '../src/index.ts'
import { bodyOf, call, type Replica, type Shop } from './shop.ts'

/** The steps that tests of billing share. */
export interface BillingShop {
  /** A subscription that is due now, of a customer of the gateway with this card attached. */
  subscribe(replica: Replica, overrides?: Partial<NewSubscription> & { readonly card?: string }): Promise<string>
  /** A card, attached to the same customer. */
  attach(subscriptionId: string, card: string): Promise<string>
  /** The number of charges at the gateway for each invoice of the subscription, by period. */
  chargesOf(subscriptionId: string): Promise<readonly number[]>
  invoicesOf(subscriptionId: string): Promise<readonly InvoiceRow[]>
  stateOf(subscriptionId: string): Promise<string | undefined>
}

export interface InvoiceRow {
  readonly id: string
  readonly period: number
  readonly state: string
  readonly declines: number
  readonly tries: number
  readonly order_id: string
}

export function openBillingShop(shop: Shop): BillingShop {
  const ask = async (path: string, parameters: Record<string, string>) => {
    const response = await fetch(`${shop.gatewayUrl}/v1/${path}`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk_test_dev_only' },
      body: new URLSearchParams(parameters),
    })
    const body = (await response.json()) as { id: string }
    if (!response.ok) throw new Error(JSON.stringify(body))
    return body.id
  }
  const attach = (customer: string, card: string) => ask(`payment_methods/${card}/attach`, { customer })
  const invoicesOf = (subscriptionId: string) =>
    shop.sql<InvoiceRow>(
      'SELECT id, period, state, declines, tries, order_id FROM invoices WHERE subscription_id = $1 ORDER BY period',
      [subscriptionId],
    )
  return {
    invoicesOf,
    subscribe: async (replica, { card = 'pm_card_visa', ...overrides } = {}) => {
      const customer = { customerId: 'customer-1', gatewayCustomerId: null }
      const operations = createSubscriptionOperations(replica.deps)
      const registered = await operations.registerGatewayCustomer(call(randomUUID(), customer), customer)
      const { id: gatewayCustomerId } = bodyOf<{ id: string }>(registered)
      const asked = newSubscription({
        gatewayCustomerId,
        paymentMethod: await attach(gatewayCustomerId, card),
        ...overrides,
      })
      const created = await operations.createSubscription(call(randomUUID(), asked), asked)
      return bodyOf<{ id: string }>(created).id
    },
    attach: async (subscriptionId, card) => {
      const rows = await shop.sql<{ customer: string }>(
        'SELECT gateway_customer_id AS customer FROM subscriptions WHERE id = $1',
        [subscriptionId],
      )
      return attach(rows[0]?.customer ?? '', card)
    },
    chargesOf: async (subscriptionId) =>
      Promise.all(
        (await invoicesOf(subscriptionId)).map(async ({ order_id }) => (await shop.charges(order_id)).length),
      ),
    stateOf: async (subscriptionId) => {
      const rows = await shop.sql<{ state: string }>('SELECT state FROM subscriptions WHERE id = $1', [subscriptionId])
      return rows[0]?.state
    },
  }
}

function newSubscription(
  overrides: Pick<NewSubscription, 'gatewayCustomerId' | 'paymentMethod'> & Partial<NewSubscription>,
): NewSubscription {
  return {
    customerId: 'customer-1',
    amountMinor: 900,
    currency: 'EUR',
    receiptEmail: null,
    interval: { unit: 'month', count: 1 },
    timeZone: 'Europe/Berlin',
    anchor: null,
    missedPeriods: 'collect',
    ...overrides,
  }
}

/** So many hours from now, and never the same twice, because a finished run does not begin again. */
export function hoursFromNow(hours: number): Date {
  let atMs = Math.ceil(Date.now() / 1_000 + hours * 3_600) * 1_000
  while (taken.has(atMs)) atMs += 1_000
  taken.add(atMs)
  return new Date(atMs)
}

const taken = new Set<number>()

/** Leads a run, as a worker does at the full hour when it is elected. */
export async function lead(replica: Replica, hour: Date, signal = new AbortController().signal) {
  const fence = await drawBillingFence(replica.database)
  return bill(replica, { hour, fence, signal })
}

/** The same under a fence that was drawn before. */
export function bill(replica: Replica, run: Pick<BillingOptions, 'hour' | 'fence'> & Partial<BillingOptions>) {
  const onFault = (fault: unknown) => void replica.faults.push(fault)
  return billHour(replica.deps, { lanes: 4, signal: new AbortController().signal, onFault, ...run })
}
