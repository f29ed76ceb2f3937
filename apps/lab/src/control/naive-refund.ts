import { randomUUID } from 'node:crypto'
import { type Call, decideToRefund, orderStateAfterRefunds, type Payment, type Refund } from '@seatbelt/domain'
import type { NewRefundRequest, RefundResult } from '@seatbelt/payments'

import { answered, type NaiveDeps, refused, toNaivePayment } from './naive-parts.ts'

/**
 * Refunds, as a tutorial does it: read what was refunded so far, check that it is not too much, refund,
 * write down the new sum. It reserves nothing, so that requests at the same moment all read the same sum; and the
 * client's key is ignored. Only the gateway keeps it from giving back more than it took.
 */
export async function refundNaively(
  deps: NaiveDeps,
  { accountId }: Call,
  asked: NewRefundRequest,
): Promise<RefundResult> {
  const { paymentId } = asked
  const row = await deps.database.client.payment.findFirst({ where: { id: paymentId, accountId } })
  if (row === null) return refused({ code: 'payment-not-found', paymentId })
  const payment = toNaivePayment(row)
  const decision = decideToRefund(payment, asked.amountMinor, 0)
  if (decision.code !== 'refund') return refused(decision)

  const refund = await giveBackNaively(deps, payment, { ...asked, amountMinor: decision.amountMinor })
  return answered(deps.renderings.refundSettled(refund, { state: 'succeeded', gatewayRefundId: refund.id }, null))
}

/** Asks for it by a key that is new each time, and writes down the sum as if nobody else wrote it. */
export async function giveBackNaively(
  { database: { client }, gateway }: NaiveDeps,
  payment: Payment,
  { amountMinor, reason }: { readonly amountMinor: number; readonly reason: string | null },
): Promise<Refund> {
  const { id: paymentId, accountId, orderId, currency, gatewayIntentId } = payment
  const id = randomUUID()
  const metadata = { refundId: id, orderId, accountId }
  const given = await gateway.createRefund({ intentId: gatewayIntentId ?? '', amountMinor, metadata }, randomUUID())
  if (given.kind !== 'refund') throw new Error(`the gateway gave nothing back: ${given.kind}`)

  const now = new Date()
  const refund = { id, accountId, orderId, paymentId, amountMinor, currency, reason, createdAt: now, settledAt: now }
  const evidence = { gatewayIntentId: gatewayIntentId ?? '', gatewayChargeId: given.refund.chargeId ?? '' }
  await client.refund.create({
    data: { ...refund, ...evidence, gatewayRefundId: given.refund.id, state: 'succeeded', nextAttemptAt: now },
  })
  const accounts = { debitAccount: `merchant:${accountId}`, creditAccount: 'gateway' }
  await client.transfer.create({
    data: { id: randomUUID(), accountId, paymentId, refundId: id, kind: 'refund', ...accounts, amountMinor, currency },
  })
  // The sum that it read, and its own: whoever wrote in between is forgotten.
  const refundedMinor = payment.refundedMinor + amountMinor
  await client.payment.update({ where: { id: paymentId }, data: { refundedMinor } })
  const state = orderStateAfterRefunds({ ...payment, refundedMinor })
  await client.order.update({ where: { id: orderId }, data: { state, version: { increment: 1 } } })
  return { ...refund, origin: 'merchant', state: 'succeeded', failureCode: null, reversedAt: null }
}
