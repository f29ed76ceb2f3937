import type { Tx } from '@seatbelt/database'
import type { Subscription } from '@seatbelt/domain'
import { toSubscription } from '../shared/rows.ts'

/**
 * Keeps the subscription as it is until the transaction ends, and reads it. Two statements, because one that locks and reads
 * sees what was true before it got the lock.
 *
 * By all who decide about more than the subscription itself (a change, a try's claim and its settle, an adoption): after the
 * order's lock where they take that, and before they write a row of an order or of an invoice that is there already. Making
 * the next invoice takes it not: that writes new rows, and loses by the subscription's version.
 *
 * NO KEY UPDATE, because rows that refer to it may be inserted meanwhile.
 */
export async function lockSubscription(tx: Tx, id: string): Promise<Subscription> {
  await tx.$queryRaw`SELECT 1 FROM subscriptions WHERE id = ${id}::uuid FOR NO KEY UPDATE`
  return toSubscription(await tx.subscription.findUniqueOrThrow({ where: { id } }))
}
