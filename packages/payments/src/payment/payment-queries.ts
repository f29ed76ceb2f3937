import type { Payment } from '@seatbelt/domain'
import { listed, pageQuery } from '../shared/listed.ts'
import type { Listed, PaymentPage, PaymentWithHistory } from '../shared/operations.ts'
import type { Queryable } from '../shared/payment-deps.ts'
import { toDispute, toPayment, toPaymentEvent } from '../shared/rows.ts'

/** Recovery looks ten times a minute at most, so a longer history is that of a gateway in trouble. */
const maxHistoryLines = 200

/** A bank opens a second dispute of a payment at most, when it corrects the first. */
const mostDisputes = 20

/** The history is in the order in which it was written; of a very long one, the newest lines. */
export async function findPayment(
  { database }: Queryable,
  accountId: string,
  paymentId: string,
): Promise<PaymentWithHistory | null> {
  const row = await database.statement(({ payment }) =>
    payment.findUnique({
      where: { accountId_id: { accountId, id: paymentId } },
      include: {
        events: { orderBy: { id: 'desc' }, take: maxHistoryLines },
        disputes: { orderBy: { id: 'asc' }, take: mostDisputes },
      },
    }),
  )
  if (!row) return null
  const { events, disputes } = row
  return {
    payment: toPayment(row),
    events: events.reverse().map(toPaymentEvent),
    disputes: disputes.map(toDispute),
  }
}

export async function listPayments(
  { database }: Queryable,
  accountId: string,
  page: PaymentPage,
): Promise<Listed<Payment>> {
  const { orderId, state } = page
  const where = { accountId, ...(orderId && { orderId }), ...(state && { state }) }
  const rows = await database.statement(({ payment }) => payment.findMany(pageQuery(page, where)))
  return listed(rows.map(toPayment), page.limit)
}
