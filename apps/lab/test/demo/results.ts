import type { Figures, SeatFigures } from '../../src/auditor/figures.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import type { K6Summary } from '../../src/demo/k6-summary.ts'
import type { LoadResult } from '../../src/demo/load-under-faults.ts'
import type { SaleResult } from '../../src/demo/sell-out-under-faults.ts'

const nothing = { p50Ms: null, p99Ms: null }
const nothingCounted: K6Summary = {
  ...{ crossed: [], firstPayment: nothing, replay: nothing, hold: nothing, checkout: nothing },
  ...{ seatsPerSecond: null, lostAnswers: null },
}

/** A run as it must be. */
export function goodResult(figures: Partial<Figures> = {}): LoadResult {
  return {
    outcome: 'passed',
    summary: { ...nothingCounted, firstPayment: { p50Ms: 120, p99Ms: 300 }, replay: { p50Ms: 9, p99Ms: 30 } },
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
        repairedCharges: 0,
        lostAcknowledgements: 0,
        stuck: 0,
        receipts: { sent: 260, duplicates: 4, duplicatesWithoutCause: 0, missing: 0 },
        invoices: { due: 60, charged: 60, chargedTwice: 0 },
        seats: null,
        ...figures,
      },
      latency: { startedAtMs: Date.UTC(2026, 0, 1), loadSeconds: 20, sliceSeconds: 1, slices: [slice(0), slice(1)] },
      waitedMs: 300,
    },
    lostAnswers: 12,
    kills: [{ ...killedFor1s, instance: 'payments-api-2', payments: 2 }],
    mailKill: { ...killedFor1s, instance: 'worker-1', messages: 4 },
    billing: { subscriptions: 60, leaderKill: { ...killedFor1s, instance: 'worker-2', payments: 3 } },
    k6PeakMb: 90,
  }
}

const killedFor1s = { at: new Date(Date.UTC(2026, 0, 1)), readyAgainAt: new Date(Date.UTC(2026, 0, 1, 0, 0, 1)) }

/** A control as it must be: it goes wrong. */
export function controlResult(figures: Partial<Figures> = {}): LoadResult {
  const wrong = { doubleCharges: 50, invoices: { due: 20, charged: 20, chargedTwice: 20 } }
  const result = goodResult({ orders: 50, recovered: 0, replays: 0, receipts: null, ...wrong, ...figures })
  const verdict = result.verdict === null ? null : { ...result.verdict, verdict: 'invalid' as const }
  const billing = { subscriptions: 20, leaderKill: null }
  return { ...result, outcome: 'failed', verdict, mailKill: null, billing }
}

/** A hall that was sold as it must be. */
export function goodSale(seats: Partial<SeatFigures> = {}): SaleResult {
  const { outcome, verdict, k6PeakMb } = goodResult({
    ...{ orders: 0, requests: 0, overlappingPairs: 0, replays: 0, unknownOutcomes: 5, recovered: 2 },
    ...{ receipts: null, invoices: null },
    seats: { sold: 600, holds: 210, walkedAway: 20, doubleBookings: 0, oversold: 0, paidWithoutSeat: 0, ...seats },
  })
  const measured = { seatsPerSecond: 40, hold: { p50Ms: 20, p99Ms: 90 }, checkout: { p50Ms: 200, p99Ms: 900 } }
  return {
    ...{ outcome, verdict, k6PeakMb, summary: { ...nothingCounted, ...measured, lostAnswers: 9 } },
    kills: [{ ...killedFor1s, instance: 'booking-api-2', payments: 3 }],
  }
}

/** The control's: it sells seats twice. */
export function controlSale(seats: Partial<SeatFigures> = {}): SaleResult {
  const sale = goodSale({ doubleBookings: 30, oversold: 4, ...seats })
  return { ...sale, outcome: 'failed', kills: sale.kills.map((kill) => ({ ...kill, payments: null })) }
}

/** The result with parts of the auditor's verdict replaced. */
export function judged<Result extends LoadResult | SaleResult>(
  result: Result,
  changes: Partial<NonNullable<LoadResult['verdict']>>,
): Result {
  return { ...result, verdict: result.verdict === null ? null : { ...result.verdict, ...changes } }
}

function slice(atSeconds: number) {
  return {
    ...{ atSeconds, requests: 100, unknownOutcomes: atSeconds },
    ...{ firstPaymentP50Ms: 120, firstPaymentP99Ms: 300, replayP50Ms: 9, replayP99Ms: 30 },
  }
}
