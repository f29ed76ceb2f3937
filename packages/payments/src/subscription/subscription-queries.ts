import type { Invoice, Subscription } from '@seatbelt/domain'
import { listed, pageQuery } from '../shared/listed.ts'
import type { Listed, Page } from '../shared/operations.ts'
import type { Queryable } from '../shared/payment-deps.ts'
import { toInvoice, toSubscription } from '../shared/rows.ts'

export interface SubscriptionWithInvoices {
  readonly subscription: Subscription
  /** The latest, newest first. */
  readonly invoices: readonly Invoice[]
}

/** A year of months. */
const latestInvoices = 12

/** Null: this account has no such subscription. */
export async function findSubscription(
  { database }: Queryable,
  accountId: string,
  subscriptionId: string,
): Promise<SubscriptionWithInvoices | null> {
  const row = await database.statement(({ subscription }) =>
    subscription.findUnique({
      where: { accountId_id: { accountId, id: subscriptionId } },
      include: { invoices: { orderBy: { period: 'desc' }, take: latestInvoices } },
    }),
  )
  return row && { subscription: toSubscription(row), invoices: row.invoices.map(toInvoice) }
}

export async function listSubscriptions(
  { database }: Queryable,
  accountId: string,
  page: Page,
): Promise<Listed<Subscription>> {
  const rows = await database.statement(({ subscription }) => subscription.findMany(pageQuery(page, { accountId })))
  return listed(rows.map(toSubscription), page.limit)
}
