import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Percentiles } from './demo-report.ts'

export interface K6Summary {
  /** Metrics of which a threshold did not hold. */
  readonly crossed: readonly string[]
  readonly firstPayment: Percentiles
  readonly replay: Percentiles
  readonly hold: Percentiles
  readonly checkout: Percentiles
  /** The first nine tenths of what was booked; the last may have waited for somebody to walk away. */
  readonly seatsPerSecond: number | null
  /** Answers that the gateway never gave because the load had told it to; null where the load told it nothing of the kind. */
  readonly lostAnswers: number | null
}

const schema = z.object({
  metrics: z.record(
    z.string(),
    z.object({
      values: z.record(z.string(), z.number()),
      thresholds: z.record(z.string(), z.object({ ok: z.boolean() })).optional(),
    }),
  ),
})

type Metrics = z.infer<typeof schema>['metrics']

/** What loadtests/lib/summary.ts wrote; null where k6 did not come that far. */
export function readK6Summary(path: string): K6Summary | null {
  const read = schema.safeParse(readJson(path))
  if (!read.success) return null
  const { metrics } = read.data
  return {
    crossed: Object.keys(metrics).filter((name) =>
      Object.values(metrics[name]?.thresholds ?? {}).some(({ ok }) => !ok),
    ),
    firstPayment: percentiles(metrics, 'first_payment'),
    replay: percentiles(metrics, 'replay'),
    hold: percentiles(metrics, 'hold_won'),
    checkout: percentiles(metrics, 'checkout'),
    seatsPerSecond: seatsPerSecond(metrics),
    lostAnswers: lostAnswers(metrics),
  }
}

/** As loadtests/lib/gateway-faults.ts counts them. */
function lostAnswers(metrics: Metrics): number | null {
  const counts = Object.entries(metrics).filter(([name]) => /^faults_fired\{fault:\w+_drop-after\}$/.test(name))
  return counts.length === 0 ? null : counts.reduce((sum, [, { values }]) => sum + (values.count ?? 0), 0)
}

function percentiles(metrics: Metrics, name: string): Percentiles {
  const values = metrics[name]?.values
  // Without samples k6 writes zeros, which nobody measured.
  if (values === undefined || (values.count ?? 0) === 0) return { p50Ms: null, p99Ms: null }
  return { p50Ms: rounded(values.med), p99Ms: rounded(values['p(99)']) }
}

function seatsPerSecond(metrics: Metrics): number | null {
  const { count = 0, min = 0, 'p(90)': nineTenths = 0 } = metrics.seat_sold_at?.values ?? {}
  return nineTenths > min ? rounded((count * 0.9 * 1_000) / (nineTenths - min)) : null
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 10) / 10
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
