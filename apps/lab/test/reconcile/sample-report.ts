import { type ReconciliationReport, toReport } from '@seatbelt/worker'

type Run = Parameters<typeof toReport>[0]
type Finding = Run['findings'][number]

const at = new Date('2026-11-20T06:00:07Z')

/** A row as `reconciliation_findings` has it. */
function finding(overrides: Partial<Finding>): Finding {
  return {
    ...{ id: 'id', runId: 'run', kind: 'charged-twice', action: 'refund', outcome: null, detail: null, foundAt: at },
    accountId: '0192f000-0000-7000-8000-00000000000a',
    orderId: '0192f1aa-5c1e-7d2b-9a41-3b0c7f6e2d10',
    ...{ paymentId: null, refundId: null, gatewayRefundId: null, gatewayDisputeId: null },
    ...{ gatewayIntentId: 'pi_3QX8mTbYk2fR', gatewayChargeId: 'ch_3QX8mTbYk2fR' },
    ...{ gatewayAmountMinor: 4_200, booksAmountMinor: 0, currency: 'EUR' },
    ...overrides,
  }
}

const found = [
  finding({}),
  finding({
    kind: 'orphan-unpaid-order',
    action: 'person',
    gatewayAmountMinor: 1_234_550,
    detail: 'it is not what the order costs',
  }),
  finding({ kind: 'missing', action: 'person', gatewayAmountMinor: 0, booksAmountMinor: 980, currency: 'JPY' }),
  finding({
    kind: 'refund-lost',
    action: 'reverse-refund',
    gatewayAmountMinor: 0,
    booksAmountMinor: 1_500,
    gatewayRefundId: 're_3QX8mTbYk2fR',
  }),
  finding({ kind: 'orphan-unknown-order', action: 'person', detail: '<script>alert(1)</script>' }),
]

const acted = [
  finding({ outcome: 'done' }),
  finding({ kind: 'uncaptured-orphan', action: 'cancel-intent', outcome: 'done', gatewayAmountMinor: 9_900 }),
]

/** `findings` null: what a person might see on a bad morning. */
export function sampleReport({
  findings = [...found, ...acted],
  mode = 'act',
  interruptedBy = null as string | null,
  /** 0: all that there is was too young, or somebody was at work on it. */
  judged = 1,
} = {}): ReconciliationReport {
  const run = {
    ...{ id: '0192f2b0-7777-7d2b-9a41-3b0c7f6e2d10', mode, stage: 'done', cursor: null, generation: 1, by: 'worker-1' },
    ...{ windowFrom: new Date('2026-11-13T05:41:00Z'), windowTo: new Date('2026-11-20T05:41:00Z') },
    ...(judged === 0
      ? { chargesSeen: 3, refundsSeen: 0, disputesSeen: 0, paymentsRead: 0, refundsRead: 0, leftOpen: 3 }
      : {
          chargesSeen: 48_210,
          refundsSeen: 1_022,
          disputesSeen: 21,
          paymentsRead: 47_102,
          refundsRead: 1_019,
          leftOpen: 3,
        }),
    ...{ leasedUntil: null, startedAt: at, finishedAt: at },
  }
  const standing = findings.filter(({ outcome }) => outcome !== 'done').length
  const ended = { interruptedBy, startedAt: at, durationMs: 41_230, judgedAfterMs: 18 * 60_000 }
  return toReport({ run, findings, findingsInAll: findings.length, standing }, ended)
}

export const allPutRight = acted
