import { randomUUID } from 'node:crypto'
import type { Order, Payment, PaymentOutcome } from '@seatbelt/domain'
import type { NewPaymentRequest } from '@seatbelt/payments'
import type { IntentGateway } from '@seatbelt/safety'
import { bookCharge, type NaiveDeps } from './naive-parts.ts'

/** Asks the gateway with keys that are new each time, which is what its client library does when it is given none. */
export async function chargeNaively(
  gateway: IntentGateway,
  order: Pick<Order, 'id' | 'accountId' | 'amountMinor' | 'currency'>,
  { paymentMethod, capture }: Pick<NewPaymentRequest, 'paymentMethod' | 'capture'>,
): Promise<{ payment: Payment; outcome: PaymentOutcome }> {
  const { accountId, amountMinor, currency } = order
  const paymentId = randomUUID()
  const metadata = { paymentId, orderId: order.id, accountId }
  const captureMethod = capture === 'manual' ? { captureMethod: capture } : {}
  const parameters = { amountMinor, currency, paymentMethod, metadata, ...captureMethod }
  const created = await gateway.createIntent(parameters, randomUUID())
  if (created.kind !== 'intent') throw new Error(`the gateway did not create an intent: ${created.kind}`)
  const confirmed = await gateway.confirmIntent(created.intent.id, parameters, randomUUID())
  const payment = {
    id: paymentId,
    accountId,
    orderId: order.id,
    amountMinor,
    currency,
    paymentMethod,
    declinedBy: null,
    gatewayIntentId: created.intent.id,
    capturedMinor: 0,
    refundedMinor: 0,
    refundPendingMinor: 0,
    disputeState: null,
    disputedMinor: 0,
    createdAt: new Date(),
    authorizedAt: null,
    settledAt: new Date(),
  }
  if (confirmed.kind === 'declined') {
    const { declineCode } = confirmed
    return {
      payment: { ...payment, state: 'declined', declineCode, declinedBy: 'bank' },
      outcome: { state: 'declined', declineCode, declinedBy: 'bank' },
    }
  }
  if (confirmed.kind === 'intent' && confirmed.intent.status === 'requires_capture') {
    return {
      payment: { ...payment, state: 'authorized', declineCode: null, authorizedAt: new Date(), settledAt: null },
      outcome: { state: 'authorized' },
    }
  }
  if (confirmed.kind !== 'intent' || confirmed.intent.chargeId === null) {
    throw new Error(`the gateway did not confirm the intent: ${confirmed.kind}`)
  }
  const { chargeId: gatewayChargeId, receivedMinor: capturedMinor } = confirmed.intent
  const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
  return { payment: { ...payment, state: 'succeeded', capturedMinor, declineCode: null }, outcome }
}

/** Writes down what was charged. */
export async function bookNaivePayment(
  { database, bookedBy }: NaiveDeps,
  payment: Payment,
  gatewayChargeId: string,
): Promise<void> {
  const { client } = database
  await client.payment.create({ data: { ...payment, ...unusedColumns(payment), gatewayChargeId } })
  if (bookedBy === 'request') await bookCharge(database, payment)
  await client.order.update({ where: { id: payment.orderId }, data: { state: 'paid', version: { increment: 1 } } })
}

/** Columns of the layers, which this does not use and the table wants. */
export function unusedColumns({ createdAt }: Payment) {
  return { nextAttemptAt: createdAt, abandonAfter: createdAt, intentParameters: {}, capturedMinor: null }
}
