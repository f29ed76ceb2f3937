import { type Evidence, groupBy } from './evidence.ts'
import type { InvariantReport } from './invariant.ts'
import { stuckOrderIds } from './invariants/nothing-left-over.ts'
import { countOverlappingPairs } from './overlapping-pairs.ts'

/** What a run amounted to. Coverage and violations side by side: neither means anything without the other. */
export interface Figures {
  /** Orders that clients tried to pay for. */
  readonly orders: number
  /** Requests to pay, all copies and repetitions. */
  readonly requests: number
  readonly overlappingPairs: number
  /** Answers that were read again instead of being worked out. */
  readonly replays: number
  /** Attempts after which the client could not know whether it had paid. */
  readonly unknownOutcomes: number
  /** Payments of this run that somebody else than their first owner finished. */
  readonly recovered: number
  readonly doubleCharges: number
  readonly lostAcknowledgements: number
  readonly stuck: number
}

export function figuresOf(evidence: Evidence, reports: readonly InvariantReport[]): Figures {
  const { attempts, books } = evidence
  const orderIds = new Set(groupBy(attempts, (attempt) => attempt.orderId).keys())
  const violationsOf = (id: string) => reports.find((report) => report.id === id)?.violations ?? 0
  return {
    orders: orderIds.size,
    requests: attempts.length,
    overlappingPairs: countOverlappingPairs(attempts),
    replays: attempts.filter((attempt) => attempt.replayed).length,
    unknownOutcomes: attempts.filter((attempt) => attempt.outcome === 'info').length,
    recovered: books.payments.filter(
      (payment) =>
        orderIds.has(payment.orderId) && payment.settledAt !== null && books.takenOverPaymentIds.has(payment.id),
    ).length,
    doubleCharges: violationsOf('I1'),
    lostAcknowledgements: violationsOf('I2'),
    stuck: stuckOrderIds(evidence).length,
  }
}
