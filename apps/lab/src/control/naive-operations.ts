import { randomUUID } from 'node:crypto'
import type { Database, Order as OrderRow } from '@seatbelt/database'
import type { Currency, Order, Payment, PaymentOutcome } from '@seatbelt/domain'
import type { NewOrder, NewPaymentRequest, PaymentOperations, Result } from '@seatbelt/payments'
import type { Call, IntentGateway } from '@seatbelt/safety'
import { captureNaively, voidNaively } from './naive-authorization.ts'
import { answered, bookCharge, type NaiveDeps, refused, toNaivePayment } from './naive-parts.ts'
import { refundNaively } from './naive-refund.ts'

/**
 * The control: payments as a tutorial writes them. Read the order, check that it is not paid, charge, update the order.
 *
 * Every line of it is reasonable, it passes any test that sends one request after the other, and it talks to the same
 * gateway over the same HTTP layer as the real operations. It has none of the layers: the client's key is ignored,
 * nothing is locked, nothing is written before the charge, and its database has no unique indexes. It exists to show
 * that the load finds what it looks for. Never use it for anything else.
 */
export function createNaiveOperations(deps: NaiveDeps): PaymentOperations {
  return {
    createOrder: (call, order) => createOrder(deps, call, order),
    payOrder: (call, payment) => payOrder(deps, call, payment),
    cancelOrder: (call, orderId) => cancelOrder(deps, call, orderId),
    findOrder: (accountId, orderId) => findOrder(deps, accountId, orderId),
    capturePayment: (call, paymentId) => captureNaively(deps, call, paymentId),
    voidPayment: (call, paymentId) => voidNaively(deps, call, paymentId),
    refundPayment: (call, refund) => refundNaively(deps, call, refund),
    // Nobody looks at the rest: a control that offered more than the loads ask for would only be more to mistrust.
    reviewPayment: async (_, paymentId) => refused({ code: 'payment-not-found', paymentId }),
    reviewRefund: async (_, refundId) => refused({ code: 'refund-not-found', refundId }),
    listAllRefunds: async () => ({ items: [], next: null }),
    findRefund: async () => null,
    listRefunds: async () => null,
    findPayment: async (accountId, id) => {
      const row = await deps.database.client.payment.findFirst({ where: { id, accountId } })
      return row && { payment: toNaivePayment(row), events: [] }
    },
    listOrders: async () => ({ items: [], next: null }),
    listPayments: async () => ({ items: [], next: null }),
  }
}

async function payOrder(
  deps: NaiveDeps,
  { accountId }: Call,
  { orderId, paymentMethod, capture }: NewPaymentRequest,
): Promise<Result> {
  const order = await findOrder(deps, accountId, orderId)
  if (order === null) return refused({ code: 'order-not-found', orderId })
  if (order.state === 'cancelled') return refused({ code: 'order-cancelled', orderId })
  if (order.state !== 'pending') return refused({ code: 'order-already-paid', orderId, paymentId: null })

  const { payment, outcome } = await charge(deps.gateway, order, { paymentMethod, capture })
  if (outcome.state === 'authorized') await noteHold(deps.database, payment)
  if (outcome.state === 'succeeded') await bookPayment(deps, payment, outcome.gatewayChargeId)
  return answered(deps.renderings.paymentSettled(payment, outcome, 'pay'))
}

/** Asks the gateway with keys that are new each time, which is what its client library does when it is given none. */
async function charge(
  gateway: IntentGateway,
  order: Order,
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
    gatewayIntentId: created.intent.id,
    refundedMinor: 0,
    refundPendingMinor: 0,
    createdAt: new Date(),
    authorizedAt: null,
    settledAt: new Date(),
  }
  if (confirmed.kind === 'declined') {
    const { declineCode } = confirmed
    return {
      payment: { ...payment, state: 'declined', declineCode },
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
  const outcome = { state: 'succeeded', gatewayChargeId: confirmed.intent.chargeId } as const
  return { payment: { ...payment, state: 'succeeded', declineCode: null }, outcome }
}

/** Columns of the layers, which this does not use and the table wants. */
function unusedColumns({ createdAt }: Payment) {
  return { lookAt: createdAt, wantedUntil: createdAt, intentParameters: {} }
}

async function noteHold({ client }: Database, payment: Payment): Promise<void> {
  const voidAt = new Date(payment.createdAt.getTime() + 86_400_000)
  await client.payment.create({ data: { ...payment, ...unusedColumns(payment), goal: 'authorize', voidAt } })
}

async function bookPayment(
  { database, bookedBy }: NaiveDeps,
  payment: Payment,
  gatewayChargeId: string,
): Promise<void> {
  const { client } = database
  await client.payment.create({ data: { ...payment, ...unusedColumns(payment), gatewayChargeId } })
  if (bookedBy === 'request') await bookCharge(database, payment)
  await client.order.update({ where: { id: payment.orderId }, data: { state: 'paid', version: { increment: 1 } } })
}

async function createOrder({ database, renderings }: NaiveDeps, { accountId }: Call, order: NewOrder): Promise<Result> {
  const created = await database.client.order.create({ data: { ...order, id: randomUUID(), accountId } })
  return answered(renderings.orderCreated(toOrder(created)))
}

async function cancelOrder(deps: NaiveDeps, { accountId }: Call, orderId: string): Promise<Result> {
  const order = await findOrder(deps, accountId, orderId)
  if (order === null) return refused({ code: 'order-not-found', orderId })
  if (order.state === 'cancelled') return refused({ code: 'order-cancelled', orderId })
  if (order.state !== 'pending') return refused({ code: 'order-already-paid', orderId, paymentId: null })
  await deps.database.client.order.update({
    where: { id: orderId },
    data: { state: 'cancelled', version: { increment: 1 } },
  })
  return answered(deps.renderings.orderCancelled({ ...order, state: 'cancelled' }))
}

async function findOrder({ database }: NaiveDeps, accountId: string, orderId: string): Promise<Order | null> {
  const found = await database.client.order.findFirst({ where: { id: orderId, accountId } })
  return found && toOrder(found)
}

/** The currency came in through the API's schema, which knows no other ones; nothing here makes invoices. */
function toOrder(row: OrderRow): Order {
  return { ...row, currency: row.currency as Currency, purpose: 'merchant' }
}
