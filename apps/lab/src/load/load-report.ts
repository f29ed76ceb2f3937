import { cpus, totalmem } from 'node:os'
import { harms, type LoadName, loads, wrongs } from '../../../../loadtests/lib/loads.ts'
import type { Verdict } from '../auditor/invariant.ts'
import type { RunVerdict } from '../auditor/judge-run.ts'
import type { LoadOutcome } from '../stack/run-k6.ts'
import type { LoadSummary } from './read-load-summary.ts'

/** What came of firing. */
export interface Fired {
  readonly outcome: LoadOutcome
  /** Its name in the auditor. */
  readonly run: string
  readonly summary: LoadSummary | null
  readonly audit: RunVerdict | null
}

/** `.seatbelt/reports/load-NAME.json`. Fields are added, never renamed; what was not measured is null, never 0. */
export interface LoadReport {
  readonly name: LoadName
  readonly proves: string
  /** True: it was fired at the unsafe twin, whose verdict must be `invalid`. */
  readonly control: boolean
  readonly verdict: Verdict
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  readonly machine: { readonly cores: number; readonly memoryGb: number; readonly node: string }
  readonly load: { readonly orders: number; readonly copies: number; readonly concurrency: number } | null
  /** By the auditor (of the control: of what it must break), and by what k6 itself saw at the gateway or was told. */
  readonly violations: { readonly audit: number | null; readonly seen: number | null }
  readonly faults: readonly { readonly on: string; readonly kind: string; readonly fired: number | null }[]
  /** Orders that were paid for a second: the first nine tenths of them. The last may have waited for the load's end. */
  readonly goodputPerSecond: number | null
  /** Of the first nine tenths that were sold, too. */
  readonly seatsSoldPerSecond: number | null
  /** What was looked at once and is no count, by name. */
  readonly measures: Readonly<Record<string, number>>
  readonly counts: Readonly<Record<string, number>>
  readonly latencies: Readonly<Record<string, Latency>>
  readonly thresholds: readonly Threshold[]
  readonly invariants: RunVerdict['invariants']
  readonly figures: RunVerdict['figures']
}

interface Latency {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

interface Threshold {
  readonly metric: string
  readonly rule: string
  readonly holds: boolean
}

export interface LoadFindings {
  readonly name: LoadName
  readonly control: boolean
  readonly startedAt: Date
  readonly endedAt: Date
  readonly fired: Fired | null
  readonly brokenOffBecause: string | null
}

export function buildLoadReport(findings: LoadFindings): LoadReport {
  const { name, control, startedAt, endedAt, fired } = findings
  const summary = fired?.summary ?? null
  const counts = countsIn(summary)
  return {
    ...{ name, proves: loads[name].proves, control },
    ...conclude(findings),
    startedAt: startedAt.toISOString(),
    durationSeconds: Math.round((endedAt.getTime() - startedAt.getTime()) / 100) / 10,
    machine: {
      cores: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      node: process.versions.node,
    },
    load: summary && { orders: summary.orders, copies: summary.copies, concurrency: summary.concurrency },
    violations: { audit: auditViolations(findings), seen: summary && seenViolations(counts) },
    faults: loads[name].faults.map(({ on, kind }) => ({
      ...{ on, kind, fired: counts[`faults_fired{fault:${on}_${kind}}`] ?? null },
    })),
    goodputPerSecond: perSecond(summary, 'paid_at'),
    seatsSoldPerSecond: perSecond(summary, 'seat_sold_at'),
    measures: measuresIn(summary),
    counts,
    latencies: latenciesIn(summary),
    thresholds: thresholdsIn(summary),
    invariants: fired?.audit?.invariants ?? [],
    figures: fired?.audit?.figures ?? null,
  }
}

/**
 * `invalid`: something went wrong that must not. `unknown`: nothing did, but the run proves nothing, because something that it
 * must have met did not happen, or k6 or the auditor did not come to their end. Else `valid`.
 */
function conclude({ fired, brokenOffBecause }: LoadFindings): Pick<LoadReport, 'verdict' | 'reasons'> {
  if (brokenOffBecause !== null) return { verdict: 'unknown', reasons: [brokenOffBecause] }
  if (fired?.summary == null) return { verdict: 'unknown', reasons: ['k6 left no summary'] }
  const crossed = thresholdsIn(fired.summary).filter(({ holds }) => !holds)
  const wrong = crossed.filter(({ metric }) => wrongs.includes(withoutTags(metric)))
  const reasons = (wrong.length > 0 ? wrong : crossed).map(({ metric, rule }) => `${metric} ${rule} did not hold`)
  if (wrong.length > 0) return { verdict: 'invalid', reasons }
  if (fired.outcome === 'passed') return { verdict: 'valid', reasons: [] }
  return { verdict: 'unknown', reasons: reasons.length > 0 ? reasons : ['k6 did not come to its end'] }
}

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const satisfies Record<Verdict, number>

export function exitCodeOf({ control, verdict, violations }: LoadReport): number {
  if (!control) return exitCodes[verdict]
  if (violations.audit === null) return exitCodes.unknown
  return foundSome(violations) ? 0 : 1
}

/** The last lines, after k6's own summary. */
export function tellLoad(report: LoadReport, path: string, say: (text: string) => void): void {
  const { name, control, verdict, reasons, violations } = report
  if (control && violations.audit !== null) {
    const found = `${violations.audit} violations by the auditor, ${violations.seen} by the clients and the ledger`
    say(
      `${name}: the control ${foundSome(violations) ? 'fails, as it must' : 'holds, so that this load proves nothing'}: ${found}`,
    )
  } else {
    say([`${name}: ${verdict}`, ...reasons.map((reason) => `  ${reason}`)].join('\n'))
  }
  say(`Report: ${path}`)
}

function foundSome({ audit, seen }: LoadReport['violations']): boolean {
  return (audit ?? 0) + (seen ?? 0) > 0
}

/** That the control records no answers is one too, and no news: only what it was made to break counts. */
function auditViolations({ name, control, fired }: LoadFindings): number | null {
  const invariants = fired?.audit?.invariants ?? []
  if (invariants.length === 0) return null
  const breaks: readonly string[] = loads[name].breaks
  return sum(invariants.filter(({ id }) => !control || breaks.includes(id)).map(({ violations }) => violations))
}

function seenViolations(counts: Readonly<Record<string, number>>): number {
  return sum(harms.map((metric) => counts[metric] ?? 0))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** k6's own metrics are about its work; only those of the scripts are about ours. */
const notOurs = /^(http_|ws_|grpc_|browser_|vus|iteration|data_|group_duration|checks)/

function ours(summary: LoadSummary | null) {
  return Object.entries(summary?.metrics ?? {}).filter(([name]) => !notOurs.test(name))
}

/** Times since the beginning, which are no latencies. */
const moments = ['paid_at', 'seat_sold_at']

function measuresIn(summary: LoadSummary | null): Record<string, number> {
  const gauges = ours(summary).filter(([, { type }]) => type === 'gauge')
  return Object.fromEntries(gauges.map(([name, { values }]) => [name, fourDigits(values.value)]))
}

function countsIn(summary: LoadSummary | null): Record<string, number> {
  const counters = ours(summary).filter(([, { type }]) => type === 'counter')
  return Object.fromEntries(counters.map(([name, { values }]) => [name, values.count ?? 0]))
}

function latenciesIn(summary: LoadSummary | null): Record<string, Latency> {
  const trends = ours(summary).filter(
    ([name, { type, values }]) => type === 'trend' && !moments.includes(name) && values.count,
  )
  return Object.fromEntries(
    trends.map(([name, { values }]) => [
      name,
      {
        count: values.count ?? 0,
        ...{ p50Ms: tenths(values.med), p90Ms: tenths(values['p(90)']) },
        ...{ p99Ms: tenths(values['p(99)']), maxMs: tenths(values.max) },
      },
    ]),
  )
}

/** How many came within the time that the first nine tenths of them took. The last may have waited for the load's end. */
function perSecond(summary: LoadSummary | null, metric: string): number | null {
  const { count = 0, min = 0, 'p(90)': nineTenths = 0 } = summary?.metrics[metric]?.values ?? {}
  return nineTenths > min ? tenths((count * 0.9 * 1_000) / (nineTenths - min)) : null
}

function thresholdsIn(summary: LoadSummary | null): Threshold[] {
  return ours(summary).flatMap(([metric, { thresholds = {} }]) =>
    Object.entries(thresholds).map(([rule, { ok }]) => ({ metric, rule, holds: ok })),
  )
}

function withoutTags(metric: string): string {
  return metric.replace(/\{.*$/, '')
}

function fourDigits(number = 0): number {
  return Number(number.toPrecision(4))
}

function tenths(number = 0): number {
  return Math.round(number * 10) / 10
}
