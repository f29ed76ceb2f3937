import type { ReconciliationFinding as FindingRow } from '@seatbelt/database'
import type { DifferenceKind, RepairAction } from '@seatbelt/domain'
import type { RunWithFindings } from '@seatbelt/payments'
import { describeDifference } from './describe-difference.ts'

/** `.seatbelt/reports/reconciliation.json`. Fields are added, never renamed. */
export interface ReconciliationReport {
  /** `valid`: nothing differs any more. `invalid`: differences stand. `unknown`: it was not read to the end. */
  readonly verdict: 'valid' | 'invalid' | 'unknown'
  /** Why it is unknown. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  /** Null: none was begun. */
  readonly run: {
    readonly id: string
    readonly mode: 'report' | 'act'
    readonly from: string
    readonly to: string
  } | null
  readonly compared: Compared | null
  /** The first thousand. */
  readonly findings: readonly ReportedFinding[]
  readonly findingsInAll: number
  readonly standing: number
}

export interface Compared {
  readonly gatewayCharges: number
  readonly gatewayRefunds: number
  readonly gatewayDisputes: number
  readonly ourPayments: number
  readonly ourRefunds: number
  /** Not judged, because somebody is still at work on them. */
  readonly leftOpen: number
  /** At least so many were held against the other side. 0: that nothing differs says nothing. */
  readonly judged: number
  /** What is younger than this was not judged, nor counted here. */
  readonly judgedAfterMinutes: number
}

export interface ReportedFinding {
  readonly kind: DifferenceKind
  readonly title: string
  readonly meaning: string
  readonly gatewayMinor: number
  readonly booksMinor: number
  readonly currency: string
  readonly action: RepairAction
  readonly outcome: 'done' | 'under-way' | 'gone' | 'left' | 'person' | null
  readonly stands: boolean
  /** What was done, and what is left to do; for a person. */
  readonly done: string
  readonly toDo: string | null
  readonly detail: string | null
  readonly foundAt: string
  /** Of everything that is concerned. Null: there is none. */
  readonly ids: Readonly<Record<'account' | 'order' | 'payment' | 'refund', string | null>>
  readonly gatewayIds: Readonly<Record<'intent' | 'charge' | 'refund' | 'dispute', string | null>>
}

interface Ended {
  /** Null: everything was read, and done if it was to be. */
  readonly interruptedBy: string | null
  readonly startedAt: Date
  readonly durationMs: number
  readonly judgedAfterMs: number
}

export function toReport(
  { run, findings, findingsInAll, standing }: RunWithFindings,
  { interruptedBy, startedAt, durationMs, judgedAfterMs }: Ended,
): ReconciliationReport {
  return {
    verdict: interruptedBy !== null ? 'unknown' : standing === 0 ? 'valid' : 'invalid',
    reasons: interruptedBy === null ? [] : [interruptedBy],
    startedAt: startedAt.toISOString(),
    durationSeconds: Math.round(durationMs / 100) / 10,
    run: {
      id: run.id,
      mode: run.mode === 'act' ? 'act' : 'report',
      from: run.windowFrom.toISOString(),
      to: run.windowTo.toISOString(),
    },
    compared: toCompared(run, judgedAfterMs),
    findings: findings.map((finding) => toReported(finding, run.mode)),
    findingsInAll,
    standing,
  }
}

function toCompared(run: RunWithFindings['run'], judgedAfterMs: number): Compared {
  const { chargesSeen, refundsSeen, disputesSeen, paymentsRead, refundsRead, leftOpen } = run
  // What both sides show is counted on both.
  const known = Math.max(chargesSeen + refundsSeen, paymentsRead + refundsRead)
  return {
    ...{ gatewayCharges: chargesSeen, gatewayRefunds: refundsSeen, ourPayments: paymentsRead, ourRefunds: refundsRead },
    gatewayDisputes: disputesSeen,
    ...{ leftOpen, judged: Math.max(0, known - leftOpen), judgedAfterMinutes: Math.ceil(judgedAfterMs / 60_000) },
  }
}

/** The report of a run that was not begun, or of which nothing could be read. */
export function unknownReport(reason: string, startedAt: Date): ReconciliationReport {
  return {
    ...{ verdict: 'unknown', reasons: [reason], startedAt: startedAt.toISOString(), durationSeconds: 0, run: null },
    ...{ compared: null, findings: [], findingsInAll: 0, standing: 0 },
  }
}

function toReported(row: FindingRow, mode: string): ReportedFinding {
  // The database holds that they are among these, and only `runs.ts` writes a kind.
  const kind = row.kind as DifferenceKind
  const action = row.action as RepairAction
  const outcome = row.outcome as ReportedFinding['outcome']
  const stands = outcome !== 'done' && outcome !== 'gone'
  return {
    ...{ kind, action, outcome, stands },
    ...describeDifference({ kind, action, outcome, mode: mode === 'act' ? 'act' : 'report' }),
    gatewayMinor: row.gatewayAmountMinor ?? 0,
    booksMinor: row.booksAmountMinor ?? 0,
    currency: row.currency ?? '',
    detail: row.detail,
    foundAt: row.foundAt.toISOString(),
    ids: { account: row.accountId, order: row.orderId, payment: row.paymentId, refund: row.refundId },
    gatewayIds: {
      intent: row.gatewayIntentId,
      charge: row.gatewayChargeId,
      refund: row.gatewayRefundId,
      dispute: row.gatewayDisputeId,
    },
  }
}
