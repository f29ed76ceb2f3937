import { randomUUID } from 'node:crypto'
import type { Database } from '@seatbelt/database'
import type { Currency, Order, Payment, PaymentOutcome } from '@seatbelt/domain'
import type { PaymentOperations, Renderings, Result } from '@seatbelt/payments'
import type { Call, Gateway } from '@seatbelt/safety'

export interface NaiveDeps {
  readonly database: Database
  readonly gateway: Gateway
  readonly renderings: Renderings
}

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
    // Nobody looks at the rest: a control that offered more than the load asks for would only be more to mistrust.
    findPayment: async () => null,
    listOrders: async () => ({ items: [], next: null }),
    listPayments: async () => ({ items: [], next: null }),
  }
}

async function payOrder(
  deps: NaiveDeps,
  { accountId }: Call,
  { orderId, paymentMethod }: { orderId: string; paymentMethod: string },
): Promise<Result> {
  const order = await findOrder(deps, accountId, orderId)
  if (order === null) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
  if (order.state === 'paid')
    return { kind: 'refused', refusal: { code: 'order-already-paid', orderId, paymentId: null } }
  if (order.state === 'cancelled') return { kind: 'refused', refusal: { code: 'order-cancelled', orderId } }

  const { payment, outcome } = await charge(deps.gateway, order, paymentMethod)
  if (outcome.state === 'succeeded') await bookPayment(deps.database, payment, outcome.gatewayChargeId)
  return answered(deps.renderings.paymentSettled(payment, outcome))
}

/** Asks the gateway with keys that are new each time, which is what its client library does when it is given none. */
async function charge(
  gateway: Gateway,
  order: Order,
  paymentMethod: string,
): Promise<{ payment: Payment; outcome: PaymentOutcome }> {
  const { accountId, amountMinor, currency } = order
  const paymentId = randomUUID()
  const metadata = { paymentId, orderId: order.id, accountId }
  const created = await gateway.createIntent({ amountMinor, currency, paymentMethod, metadata }, randomUUID())
  if (created.kind !== 'intent') throw new Error(`the gateway did not create an intent: ${created.kind}`)
  const confirmed = await gateway.confirmIntent(created.intent.id, randomUUID())
  const payment = {
    id: paymentId,
    accountId,
    orderId: order.id,
    amountMinor,
    currency,
    paymentMethod,
    gatewayIntentId: created.intent.id,
    createdAt: new Date(),
    settledAt: new Date(),
  }
  if (confirmed.kind === 'declined') {
    const { declineCode } = confirmed
    return { payment: { ...payment, state: 'declined', declineCode }, outcome: { state: 'declined', declineCode } }
  }
  if (confirmed.kind !== 'intent' || confirmed.intent.chargeId === null) {
    throw new Error(`the gateway did not confirm the intent: ${confirmed.kind}`)
  }
  const outcome = { state: 'succeeded', gatewayChargeId: confirmed.intent.chargeId } as const
  return { payment: { ...payment, state: 'succeeded', declineCode: null }, outcome }
}

async function bookPayment({ client }: Database, payment: Payment, gatewayChargeId: string): Promise<void> {
  const { accountId, orderId, amountMinor, currency } = payment
  await client.payment.create({
    data: {
      ...payment,
      gatewayChargeId,
      // Columns of the layers, which this does not use and the table wants.
      lookAt: payment.createdAt,
      wantedUntil: payment.createdAt,
      intentParameters: {},
    },
  })
  await client.transfer.create({
    data: {
      id: randomUUID(),
      paymentId: payment.id,
      kind: 'charge',
      debitAccount: 'gateway',
      creditAccount: `merchant:${accountId}`,
      amountMinor,
      currency,
    },
  })
  await client.order.update({ where: { id: orderId }, data: { state: 'paid', version: { increment: 1 } } })
}

async function createOrder(
  { database, renderings }: NaiveDeps,
  { accountId }: Call,
  order: { readonly customerId: string; readonly amountMinor: number; readonly currency: Currency },
): Promise<Result> {
  const created = await database.client.order.create({ data: { ...order, id: randomUUID(), accountId } })
  return answered(renderings.orderCreated({ ...created, currency: order.currency }))
}

async function cancelOrder(deps: NaiveDeps, { accountId }: Call, orderId: string): Promise<Result> {
  const order = await findOrder(deps, accountId, orderId)
  if (order === null) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
  if (order.state === 'paid')
    return { kind: 'refused', refusal: { code: 'order-already-paid', orderId, paymentId: null } }
  await deps.database.client.order.update({
    where: { id: orderId },
    data: { state: 'cancelled', version: { increment: 1 } },
  })
  return answered(deps.renderings.orderCancelled({ ...order, state: 'cancelled' }))
}

async function findOrder({ database }: NaiveDeps, accountId: string, orderId: string): Promise<Order | null> {
  const found = await database.client.order.findFirst({ where: { id: orderId, accountId } })
  // The currency came in through the API's schema, which knows no other ones.
  return found === null ? null : { ...found, currency: found.currency as Currency }
}

function answered(answer: ReturnType<Renderings['orderCreated']>): Result {
  return { kind: 'answered', answer, replayed: false }
}
