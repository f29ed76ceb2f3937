import type { Database } from '@seatbelt/database'
import type { Subscription } from '@seatbelt/domain'
import { listed } from '../shared/listed.ts'
import type { Listed, Page } from '../shared/operations.ts'
import { toInvoice, toSubscription } from '../shared/rows.ts'
import type { SubscriptionWithInvoices } from './subscription-operations.ts'

/** A year of months. */
const latestInvoices = 12

/** Of this account only; with its latest invoices, newest first. */
export async function findSubscription(
  database: Database,
  accountId: string,
  subscriptionId: string,
): Promise<SubscriptionWithInvoices | null> {
  const row = await database.statement((client) =>
    client.subscription.findUnique({
      where: { accountId_id: { accountId, id: subscriptionId } },
      include: { invoices: { orderBy: { period: 'desc' }, take: latestInvoices } },
    }),
  )
  return row && { subscription: toSubscription(row), invoices: row.invoices.map(toInvoice) }
}

export async function listSubscriptions(
  database: Database,
  accountId: string,
  { limit, after }: Page,
): Promise<Listed<Subscription>> {
  const rows = await database.statement((client) =>
    client.subscription.findMany({
      where: { accountId, ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
    }),
  )
  return listed(rows.map(toSubscription), limit)
}
