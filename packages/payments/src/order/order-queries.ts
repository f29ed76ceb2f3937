import type { Database } from '@seatbelt/database'
import type { Order } from '@seatbelt/domain'
import { listed } from '../shared/listed.ts'
import type { Listed, Page } from '../shared/operations.ts'
import { toOrder } from '../shared/rows.ts'

/** Of this account only; another account's order is as unknown as one that never was. */
export async function findOrder(database: Database, accountId: string, orderId: string): Promise<Order | null> {
  const row = await database.statement((client) =>
    client.order.findUnique({ where: { accountId_id: { accountId, id: orderId } } }),
  )
  return row && toOrder(row)
}

export async function listOrders(
  database: Database,
  accountId: string,
  { limit, after }: Page,
): Promise<Listed<Order>> {
  const rows = await database.statement((client) =>
    client.order.findMany({
      where: { accountId, ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
    }),
  )
  return listed(rows.map(toOrder), limit)
}
