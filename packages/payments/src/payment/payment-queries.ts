import type { Database } from '@seatbelt/database'
import type { Payment } from '@seatbelt/domain'
import { listed } from '../shared/listed.ts'
import type { Listed, PaymentPage, PaymentWithHistory } from '../shared/operations.ts'
import { toPayment, toPaymentEvent } from '../shared/rows.ts'

/** A payment is looked at some ten times a minute at most; a history longer than this is that of a gateway in trouble. */
const maxHistoryLines = 200

/** Of this account only. The history is in the order in which it was written; of a very long one, the newest lines. */
export async function findPayment(
  database: Database,
  accountId: string,
  paymentId: string,
): Promise<PaymentWithHistory | null> {
  const row = await database.statement((client) =>
    client.payment.findUnique({
      where: { accountId_id: { accountId, id: paymentId } },
      include: { events: { orderBy: { id: 'desc' }, take: maxHistoryLines } },
    }),
  )
  return row && { payment: toPayment(row), events: row.events.reverse().map(toPaymentEvent) }
}

export async function listPayments(
  database: Database,
  accountId: string,
  { limit, after, orderId, state }: PaymentPage,
): Promise<Listed<Payment>> {
  const rows = await database.statement((client) =>
    client.payment.findMany({
      where: { accountId, ...(orderId && { orderId }), ...(state && { state }), ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
    }),
  )
  return listed(rows.map(toPayment), limit)
}
