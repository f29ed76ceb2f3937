import type { Attempt } from '../../src/auditor/attempt.ts'
import type { Disturbance } from '../../src/auditor/disturbance.ts'
import type {
  Books,
  Evidence,
  InvoiceRow,
  LedgerEntry,
  Mail,
  OrderRow,
  PaymentRow,
  ReceiptRow,
  RefundRow,
  TransferRow,
} from '../../src/auditor/evidence.ts'
import type { SeatAttempt } from '../../src/auditor/seat-attempt.ts'
import { noSeats, type SeatBooks } from '../../src/auditor/seat-evidence.ts'

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
  mails: Mutable<Mail>[]
  disturbances: Disturbance[]
  books: {
    -readonly [K in keyof Omit<Books, 'seats' | 'idsByName'>]: Books[K] extends Date
      ? Date
      : Books[K] extends readonly (infer Row)[]
        ? Mutable<Row>[]
        : Set<string>
  } & Pick<Books, 'seats' | 'idsByName'>
  seats: {
    attempts: Mutable<SeatAttempt>[]
    books: {
      -readonly [K in keyof SeatBooks]: SeatBooks[K] extends readonly (infer Row)[] ? Mutable<Row>[] : SeatBooks[K]
    }
  }
}

export const sha = (text: string) => text.padEnd(64, '0').slice(0, 64)

export const accountId = 'account-1'
const readAt = new Date(60_000)

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
    mails: [],
    disturbances: [],
    books: {
      readAt,
      orders: orders.map((order) => orderRow(order)),
      payments: orders.map((order) => paymentRow(order)),
      refunds: [],
      disputes: [],
      transfers: orders.map((order) => transferRow(order)),
      recordedAnswers: orders.map((order) => ({
        accountId,
        key: order.key,
        status: 201,
        bodySha256: sha(order.paymentId),
        location: `/v1/payments/${order.paymentId}`,
      })),
      subscriptions: [],
      gatewayCustomers: [],
      invoices: [],
      receipts: [],
      idsByName: new Map(),
      announced: new Set(),
      accountsWithWebhooks: new Set(),
      leftOpenPaymentIds: new Set(),
      seats: noSeats,
    },
    seats: {
      attempts: [],
      books: {
        ...{ events: [], tiers: [], sections: [], holds: [], bookings: [], claims: [], bookedSeats: [] },
        seen: null,
      },
    },
  }
}

export const recipientOf = ({ orderId }: PaidOrder) => `${orderId}@example.com`
export const refundOf = ({ orderId }: PaidOrder) => `refund-of-${orderId}`
export const subscriptionOf = ({ orderId }: PaidOrder) => `subscription-of-${orderId}`
export const receiptOf = (subjectId: string) => `receipt-of-${subjectId}`

/** An order of which the money is on hold, and whose merchant still has time. */
export const held = { ...paidOrder(800), key: 'key-held' }

export function addHold({ attempts, ledger, books }: MutableEvidence): void {
  attempts.push(
    acknowledged(held, { operation: 'authorize', payment: { ...acknowledgedPayment(held), state: 'authorized' } }),
  )
  ledger.push(ledgerEntry(held, { type: 'charge.authorized' }))
  books.orders.push(orderRow(held, { state: 'processing' }))
  books.payments.push(
    paymentRow(held, {
      ...{ state: 'authorized', gatewayChargeId: null, settledAt: null },
      voidAt: new Date(readAt.getTime() + 1),
    }),
  )
  books.recordedAnswers.push({
    ...{ accountId, key: held.key, status: 201, bodySha256: sha(held.paymentId) },
    location: `/v1/payments/${held.paymentId}`,
  })
}

/** A message, and its arrival. */
export function addReceipt(
  { books, mails }: MutableEvidence,
  order: PaidOrder,
  { subjectId, topic }: Pick<ReceiptRow, 'subjectId' | 'topic'>,
): void {
  const id = receiptOf(subjectId)
  books.receipts.push({ id, topic, subjectId, recipient: recipientOf(order), attempts: 1, isGivenUp: false })
  mails.push(mailOf(id, { number: mails.length + 1, recipients: [recipientOf(order)] }))
}

export function mailOf(receiptId: string, changes: Partial<Mail> = {}): Mail {
  return {
    number: 1,
    arrivedAt: new Date(2_000),
    messageId: `<${receiptId}@seatbelt.example>`,
    recipients: [],
    fault: null,
    ...changes,
  }
}

/** A refund that succeeded, and was acknowledged. */
export function addRefund(
  history: MutableEvidence,
  order: PaidOrder,
  { id, amountMinor }: Pick<RefundRow, 'id' | 'amountMinor'>,
): void {
  const { attempts, ledger, books } = history
  const refund = { id, paymentId: order.paymentId, orderId: order.orderId, amountMinor, currency: 'EUR' }
  const key = `key-of-${id}`
  const answer = { status: 201, bodySha256: sha(id), location: `/v1/refunds/${id}` }
  attempts.push(
    attempt(order, {
      ...{ operation: 'refund', key, amountMinor, outcome: 'ok', ...answer },
      refund: { ...refund, state: 'succeeded' },
    }),
  )
  ledger.push(refundEntry(order, { ourRefundId: id, amountMinor }))
  books.refunds.push({
    ...{ ...refund, origin: 'merchant', state: 'succeeded', reversedAt: null },
    ...{ gatewayChargeId: order.chargeId, gatewayRefundId: `re_${id}` },
  })
  books.transfers.push(
    transferRow(order, {
      ...{ id: `transfer-${id}`, refundId: id, kind: 'refund', amountMinor },
      ...{ debitAccount: `merchant:${accountId}`, creditAccount: 'gateway' },
    }),
  )
  books.recordedAnswers.push({ accountId, key, ...answer })
  const payment = rowOf(books.payments, order.paymentId)
  payment.refundedMinor += amountMinor
  rowOf(books.orders, order.orderId).state =
    payment.refundedMinor === payment.amountMinor ? 'refunded' : 'partially_refunded'
  addReceipt(history, order, { subjectId: id, topic: 'refund.succeeded' })
}

export function refundEntry(order: PaidOrder, changes: Partial<LedgerEntry> & { ourRefundId: string }): LedgerEntry {
  return ledgerEntry(order, {
    ...{ seq: 1, type: 'refund.created', refundId: `re_${changes.ourRefundId}`, refundStatus: 'succeeded' },
    // A refund's metadata are its own.
    paymentId: null,
    ...changes,
  })
}

export function invoiceRow(order: PaidOrder, changes: Partial<InvoiceRow> = {}): InvoiceRow {
  return {
    ...{ id: `invoice-${order.orderId}`, subscriptionId: subscriptionOf(order), period: 0 },
    ...{ orderId: order.orderId, state: 'paid' },
    ...changes,
  }
}

export function orderRow({ orderId, amountMinor }: PaidOrder, changes: Partial<OrderRow> = {}): OrderRow {
  return {
    ...{ id: orderId, accountId, amountMinor, currency: 'EUR', state: 'paid', purpose: 'merchant' },
    ...{ receiptEmail: null, createdAt: new Date(1_000) },
    ...changes,
  }
}

export function paymentRow(order: PaidOrder, changes: Partial<PaymentRow> = {}): PaymentRow {
  return {
    ...{ id: order.paymentId, orderId: order.orderId, amountMinor: order.amountMinor, currency: 'EUR' },
    ...{ state: 'succeeded', capturedMinor: changes.amountMinor ?? order.amountMinor },
    ...{ refundedMinor: 0, refundPendingMinor: 0, disputedMinor: 0, voidAt: null, settledAt: new Date(0) },
    ...{ gatewayIntentId: order.intentId, gatewayChargeId: order.chargeId },
    ...changes,
  }
}

export function transferRow(order: PaidOrder, changes: Partial<TransferRow> = {}): TransferRow {
  return {
    ...{ id: `transfer-${order.paymentId}`, paymentId: order.paymentId, refundId: null, kind: 'charge' },
    ...{ debitAccount: 'gateway', creditAccount: `merchant:${accountId}` },
    ...{ amountMinor: order.amountMinor, currency: 'EUR' },
    ...changes,
  }
}

export function acknowledged(order: PaidOrder, changes: Partial<Attempt> = {}): Attempt {
  return {
    ...attempt(order),
    outcome: 'ok',
    status: 201,
    bodySha256: sha(order.paymentId),
    location: `/v1/payments/${order.paymentId}`,
    payment: acknowledgedPayment(order),
    ...changes,
  }
}

function acknowledgedPayment({ paymentId, orderId, amountMinor }: PaidOrder): NonNullable<Attempt['payment']> {
  return { id: paymentId, orderId, amountMinor, currency: 'EUR', state: 'succeeded' }
}

/** An attempt that got no answer. */
export function attempt(order: PaidOrder, changes: Partial<Attempt> = {}): Attempt {
  return {
    operation: 'pay',
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
    refund: null,
    ...changes,
  }
}

export function ledgerEntry(order: PaidOrder, changes: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    seq: 0,
    type: 'charge.captured',
    intentId: order.intentId,
    chargeId: order.chargeId,
    refundId: null,
    refundStatus: null,
    amountMinor: order.amountMinor,
    currency: 'EUR',
    orderId: order.orderId,
    paymentId: order.paymentId,
    ourRefundId: null,
    customerId: null,
    disputeId: null,
    disputeStatus: null,
    isByConsole: false,
    ...changes,
  }
}

/** The element, or an error that says that the test itself is wrong. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new Error(`nothing at ${index}`)
  return item
}

/** The row, or an error that says that the test itself is wrong. */
export function rowOf<Row extends { readonly id: string }>(rows: readonly Row[], id: string): Row {
  const row = rows.find((one) => one.id === id)
  if (row === undefined) throw new Error(`no row ${id}`)
  return row
}

export function asEvidence(history: MutableEvidence): Evidence {
  return history
}
