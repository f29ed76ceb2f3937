import { sql, type Tx } from '@seatbelt/database'
import { mayChargePeriod, type Subscription, type ZonedInstant } from '@seatbelt/domain'
import { lostRace } from '@seatbelt/safety'
import { writeOrder } from '../order/create-order.ts'
import { readClock } from '../shared/clock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { admitBillingFence, type BillingTerm } from './billing-term.ts'
import { dueAt, lastPeriodDue, wallTimeAt } from './period.ts'
import { moveSubscription, readSubscription } from './subscription-to-decide.ts'

/**
 * Makes the invoice of the period that is due, with the order that collects it, and moves the subscription on to its
 * next period: one transaction, which charges nothing.
 *
 * Of several periods that are due, the subscription's policy chooses: `collect` takes the first, `skip` the last.
 *
 * Guarantees: one invoice per period, however many processes do this at once (two unique indexes, and the
 * subscription's version); none while an earlier invoice is open; none by a deposed leader (`StaleFence`); none that
 * would be a second charge within a day (`mayChargePeriod`). False: there was nothing to do.
 */
export async function invoiceSubscription(
  deps: PaymentDeps,
  term: BillingTerm,
  subscriptionId: string,
): Promise<boolean> {
  try {
    return await deps.layers.transaction((tx) => invoiceNextPeriod(deps, tx, term, subscriptionId))
  } catch (fault) {
    if (lostRace(fault)) return false
    throw fault
  }
}

async function invoiceNextPeriod(
  deps: PaymentDeps,
  tx: Tx,
  { fence, dueBy }: BillingTerm,
  subscriptionId: string,
): Promise<boolean> {
  const [, subscription, [named], now, [lastPaid]] = await Promise.all([
    admitBillingFence(tx, fence),
    readSubscription(tx, sql`id = ${subscriptionId}::uuid`),
    tx.read<{ name: string }>(sql`
      SELECT COALESCE(gateway_reference, id::text) AS name FROM subscriptions WHERE id = ${subscriptionId}::uuid`),
    readClock(tx),
    tx.read<{ settledAt: Date }>(sql`
      SELECT settled_at FROM invoices WHERE subscription_id = ${subscriptionId}::uuid AND state = 'paid'
       ORDER BY period DESC LIMIT 1`),
  ])
  if (!subscription || !named) throw new Error(`subscription ${subscriptionId} is gone`)
  if (subscription.state !== 'active' || subscription.nextDueAt > dueBy) return false
  const { accountId, nextPeriod, nextDueAt } = periodToInvoice(subscription, dueBy)
  const zoned = (at: Date): ZonedInstant => ({ at, day: wallTimeAt(subscription.timeZone, at).slice(0, 10) })
  if (!mayChargePeriod(nextDueAt, lastPaid ? zoned(lastPaid.settledAt) : null, zoned(now))) return false

  const gatewayReference = deps.layers.gatewayReference('invoice', named.name, nextPeriod)
  const order = writeOrder(deps, tx, { ...subscription, purpose: 'invoice', gatewayReference }, now)
  // Layer 5 for invoices: `invoices_one_per_period` and `invoices_one_open_per_subscription`.
  tx.write(sql`
    INSERT INTO invoices (id, account_id, subscription_id, period, due_at, order_id, next_try_at, created_at)
    VALUES (${deps.runtime.newId()}::uuid, ${accountId}::uuid, ${subscriptionId}::uuid, ${nextPeriod},
            ${nextDueAt}::timestamptz, ${order.id}::uuid, ${nextDueAt}::timestamptz, clock_timestamp())`)
  moveSubscription(tx, subscription, periodAfter({ ...subscription, nextPeriod, nextDueAt }))
  return true
}

/** The subscription as if its next period were the one to invoice. */
function periodToInvoice(subscription: Subscription, dueBy: Date): Subscription {
  if (subscription.missedPeriods === 'collect') return subscription
  const nextPeriod = lastPeriodDue(subscription, dueBy)
  if (nextPeriod <= subscription.nextPeriod) return subscription
  return { ...subscription, nextPeriod, nextDueAt: dueAt(subscription, nextPeriod) }
}

/** The number goes up even where the zone's rules have changed and say that the same period is due again. */
function periodAfter(subscription: Subscription): { readonly nextPeriod: number; readonly nextDueAt: Date } {
  const { nextPeriod, nextDueAt } = subscription
  const next = Math.max(nextPeriod, lastPeriodDue(subscription, nextDueAt)) + 1
  return { nextPeriod: next, nextDueAt: dueAt(subscription, next) }
}
