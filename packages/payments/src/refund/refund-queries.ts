import type { Refund } from '@seatbelt/domain'
import { listed, pageQuery } from '../shared/listed.ts'
import type { Listed, Page, RefundPage } from '../shared/operations.ts'
import type { Queryable } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'

export async function findRefund({ database }: Queryable, accountId: string, refundId: string): Promise<Refund | null> {
  const row = await database.statement(({ refund }) =>
    refund.findUnique({ where: { accountId_id: { accountId, id: refundId } } }),
  )
  return row && toRefund(row)
}

/** Of all payments, and the repairs of reconciliation. */
export async function listAllRefunds(
  { database }: Queryable,
  accountId: string,
  page: RefundPage,
): Promise<Listed<Refund>> {
  const where = { accountId, ...(page.state && { state: page.state }) }
  const rows = await database.statement(({ refund }) => refund.findMany(pageQuery(page, where)))
  return listed(rows.map(toRefund), page.limit)
}

/** The refunds of one payment. Null: there is no such payment, which is not the same as one without refunds. */
export async function listRefunds(
  { database }: Queryable,
  accountId: string,
  page: Page & { readonly paymentId: string },
): Promise<Listed<Refund> | null> {
  const { paymentId } = page
  return database.statement(async ({ payment, refund }) => {
    if ((await payment.count({ where: { accountId, id: paymentId } })) === 0) return null
    const rows = await refund.findMany(pageQuery(page, { accountId, paymentId }))
    return listed(rows.map(toRefund), page.limit)
  })
}
