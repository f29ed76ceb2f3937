import type { PeakMemory } from '../stack/peak-memory.ts'
import { conclude } from './conclude.ts'
import { type DemoReport, type Injection, type ProtectedFigures, type Timings, unmeasured } from './demo-report.ts'
import { joinInvariants } from './join-invariants.ts'
import type { Kill } from './kill-replica.ts'
import { describeKill, describeMailKill, type LoadResult } from './load-under-faults.ts'
import type { SaleResult } from './sell-out-under-faults.ts'

export interface Measured {
  readonly startedAt: Date
  readonly endedAt: Date
  readonly setupSeconds: number | null
  readonly versions: Readonly<Record<string, string | null>>
  readonly guarded: LoadResult | null
  readonly control: LoadResult | null
  readonly sale: SaleResult | null
  readonly controlSale: SaleResult | null
  readonly memory: readonly PeakMemory[]
  /** Why the demo ended before its end; null where it did not. */
  readonly brokenOffBecause: string | null
  /** Processes that ended without having been asked to. */
  readonly unexpectedEnds: readonly string[]
}

/** The report on whatever was measured, also when that was little. */
export function buildReport(measured: Measured): DemoReport {
  const { startedAt, endedAt, guarded, control, sale, controlSale, brokenOffBecause, unexpectedEnds } = measured
  const { verdict, reasons } = conclude(measured)
  const doubts = [...(brokenOffBecause === null ? [] : [brokenOffBecause]), ...unexpectedEnds]
  return {
    verdict: verdict === 'valid' && doubts.length > 0 ? 'unknown' : verdict,
    reasons: [...reasons, ...doubts],
    startedAt: startedAt.toISOString(),
    durationSeconds: seconds(endedAt.getTime() - startedAt.getTime()),
    versions: measured.versions,
    protected: protectedFigures(guarded, sale),
    control: {
      orders: control?.verdict?.figures?.orders ?? null,
      requests: control?.verdict?.figures?.requests ?? null,
      doubleCharges: control?.verdict?.figures?.doubleCharges ?? null,
      doubleBookings: controlSale?.verdict?.figures?.seats?.doubleBookings ?? null,
      seats: controlSale?.verdict?.figures?.seats ?? unmeasured.seats,
      overlappingPairs: control?.verdict?.figures?.overlappingPairs ?? null,
      invoices: control?.verdict?.figures?.invoices ?? unmeasured.invoices,
    },
    seats: sale?.verdict?.figures?.seats ?? unmeasured.seats,
    receipts: guarded?.verdict?.figures?.receipts ?? unmeasured.receipts,
    invoices: guarded?.verdict?.figures?.invoices ?? unmeasured.invoices,
    invariants: joinInvariants(guarded, sale),
    controlInvariants: joinInvariants(control, controlSale),
    timings: timings(measured),
    memory: [...measured.memory, ...(guarded === null ? [] : [{ process: 'k6', peakMb: guarded.k6PeakMb }])],
    injections: [...injections(guarded), ...saleInjections(sale)],
    latency: guarded?.verdict?.latency ?? null,
  }
}

/** Of the payments; of the sale as well what must never happen, and what was done to the system. */
function protectedFigures(result: LoadResult | null, sale: SaleResult | null): ProtectedFigures {
  const figures = result?.verdict?.figures ?? null
  // The later audit reads the books of the earlier load too, and counts again what that one counted.
  const ofEither = (name: 'doubleCharges' | 'lostAcknowledgements' | 'stuck') =>
    greatest([figures?.[name], sale?.verdict?.figures?.[name]])
  return {
    orders: figures?.orders ?? null,
    requests: figures?.requests ?? null,
    overlappingPairs: figures?.overlappingPairs ?? null,
    replays: figures?.replays ?? null,
    doubleCharges: ofEither('doubleCharges'),
    lostAcknowledgements: ofEither('lostAcknowledgements'),
    stuck: ofEither('stuck'),
    unknownOutcomes: figures?.unknownOutcomes ?? null,
    recovered: figures?.recovered ?? null,
    replicaKills: sum([result?.kills.length, sale?.kills.length]),
    workerKills: result === null ? null : [result.mailKill, result.billing.leaderKill].filter(Boolean).length,
    lostAnswers: sum([result?.lostAnswers, sale?.summary?.lostAnswers]),
  }
}

type Figure = number | null | undefined

/** Of what was measured; null where nothing was. */
function sum(figures: readonly Figure[]): number | null {
  const measured = whatWasMeasured(figures)
  return measured.length === 0 ? null : measured.reduce((total, figure) => total + figure, 0)
}

function greatest(figures: readonly Figure[]): number | null {
  const measured = whatWasMeasured(figures)
  return measured.length === 0 ? null : Math.max(...measured)
}

function whatWasMeasured(figures: readonly Figure[]): number[] {
  return figures.filter((figure) => figure !== null && figure !== undefined)
}

function timings({ guarded, sale, setupSeconds }: Measured): Timings {
  const none = { p50Ms: null, p99Ms: null }
  const figures = guarded?.verdict?.figures ?? null
  const loadSeconds = guarded?.verdict?.latency?.loadSeconds ?? null
  const perSecond = (times: number | undefined) =>
    times === undefined || loadSeconds === null || loadSeconds === 0
      ? null
      : Math.round((times / loadSeconds) * 10) / 10
  return {
    setupSeconds,
    ordersPerSecond: perSecond(figures?.orders),
    requestsPerSecond: perSecond(figures?.requests),
    firstPayment: guarded?.summary?.firstPayment ?? none,
    replay: guarded?.summary?.replay ?? none,
    seatsPerSecond: sale?.summary?.seatsPerSecond ?? null,
    hold: sale?.summary?.hold ?? none,
    checkout: sale?.summary?.checkout ?? none,
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
    ...result.kills.map((kill) => killOf(kill, describeKill(kill))),
    ...(leaderKill === null ? [] : [killOf(leaderKill, `leading the billing run, ${describeKill(leaderKill)}`)]),
  ]
}

function saleInjections(sale: SaleResult | null): Injection[] {
  if (sale === null) return []
  const lost = sale.summary?.lostAnswers ?? 0
  const what = 'the gateway authorized or captured a checkout and then dropped the connection instead of answering'
  return [
    ...(lost === 0 ? [] : [{ at: null, until: null, what, firings: lost }]),
    ...sale.kills.map((kill) => killOf(kill, `selling the hall, ${describeKill(kill, 'checkouts')}`)),
  ]
}

function killOf(kill: Kill, what: string): Injection {
  return { ...spanOf(kill), what, firings: 1 }
}

function spanOf({ at, readyAgainAt }: { readonly at: Date; readonly readyAgainAt: Date }) {
  return { at: at.toISOString(), until: readyAgainAt.toISOString() }
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}
