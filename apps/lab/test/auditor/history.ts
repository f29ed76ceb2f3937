import type { Attempt } from '../../src/auditor/attempt.ts'
import type { Books, Evidence, LedgerEntry } from '../../src/auditor/evidence.ts'

/** What a history is made of before a test breaks it. */
export interface PaidOrder {
  readonly orderId: string
  readonly paymentId: string
  readonly chargeId: string
  readonly intentId: string
  readonly key: string
  readonly amountMinor: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
export interface MutableEvidence {
  attempts: Attempt[]
  ledger: LedgerEntry[]
  books: { -readonly [K in keyof Books]: Books[K] extends readonly (infer Row)[] ? Mutable<Row>[] : Set<string> }
}

export const sha = (text: string) => text.padEnd(64, '0').slice(0, 64)

export function paidOrder(number: number, amountMinor = 1_000 + number): PaidOrder {
  return {
    orderId: `order-${number}`,
    paymentId: `payment-${number}`,
    chargeId: `ch_${number}`,
    intentId: `pi_${number}`,
    key: `key-${number}`,
    amountMinor,
  }
}

/** Everything as it must be: each order was paid once, with a first answer and `replays` replayed ones. */
export function cleanHistory(orders: readonly PaidOrder[], replays = 2): MutableEvidence {
  return {
    attempts: orders.flatMap((order) => [
      acknowledged(order),
      ...Array.from({ length: replays }, () => acknowledged(order, { replayed: true })),
    ]),
    ledger: orders.flatMap((order) => [
      ledgerEntry(order, { type: 'intent.created', chargeId: null }),
      ledgerEntry(order),
    ]),
    books: {
      orders: orders.map(({ orderId, amountMinor }) => ({
        ...{ id: orderId, amountMinor, currency: 'EUR', state: 'paid' },
        createdAt: new Date(1_000),
      })),
      payments: orders.map((order) => ({
        id: order.paymentId,
        orderId: order.orderId,
        amountMinor: order.amountMinor,
        currency: 'EUR',
        state: 'succeeded',
        gatewayIntentId: order.intentId,
        gatewayChargeId: order.chargeId,
        settledAt: new Date(0),
      })),
      transfers: orders.map((order) => ({
        id: `transfer-${order.paymentId}`,
        paymentId: order.paymentId,
        kind: 'charge',
        amountMinor: order.amountMinor,
        currency: 'EUR',
      })),
      recordedAnswers: orders.map((order) => ({
        key: order.key,
        paymentId: order.paymentId,
        status: 201,
        bodySha256: sha(order.paymentId),
        location: `/v1/payments/${order.paymentId}`,
      })),
      takenOverPaymentIds: new Set(),
    },
  }
}

export function acknowledged(order: PaidOrder, changes: Partial<Attempt> = {}): Attempt {
  return {
    ...attempt(order),
    outcome: 'ok',
    status: 201,
    bodySha256: sha(order.paymentId),
    location: `/v1/payments/${order.paymentId}`,
    payment: {
      id: order.paymentId,
      orderId: order.orderId,
      amountMinor: order.amountMinor,
      currency: 'EUR',
      state: 'succeeded',
    },
    ...changes,
  }
}

/** An attempt that got no answer. */
export function attempt(order: PaidOrder, changes: Partial<Attempt> = {}): Attempt {
  return {
    orderId: order.orderId,
    key: order.key,
    amountMinor: order.amountMinor,
    currency: 'EUR',
    sentAt: 0,
    endedAt: 100,
    inFlightMs: 0,
    outcome: 'info',
    status: 0,
    code: null,
    replayed: false,
    instance: null,
    bodySha256: null,
    location: null,
    payment: null,
    ...changes,
  }
}

export function ledgerEntry(order: PaidOrder, changes: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    seq: 0,
    type: 'charge.captured',
    intentId: order.intentId,
    chargeId: order.chargeId,
    amountMinor: order.amountMinor,
    currency: 'EUR',
    orderId: order.orderId,
    paymentId: order.paymentId,
    ...changes,
  }
}

/** The element, or an error that says that the test itself is wrong. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new Error(`nothing at ${index}`)
  return item
}

export function asEvidence(history: MutableEvidence): Evidence {
  return history
}
