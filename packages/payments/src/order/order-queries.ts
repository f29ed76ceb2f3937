import type { Order } from '@seatbelt/domain'
import { listed, pageQuery } from '../shared/listed.ts'
import type { Listed, Page } from '../shared/operations.ts'
import type { Queryable } from '../shared/payment-deps.ts'
import { toOrder } from '../shared/rows.ts'

/** Another account's order is as unknown as an order that never was. */
export async function findOrder({ database }: Queryable, accountId: string, orderId: string): Promise<Order | null> {
  const row = await database.statement(({ order }) =>
    order.findUnique({ where: { accountId_id: { accountId, id: orderId } } }),
  )
  return row && toOrder(row)
}

export async function listOrders({ database }: Queryable, accountId: string, page: Page): Promise<Listed<Order>> {
  const rows = await database.statement(({ order }) => order.findMany(pageQuery(page, { accountId })))
  return listed(rows.map(toOrder), page.limit)
}
