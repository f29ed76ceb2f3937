import { randomUUID } from 'node:crypto'
import type { Database, Subscription } from '@seatbelt/database'
import { type Currency, intervalUnits } from '@seatbelt/domain'
import { dueAt } from '@seatbelt/payments'
import type { IntentGateway } from '@seatbelt/safety'

export interface NaiveBillingDeps {
  readonly database: Database
  readonly gateway: IntentGateway
  /** Told of each charge whose answer was lost. The run goes on with the next subscription. */
  readonly onFault: (fault: unknown) => void
}

/**
 * The control's billing run, as a cron job in each of three servers has it: look what is due, charge it, move it on.
 *
 * It is right about calendars and declines, and in one server it charges each period once. It has none of the layers: nobody
 * is elected, nothing is written before the charge, and its database has no unique indexes. Servers that wake at the same
 * hour all find the same subscriptions due. Never use it for anything else.
 *
 * @returns how many periods this server charged
 */
export async function runNaiveBilling(deps: NaiveBillingDeps, now = new Date()): Promise<number> {
  const due = await deps.database.client.subscription.findMany({
    where: { state: 'active', nextDueAt: { lte: now } },
    orderBy: { nextDueAt: 'asc' },
  })
  let charged = 0
  for (const subscription of due) {
    try {
      if (await bill(deps, subscription, now)) charged += 1
    } catch (fault) {
      deps.onFault(fault)
    }
  }
  return charged
}

async function bill({ database, gateway }: NaiveBillingDeps, subscription: Subscription, now: Date): Promise<boolean> {
  const { id: subscriptionId, accountId, customerId, amountMinor, currency, nextPeriod, nextDueAt } = subscription
  const order = { id: randomUUID(), accountId, customerId, amountMinor, currency, purpose: 'invoice' }
  const isCharged = await charge(gateway, subscription, order.id)
  await database.client.order.create({ data: { ...order, state: isCharged ? 'paid' : 'pending' } })
  const period = { subscriptionId, period: nextPeriod, dueAt: nextDueAt }
  const outcome = isCharged
    ? ({ state: 'paid', declines: 0 } as const)
    : ({ state: 'uncollectible', declines: 1 } as const)
  await database.client.invoice.create({
    data: { id: randomUUID(), accountId, orderId: order.id, ...period, ...outcome, nextTryAt: now, settledAt: now },
  })
  await database.client.subscription.update({ where: { id: subscriptionId }, data: periodAfter(subscription) })
  return isCharged
}

/** With keys that are new each time, which is what the gateway's client library does when it is given none. */
async function charge(gateway: IntentGateway, subscription: Subscription, orderId: string): Promise<boolean> {
  const { accountId, amountMinor, currency, paymentMethod, gatewayCustomerId } = subscription
  const parameters = {
    ...{ amountMinor, paymentMethod, offSessionCustomer: gatewayCustomerId },
    // It came in through the API's schema, which knows no other ones.
    currency: currency as Currency,
    metadata: { paymentId: randomUUID(), orderId, accountId },
  }
  const created = await gateway.createIntent(parameters, randomUUID())
  if (created.kind !== 'intent') throw new Error(`the gateway did not create an intent: ${created.kind}`)
  const confirmed = await gateway.confirmIntent(created.intent.id, parameters, randomUUID())
  if (confirmed.kind === 'intent') return confirmed.intent.status === 'succeeded'
  if (confirmed.kind === 'declined') return false
  throw new Error(`the gateway did not confirm the intent: ${confirmed.kind}`)
}

function periodAfter({ anchor, timeZone, intervalUnit, intervalCount, nextPeriod }: Subscription) {
  const unit = intervalUnits.find((name) => name === intervalUnit)
  if (unit === undefined) throw new Error(`there is no interval of ${intervalUnit}s`)
  const schedule = { anchor: anchor.toISOString().slice(0, 19), timeZone, interval: { unit, count: intervalCount } }
  return { nextPeriod: nextPeriod + 1, nextDueAt: dueAt(schedule, nextPeriod + 1), version: { increment: 1 } }
}
