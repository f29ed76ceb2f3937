import type { OrderState, PaymentState } from '@seatbelt/domain'
import type { Attempt } from './attempt.ts'

/** All that the invariants judge by: what clients saw, what the gateway did, what our books say. */
export interface Evidence {
  readonly attempts: readonly Attempt[]
  readonly ledger: readonly LedgerEntry[]
  readonly books: Books
}

/** A line of the gateway's ledger. Currencies are upper case here, whatever the wire has. */
export interface LedgerEntry {
  readonly seq: number
  readonly type: string
  readonly intentId: string
  readonly chargeId: string | null
  readonly amountMinor: number
  readonly currency: string
  readonly orderId: string | null
  readonly paymentId: string | null
}

export interface Books {
  readonly orders: readonly OrderRow[]
  readonly payments: readonly PaymentRow[]
  readonly transfers: readonly TransferRow[]
  readonly recordedAnswers: readonly RecordedAnswerRow[]
  /** Payments whose history says that somebody else than their first owner went on with them. */
  readonly takenOverPaymentIds: ReadonlySet<string>
}

export interface OrderRow {
  readonly id: string
  readonly amountMinor: number
  readonly currency: string
  readonly state: OrderState
  readonly createdAt: Date
}

export interface PaymentRow {
  readonly id: string
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: string
  readonly state: PaymentState
  readonly gatewayIntentId: string | null
  readonly gatewayChargeId: string | null
  readonly settledAt: Date | null
}

export interface TransferRow {
  readonly id: string
  readonly paymentId: string
  readonly kind: string
  readonly amountMinor: number
  readonly currency: string
}

/** The answer that is recorded under a key that started a payment. */
export interface RecordedAnswerRow {
  readonly key: string
  readonly paymentId: string
  readonly status: number
  readonly bodySha256: string
  readonly location: string | null
}

/** The charges that the gateway captured, in the order in which it did so. */
export function capturedCharges(evidence: Evidence): LedgerEntry[] {
  return evidence.ledger.filter((entry) => entry.type === 'charge.captured')
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
