import type { PeakMemory } from '../stack/peak-memory.ts'
import { conclude } from './conclude.ts'
import { type DemoReport, type Injection, type ProtectedFigures, type Timings, unmeasured } from './demo-report.ts'
import { describeKill, describeMailKill, type LoadResult } from './load-under-faults.ts'

export interface Measured {
  readonly startedAt: Date
  readonly endedAt: Date
  readonly setupSeconds: number | null
  readonly versions: Readonly<Record<string, string | null>>
  readonly guarded: LoadResult | null
  readonly control: LoadResult | null
  readonly memory: readonly PeakMemory[]
  /** Why the demo ended before its end; null where it did not. */
  readonly brokenOffBecause: string | null
  /** Processes that ended without having been asked to. */
  readonly unexpectedEnds: readonly string[]
}

/** The report on whatever was measured, also when that was little. */
export function buildReport(measured: Measured): DemoReport {
  const { startedAt, endedAt, guarded, control, brokenOffBecause, unexpectedEnds } = measured
  const { verdict, reasons } = conclude(guarded, control)
  const doubts = [...(brokenOffBecause === null ? [] : [brokenOffBecause]), ...unexpectedEnds]
  return {
    verdict: verdict === 'valid' && doubts.length > 0 ? 'unknown' : verdict,
    reasons: [...reasons, ...doubts],
    startedAt: startedAt.toISOString(),
    durationSeconds: seconds(endedAt.getTime() - startedAt.getTime()),
    versions: measured.versions,
    protected: protectedFigures(guarded),
    control: {
      orders: control?.verdict?.figures?.orders ?? null,
      requests: control?.verdict?.figures?.requests ?? null,
      doubleCharges: control?.verdict?.figures?.doubleCharges ?? null,
      doubleBookings: null,
      overlappingPairs: control?.verdict?.figures?.overlappingPairs ?? null,
      invoices: control?.verdict?.figures?.invoices ?? unmeasured.invoices,
    },
    seats: unmeasured.seats,
    receipts: guarded?.verdict?.figures?.receipts ?? unmeasured.receipts,
    invoices: guarded?.verdict?.figures?.invoices ?? unmeasured.invoices,
    invariants: guarded?.verdict?.invariants ?? [],
    controlInvariants: control?.verdict?.invariants ?? [],
    timings: timings(guarded, measured.setupSeconds),
    memory: [...measured.memory, ...(guarded === null ? [] : [{ process: 'k6', peakMb: guarded.k6PeakMb }])],
    injections: injections(guarded),
    latency: guarded?.verdict?.latency ?? null,
  }
}

function protectedFigures(result: LoadResult | null): ProtectedFigures {
  const figures = result?.verdict?.figures ?? null
  return {
    orders: figures?.orders ?? null,
    requests: figures?.requests ?? null,
    overlappingPairs: figures?.overlappingPairs ?? null,
    replays: figures?.replays ?? null,
    doubleCharges: figures?.doubleCharges ?? null,
    lostAcknowledgements: figures?.lostAcknowledgements ?? null,
    stuck: figures?.stuck ?? null,
    unknownOutcomes: figures?.unknownOutcomes ?? null,
    recovered: figures?.recovered ?? null,
    replicaKills: result?.kills.length ?? null,
    workerKills: result === null ? null : [result.mailKill, result.billing.leaderKill].filter(Boolean).length,
    lostAnswers: result?.lostAnswers ?? null,
  }
}

function timings(result: LoadResult | null, setupSeconds: number | null): Timings {
  const none = { p50Ms: null, p99Ms: null }
  const figures = result?.verdict?.figures ?? null
  const loadSeconds = result?.verdict?.latency?.loadSeconds ?? null
  const perSecond = (times: number | undefined) =>
    times === undefined || loadSeconds === null || loadSeconds === 0
      ? null
      : Math.round((times / loadSeconds) * 10) / 10
  return {
    setupSeconds,
    ordersPerSecond: perSecond(figures?.orders),
    requestsPerSecond: perSecond(figures?.requests),
    firstPayment: result?.summary?.firstPayment ?? none,
    replay: result?.summary?.replay ?? none,
  }
}

function injections(result: LoadResult | null): Injection[] {
  if (result === null) return []
  const { mailKill } = result
  const { leaderKill } = result.billing
  return [
    {
      at: null,
      until: null,
      what: 'the gateway charged and then dropped the connection instead of answering',
      firings: result.lostAnswers,
    },
    ...(mailKill === null
      ? []
      : [
          {
            ...spanOf(mailKill),
            what: 'the mail server took a receipt and never said so',
            firings: mailKill.messages,
          },
          { ...spanOf(mailKill), what: describeMailKill(mailKill), firings: 1 },
        ]),
    ...result.kills.map((kill) => ({ ...spanOf(kill), what: describeKill(kill), firings: 1 })),
    ...(leaderKill === null
      ? []
      : [{ ...spanOf(leaderKill), what: `leading the billing run, ${describeKill(leaderKill)}`, firings: 1 }]),
  ]
}

function spanOf({ at, readyAgainAt }: { readonly at: Date; readonly readyAgainAt: Date }) {
  return { at: at.toISOString(), until: readyAgainAt.toISOString() }
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}
