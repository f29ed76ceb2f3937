import { environment } from './environment.ts'

interface SummaryData {
  readonly metrics: Record<
    string,
    { values: Record<string, number>; thresholds?: Record<string, { ok: boolean }> | undefined }
  >
  readonly state: { readonly testRunDurationMs: number }
}

/** For `handleSummary`: some lines for a person, and all figures as JSON where SUMMARY names a file. */
export function summarize(name: string, data: SummaryData): Record<string, string> {
  const json = JSON.stringify({
    name,
    run: environment.run,
    durationMs: data.state.testRunDurationMs,
    orders: environment.orders,
    copies: environment.copies,
    concurrency: environment.concurrency,
    metrics: data.metrics,
  })
  return {
    stdout: `${lines(name, data).join('\n')}\n`,
    ...(environment.summaryPath === null ? {} : { [environment.summaryPath]: json }),
  }
}

function lines(name: string, data: SummaryData): string[] {
  const thresholds = Object.entries(data.metrics).flatMap(([metric, { values, thresholds: rules }]) =>
    Object.entries(rules ?? {}).map(
      ([rule, { ok }]) => `  ${ok ? 'ok  ' : 'FAIL'}  ${metric} ${rule} (${measured(rule, values)})`,
    ),
  )
  return [
    `${name}: ${environment.orders} orders, ${environment.copies} copies, ${Math.round(data.state.testRunDurationMs / 1_000)} s`,
    ...thresholds.sort(),
    ...sale(data.metrics),
    latency('first payments', data.metrics.first_payment?.values),
    latency('replays', data.metrics.replay?.values),
    latency('all final answers, from the first try', data.metrics.settled_after?.values),
  ]
}

/** A count, or the percentile or the measure that the rule is about. */
function measured(rule: string, values: Record<string, number>): number {
  const number = values[/^(med|value|p\(\d+\))/.exec(rule)?.[0] ?? 'count'] ?? 0
  return rule.startsWith('value') ? Number(number.toPrecision(4)) : Math.round(number)
}

/** Of loads that sell seats. */
function sale(metrics: SummaryData['metrics']): string[] {
  const sold = metrics.seat_sold_at?.values
  if (sold === undefined) return []
  const { count = 0, min = 0, 'p(90)': nineTenths = 0 } = sold
  const perSecond = nineTenths > min ? (count * 0.9 * 1_000) / (nineTenths - min) : 0
  return [
    `  seats sold: ${count}, the first nine tenths of them ${Math.round(perSecond * 10) / 10} a second`,
    latency('holds', metrics.hold_won?.values),
    latency('holds that came too late', metrics.hold_lost?.values),
    latency('checkouts', metrics.checkout?.values),
  ]
}

function latency(title: string, values: Record<string, number> | undefined): string {
  if (values === undefined || values.count === 0) return `  ${title}: none`
  const ms = (name: string) => `${Math.round(values[name] ?? 0)} ms`
  return `  ${title}: ${values.count}, p50 ${ms('med')}, p99 ${ms('p(99)')}`
}
