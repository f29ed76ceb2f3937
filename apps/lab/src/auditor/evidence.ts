import type { InvoiceState, OrderState, PaymentState, RefundState, SubscriptionState } from '@seatbelt/domain'
import type { Attempt } from './attempt.ts'
import type { Disturbance } from './disturbance.ts'
import type { SeatBooks, SeatEvidence } from './seat-evidence.ts'

/** All that the invariants judge by: what clients saw, what the gateway did, what arrived by mail, what our books say. */
export interface Evidence {
  readonly attempts: readonly Attempt[]
  readonly ledger: readonly LedgerEntry[]
  /** Null: there is no mail sink that could be asked. */
  readonly mails: readonly Mail[] | null
  /** What was done to the system and can have sent a message twice. */
  readonly disturbances: readonly Disturbance[]
  readonly books: Books
  readonly seats: SeatEvidence
}

/** A line of the gateway's ledger. Currencies are upper case here, whatever the wire has. */
export interface LedgerEntry {
  readonly seq: number
  readonly type: string
  readonly intentId: string
  readonly chargeId: string | null
  readonly refundId: string | null
  readonly amountMinor: number
  readonly currency: string
  /** Of a refund: its status after this line. */
  readonly refundStatus: string | null
  /** On lines about a dispute. */
  readonly disputeId: string | null
  readonly disputeStatus: string | null
  /** From the metadata, which are the intent's, and on lines about a refund the refund's. */
  readonly orderId: string | null
  readonly paymentId: string | null
  readonly ourRefundId: string | null
  /** The gateway's customer whose card it was. Null: a card without a customer. */
  readonly customerId: string | null
  /** A person did it at the gateway's own console. */
  readonly isByConsole: boolean
}

/** One message as it came over the wire. A copy of one is one more. */
export interface Mail {
  readonly number: number
  readonly arrivedAt: Date
  readonly messageId: string | null
  readonly recipients: readonly string[]
  /** What the sink was told to do instead of saying that it has the message; null: it said so. */
  readonly fault: string | null
}

export interface Books {
  /** Our ids, by the names that the gateway has for our orders, payments and refunds. */
  readonly idsByName: ReadonlyMap<string, string>
  /** When they were read, on the database's clock. */
  readonly readAt: Date
  readonly orders: readonly OrderRow[]
  readonly payments: readonly PaymentRow[]
  readonly refunds: readonly RefundRow[]
  readonly disputes: readonly DisputeRow[]
  readonly transfers: readonly TransferRow[]
  readonly recordedAnswers: readonly RecordedAnswerRow[]
  readonly subscriptions: readonly SubscriptionRow[]
  readonly gatewayCustomers: readonly GatewayCustomerRow[]
  readonly invoices: readonly InvoiceRow[]
  readonly receipts: readonly ReceiptRow[]
  /** The facts that webhooks announce, as `topic subjectId`, sent or not. */
  readonly announced: ReadonlySet<string>
  /** The accounts that want webhooks. */
  readonly accountsWithWebhooks: ReadonlySet<string>
  /** Payments that an owner left open, dead or without an answer: recovery or the gateway's webhook finished them. */
  readonly leftOpenPaymentIds: ReadonlySet<string>
  /** Read in the same snapshot. */
  readonly seats: SeatBooks
}

export interface OrderRow {
  readonly id: string
  readonly accountId: string
  readonly amountMinor: number
  readonly currency: string
  readonly state: OrderState
  readonly purpose: string
  readonly receiptEmail: string | null
  readonly createdAt: Date
}

export interface PaymentRow {
  readonly id: string
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: string
  readonly state: PaymentState
  /** Of a payment that succeeded: what it took, which is less than the amount where the console captured a part. */
  readonly capturedMinor: number
  readonly refundedMinor: number
  readonly refundPendingMinor: number
  /** The amount that its disputes withdrew and did not reinstate. */
  readonly disputedMinor: number
  readonly gatewayIntentId: string | null
  readonly gatewayChargeId: string | null
  /** When recovery gives an authorization back that nobody captured. */
  readonly voidAt: Date | null
  readonly settledAt: Date | null
}

export interface RefundRow {
  readonly id: string
  readonly orderId: string
  /** Null for a repair of reconciliation. */
  readonly paymentId: string | null
  readonly origin: string
  readonly amountMinor: number
  readonly currency: string
  readonly state: RefundState
  readonly gatewayChargeId: string
  readonly gatewayRefundId: string | null
  readonly reversedAt: Date | null
}

export interface DisputeRow {
  readonly id: string
  readonly paymentId: string
  readonly gatewayDisputeId: string
  readonly gatewayStatus: string
}

export interface TransferRow {
  readonly id: string
  readonly paymentId: string
  readonly refundId: string | null
  readonly kind: string
  readonly debitAccount: string
  readonly creditAccount: string
  readonly amountMinor: number
  readonly currency: string
}

/** The answer that is recorded under a key, whatever its operation was. */
export interface RecordedAnswerRow {
  readonly accountId: string
  readonly key: string
  readonly status: number
  readonly bodySha256: string
  readonly location: string | null
}

export interface SubscriptionRow {
  readonly id: string
  readonly state: SubscriptionState
  readonly nextPeriod: number
  readonly nextDueAt: Date
  readonly createdAt: Date
}

export interface GatewayCustomerRow {
  /** The gateway's. */
  readonly id: string
  readonly accountId: string
}

export interface InvoiceRow {
  readonly id: string
  readonly subscriptionId: string
  readonly period: number
  readonly orderId: string
  readonly state: InvoiceState
}

/** A message of the outbox that goes out by mail. */
export interface ReceiptRow {
  readonly id: string
  readonly topic: string
  /** The payment or refund that it is about. */
  readonly subjectId: string
  readonly recipient: string | null
  /** How often a relay took it in order to send it. */
  readonly attempts: number
  readonly isGivenUp: boolean
}

/** The ledger with our ids instead of the names that the gateway has for them. Names that we do not know stay. */
export function withOurIds(ledger: readonly LedgerEntry[], { idsByName }: Books): LedgerEntry[] {
  const idOf = (name: string | null) => (name === null ? null : (idsByName.get(name) ?? name))
  return ledger.map((entry) => ({
    ...entry,
    orderId: idOf(entry.orderId),
    paymentId: idOf(entry.paymentId),
    ourRefundId: idOf(entry.ourRefundId),
  }))
}

/** The charges that the gateway captured, in the order in which it did so. An authorization is none. */
export function capturedCharges(evidence: Pick<Evidence, 'ledger'>): LedgerEntry[] {
  return evidence.ledger.filter((entry) => entry.type === 'charge.captured')
}

/** What became of each refund at the gateway: the last line about it. */
export function refundsAtGateway({ ledger }: Pick<Evidence, 'ledger'>): LedgerEntry[] {
  const latest = new Map<string, LedgerEntry>()
  for (const entry of ledger) {
    if (entry.refundId === null) continue
    const known = latest.get(entry.refundId)
    if (known === undefined || known.seq < entry.seq) latest.set(entry.refundId, entry)
  }
  return [...latest.values()]
}

/** A dispute at the gateway, after all lines about it. */
export interface DisputeAtGateway extends Pick<LedgerEntry, 'orderId' | 'intentId' | 'chargeId' | 'currency'> {
  readonly disputeId: string
  readonly status: string | null
  /** Withdrawn and not reinstated. */
  readonly amountMinor: number
}

export function disputesAtGateway({ ledger }: Pick<Evidence, 'ledger'>): DisputeAtGateway[] {
  const disputes = new Map<string, DisputeAtGateway>()
  for (const entry of ledger.toSorted((one, other) => one.seq - other.seq)) {
    const { disputeId, type, orderId, intentId, chargeId, currency, disputeStatus: status } = entry
    if (disputeId === null) continue
    const sign = type === 'dispute.funds_withdrawn' ? 1 : type === 'dispute.funds_reinstated' ? -1 : 0
    const amountMinor = (disputes.get(disputeId)?.amountMinor ?? 0) + sign * entry.amountMinor
    disputes.set(disputeId, { disputeId, orderId, intentId, chargeId, currency, status, amountMinor })
  }
  return [...disputes.values()]
}

/** Our message's id, which its Message-ID begins with; null: there is none. */
export function outboxIdOf({ messageId }: Mail): string | null {
  return /^<([^@<>]+)@[^@<>]+>$/.exec(messageId ?? '')?.[1] ?? null
}

/**
 * Payments of which money is on hold because a merchant still has time to decide. Nothing waits for us there; a checkout's payment
 * waits for nobody but us.
 */
export function paymentsHeldInTime({ orders, payments, readAt }: Books): PaymentRow[] {
  const held = payments.filter(({ state, voidAt }) => state === 'authorized' && voidAt !== null && voidAt > readAt)
  const checkouts = new Set(orders.filter(({ purpose }) => purpose === 'checkout').map(({ id }) => id))
  return held.filter(({ orderId }) => !checkouts.has(orderId))
}

/** Groups by a key; what has none is left out. */
export function groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string | null): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    if (key === null) continue
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

/** For messages: `12.34 EUR` would need the currency's digits, which do not matter to whoever compares. */
export function money(of: { readonly amountMinor: number; readonly currency: string }): string {
  return `${of.amountMinor} ${of.currency}`
}
