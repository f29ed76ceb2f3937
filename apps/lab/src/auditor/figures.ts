import { capturedCharges, type Evidence, groupBy } from './evidence.ts'
import type { InvariantId, InvariantReport } from './invariant.ts'
import { stuckOrderIds } from './invariants/nothing-left-over.ts'
import { repairedChargeIds } from './invariants/one-charge-per-order.ts'
import { billedPeriods } from './invariants/one-charge-per-period.ts'
import { mailsByReceipt, owedReceipts, unaccountedCopies } from './invariants/receipts-once.ts'
import { countOverlappingPairs } from './overlapping-pairs.ts'
import { type SeatFigures, seatFigures } from './seat-figures.ts'

export type { SeatFigures }

/** What a run amounted to. Coverage and violations side by side: neither means anything without the other. */
export interface Figures {
  /** Orders that clients tried to pay for. */
  readonly orders: number
  /** Requests about them, all copies and repetitions. */
  readonly requests: number
  /** Of requests about one order, or about one hold, booking, tier or seat. */
  readonly overlappingPairs: number
  /** Answers that were read again instead of being worked out. */
  readonly replays: number
  /** Attempts after which the client could not know whether it had paid. */
  readonly unknownOutcomes: number
  /** Payments of this run whose owner died or got no answer, and which recovery or a webhook finished. */
  readonly recovered: number
  readonly doubleCharges: number
  /** Second charges that reconciliation gave back. They count as double charges all the same. */
  readonly repairedCharges: number
  readonly lostAcknowledgements: number
  readonly stuck: number
  /** Null where no receipt was owed, or nobody could look at what arrived. */
  readonly receipts: ReceiptFigures | null
  /** Null where no period fell due. */
  readonly invoices: InvoiceFigures | null
  /** Null where nobody tried to have a seat. */
  readonly seats: SeatFigures | null
}

export interface ReceiptFigures {
  /** Messages that arrived, copies not counted. */
  readonly sent: number
  /** Copies beyond the first. */
  readonly duplicates: number
  /** Those of them that no kill and no lost answer accounts for. */
  readonly duplicatesWithoutCause: number
  readonly missing: number
}

export interface InvoiceFigures {
  /** Periods of subscriptions. */
  readonly due: number
  readonly charged: number
  readonly chargedTwice: number
}

export function figuresOf(evidence: Evidence, reports: readonly InvariantReport[]): Figures {
  const { attempts, books } = evidence
  const orderIds = new Set(groupBy(attempts, (attempt) => attempt.orderId).keys())
  const violationsOf = (id: InvariantId) => reports.find((report) => report.id === id)?.violations ?? 0
  const repaired = repairedChargeIds(evidence)
  return {
    orders: orderIds.size,
    requests: attempts.length,
    overlappingPairs: countOverlappingPairs(attempts, evidence.seats.attempts),
    replays: attempts.filter((attempt) => attempt.replayed).length,
    unknownOutcomes: attempts.filter((attempt) => attempt.outcome === 'info').length,
    recovered: books.payments.filter(
      (payment) =>
        orderIds.has(payment.orderId) && payment.settledAt !== null && books.leftOpenPaymentIds.has(payment.id),
    ).length,
    doubleCharges: violationsOf('I1'),
    repairedCharges: capturedCharges(evidence).filter(({ chargeId }) => repaired.has(chargeId ?? '')).length,
    lostAcknowledgements: violationsOf('I2'),
    stuck: stuckOrderIds(evidence).length,
    receipts: receiptFigures(evidence),
    invoices: invoiceFigures(evidence),
    seats: seatFigures(evidence),
  }
}

function receiptFigures(evidence: Evidence): ReceiptFigures | null {
  const owed = owedReceipts(evidence)
  if (evidence.mails === null || owed.length + evidence.mails.length === 0) return null
  const arrived = mailsByReceipt(evidence)
  const copies = evidence.books.receipts.map((receipt) => ({ receipt, mails: arrived.get(receipt.id) ?? [] }))
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
  return {
    sent: copies.filter(({ mails }) => mails.length > 0).length,
    duplicates: sum(copies.map(({ mails }) => Math.max(0, mails.length - 1))),
    duplicatesWithoutCause: sum(copies.map(({ receipt, mails }) => unaccountedCopies(receipt, mails, evidence))),
    missing: owed.filter(({ receipt }) => receipt === undefined || !arrived.has(receipt.id)).length,
  }
}

function invoiceFigures(evidence: Evidence): InvoiceFigures | null {
  const { subscriptions, readAt } = evidence.books
  const periods = billedPeriods(evidence)
  // Due, and nobody has made an invoice of it yet.
  const untouched = subscriptions.filter(({ state, nextDueAt }) => state === 'active' && nextDueAt <= readAt).length
  if (periods.length + untouched === 0) return null
  return {
    due: periods.length + untouched,
    charged: periods.filter(({ charges }) => charges.length > 0).length,
    chargedTwice: periods.filter(({ charges }) => charges.length > 1).length,
  }
}
