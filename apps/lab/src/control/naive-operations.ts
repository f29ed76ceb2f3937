import { randomUUID } from 'node:crypto'
import type { Database, Order as OrderRow } from '@seatbelt/database'
import type { Call, Currency, Order, Payment } from '@seatbelt/domain'
import type { NewOrder, NewPaymentRequest, PaymentOperations, Result } from '@seatbelt/payments'

import { captureNaively, voidNaively } from './naive-authorization.ts'
import { bookNaivePayment, chargeNaively, unusedColumns } from './naive-charge.ts'
import { answered, type NaiveDeps, refused, toNaivePayment } from './naive-parts.ts'
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
      return row && { payment: toNaivePayment(row), events: [], disputes: [] }
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

  const { payment, outcome } = await chargeNaively(deps.gateway, order, { paymentMethod, capture })
  if (outcome.state === 'authorized') await noteHold(deps.database, payment)
  if (outcome.state === 'succeeded') await bookNaivePayment(deps, payment, outcome.gatewayChargeId)
  return answered(deps.renderings.paymentSettled(payment, outcome, 'pay'))
}

async function noteHold({ client }: Database, payment: Payment): Promise<void> {
  const voidAt = new Date(payment.createdAt.getTime() + 86_400_000)
  await client.payment.create({ data: { ...payment, ...unusedColumns(payment), goal: 'authorize', voidAt } })
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
  return answered(deps.renderings.orderCancelled({ ...order, state: 'cancelled' }, null))
}

async function findOrder({ database }: NaiveDeps, accountId: string, orderId: string): Promise<Order | null> {
  const found = await database.client.order.findFirst({ where: { id: orderId, accountId } })
  return found && toOrder(found)
}

/** The currency came in through the API's schema, which knows no other ones; nothing here makes invoices. */
function toOrder(row: OrderRow): Order {
  return { ...row, currency: row.currency as Currency, purpose: 'merchant' }
}
