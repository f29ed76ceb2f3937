import type { Tx } from '@seatbelt/database'
import { type LivePayment, livePaymentStates, type Order } from '@seatbelt/domain'
import { toOrder } from '../shared/rows.ts'

/**
 * What a decision about an order needs to know, to be read under the order's lock.
 *
 * A pending order has no live payment: `payments_one_live_per_order` and the claim's transaction see to that, so that the
 * usual case is one statement.
 */
export async function findOrderToDecide(
  tx: Tx,
  accountId: string,
  orderId: string,
): Promise<{ readonly order: Order; readonly live: LivePayment | null } | null> {
  const row = await tx.order.findUnique({ where: { accountId_id: { accountId, id: orderId } } })
  if (!row) return null
  const order = toOrder(row)
  return { order, live: order.state === 'pending' ? null : await findLive(tx, orderId) }
}

async function findLive(tx: Tx, orderId: string): Promise<LivePayment | null> {
  const row = await tx.payment.findFirst({
    where: { orderId, state: { in: [...livePaymentStates] } },
    select: { id: true, state: true },
  })
  return row as LivePayment | null
}
