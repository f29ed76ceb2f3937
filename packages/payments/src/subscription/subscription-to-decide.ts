import { type Sql, type Subscription as SubscriptionRow, sql, type Tx } from '@seatbelt/database'
import type { Subscription } from '@seatbelt/domain'
import { changedOne } from '@seatbelt/safety'
import { toSubscription } from '../shared/rows.ts'

export async function readSubscription(tx: Tx, which: Sql): Promise<Subscription | null> {
  // The driver would read the anchor, which has no time zone, in the zone of this process. The later column counts.
  const [row] = await tx.read<SubscriptionRow>(sql`
    SELECT *, anchor AT TIME ZONE 'UTC' AS anchor FROM subscriptions WHERE ${which}`)
  return row ? toSubscription(row) : null
}

/**
 * Locks a subscription until the transaction ends, and reads it. Two statements, because a statement that locks and
 * reads sees what was true before the lock; both are issued at once.
 *
 * Every transaction that decides about more than the subscription itself takes this lock: a change, a try's claim, its
 * settle, an adoption. It comes after the order's lock, where the transaction takes that, and before all writes to an
 * order or an invoice that exist. Making the next invoice does not take it: it writes new rows, and the version
 * decides.
 *
 * NO KEY UPDATE, because rows that refer to the subscription may be inserted meanwhile.
 */
export async function lockSubscription(tx: Tx, which: Sql): Promise<Subscription | null> {
  const [, subscription] = await Promise.all([
    tx.read(sql`SELECT 1 FROM subscriptions WHERE ${which} FOR NO KEY UPDATE`),
    readSubscription(tx, which),
  ])
  return subscription
}

export type SubscriptionChange = Partial<
  Pick<Subscription, 'state' | 'pausedBecause' | 'paymentMethod' | 'nextPeriod' | 'nextDueAt'>
>

/**
 * Layer 4 for subscriptions: changes it from the version that was read to the next one, and returns it as it is then.
 */
export function moveSubscription(tx: Tx, read: Subscription, change: SubscriptionChange): Subscription {
  const changed = { ...read, ...change, version: read.version + 1 }
  const { id, state, pausedBecause, paymentMethod, nextPeriod, nextDueAt, version } = changed
  tx.write(sql`
    WITH changed AS (
      UPDATE subscriptions
         SET state = ${state}::subscription_state, paused_because = ${pausedBecause}, payment_method = ${paymentMethod}, next_period = ${nextPeriod},
             next_due_at = ${nextDueAt}::timestamptz, version = ${version}
       WHERE id = ${id}::uuid AND version = ${read.version}
      RETURNING id)
    SELECT ${changedOne['subscription-version']}`)
  return changed
}
