import type { Figures } from '../../src/auditor/figures.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import type { LoadResult } from '../../src/demo/load-under-faults.ts'

/** A run as it must be. */
export function goodResult(figures: Partial<Figures> = {}): LoadResult {
  return {
    outcome: 'passed',
    summary: { crossed: [], firstPayment: { p50Ms: 120, p99Ms: 300 }, replay: { p50Ms: 9, p99Ms: 30 } },
    verdict: {
      run: 'protected',
      verdict: 'valid',
      reason: null,
      invariants: invariants.map(({ id, claim }) => ({
        id,
        claim,
        verdict: 'valid',
        checked: 9,
        violations: 0,
        examples: [],
      })),
      figures: {
        orders: 200,
        requests: 4_000,
        overlappingPairs: 900,
        replays: 1_800,
        unknownOutcomes: 30,
        recovered: 4,
        doubleCharges: 0,
        lostAcknowledgements: 0,
        stuck: 0,
        ...figures,
      },
      latency: { startedAtMs: Date.UTC(2026, 0, 1), loadSeconds: 20, sliceSeconds: 1, slices: [slice(0), slice(1)] },
      waitedMs: 300,
    },
    lostAnswers: 12,
    kills: [
      {
        instance: 'payments-api-2',
        at: new Date(Date.UTC(2026, 0, 1)),
        readyAgainAt: new Date(Date.UTC(2026, 0, 1, 0, 0, 1)),
        payments: 2,
      },
    ],
    k6PeakMb: 90,
  }
}

/** A control as it must be: it goes wrong. */
export function controlResult(figures: Partial<Figures> = {}): LoadResult {
  const result = goodResult({ orders: 50, doubleCharges: 50, recovered: 0, replays: 0, ...figures })
  const verdict = result.verdict === null ? null : { ...result.verdict, verdict: 'invalid' as const }
  return { ...result, outcome: 'failed', verdict }
}

/** The result with parts of the auditor's verdict replaced. */
export function judged(result: LoadResult, changes: Partial<NonNullable<LoadResult['verdict']>>): LoadResult {
  return { ...result, verdict: result.verdict === null ? null : { ...result.verdict, ...changes } }
}

function slice(atSeconds: number) {
  return {
    ...{ atSeconds, requests: 100, unknownOutcomes: atSeconds },
    ...{ firstPaymentP50Ms: 120, firstPaymentP99Ms: 300, replayP50Ms: 9, replayP99Ms: 30 },
  }
}
