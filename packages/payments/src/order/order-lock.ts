import type { Tx } from '@seatbelt/database'
import { type Call, type MeetingPoint, orderLockName, type Refused } from '@seatbelt/safety'
import { inProgress } from '../payment/claim-payment.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** Where all meet who decide about one order. */
export function atOrder(order: { readonly accountId: string; readonly orderId: string }): MeetingPoint {
  return { resource: orderLockName(order), contended: inProgress(order.orderId) }
}

/** The same, for who names a payment of it. Refused: the caller's account has none with this id. */
export async function atOrderOfPayment(
  { database }: PaymentDeps,
  { accountId }: Call,
  paymentId: string,
): Promise<MeetingPoint | Refused> {
  const known = await database.statement((client) => findOrderOfPayment(client, accountId, paymentId))
  if (!known) return { kind: 'refused', refusal: { code: 'payment-not-found', paymentId } }
  return atOrder({ accountId, orderId: known.orderId })
}

/** Of this account only. A payment never changes its order, so that it can be looked up before the order's lock is taken. */
export function findOrderOfPayment(
  client: Tx,
  accountId: string,
  paymentId: string,
): Promise<{ readonly orderId: string } | null> {
  return client.payment.findUnique({
    where: { accountId_id: { accountId, id: paymentId } },
    select: { orderId: true },
  })
}
