import type { Database } from '@seatbelt/database'
import type { Refund } from '@seatbelt/domain'
import { findOrderOfPayment } from '../order/order-lock.ts'
import { listed } from '../shared/listed.ts'
import type { Listed, Page, RefundPage } from '../shared/operations.ts'
import { toRefund } from '../shared/rows.ts'

/** Of this account only, as all that is read here. */
export async function findRefund(database: Database, accountId: string, refundId: string): Promise<Refund | null> {
  const row = await database.statement((client) =>
    client.refund.findUnique({ where: { accountId_id: { accountId, id: refundId } } }),
  )
  return row && toRefund(row)
}

/** Of all payments, and the repairs of reconciliation. */
export async function listAllRefunds(
  database: Database,
  accountId: string,
  { limit, after, state }: RefundPage,
): Promise<Listed<Refund>> {
  const rows = await database.statement((client) =>
    client.refund.findMany({
      where: { accountId, ...(state && { state }), ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
    }),
  )
  return listed(rows.map(toRefund), limit)
}

/** The refunds of one payment. Null: there is no such payment, which is not the same as one without refunds. */
export async function listRefunds(
  database: Database,
  accountId: string,
  { limit, after, paymentId }: Page & { readonly paymentId: string },
): Promise<Listed<Refund> | null> {
  return database.statement(async (client) => {
    if (!(await findOrderOfPayment(client, accountId, paymentId))) return null
    const rows = await client.refund.findMany({
      where: { accountId, paymentId, ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
    })
    return listed(rows.map(toRefund), limit)
  })
}
