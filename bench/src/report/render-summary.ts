import { goalText, holdsWord, precise } from '@seatbelt/lab/bench-locks/render-summary.ts'
import type { BenchReport, Series } from './bench-report.ts'
import { titleOf } from './titles.ts'

/** The goals and the payments, for the terminal; the rest is on the page. */
export function renderSummary({
  verdict,
  reasons,
  ratios,
  series,
  durationSeconds,
  filesPerPayment,
}: BenchReport): string {
  return [
    '',
    ...series.filter(({ operation }) => operation === 'payment').map(describeSeries),
    '',
    ...ratios.map(
      (ratio) =>
        `  ${holdsWord(ratio).padEnd(8)}${precise(ratio.value).padStart(9)}  ${goalText(ratio).padEnd(18)}${ratio.what}`,
    ),
    '',
    ...(filesPerPayment === null ? [] : [`  files of a first payment: ${filesPerPayment.files.join(', ')}`, '']),
    `${verdict.toUpperCase()}, after ${Math.round(durationSeconds)} s`,
    ...reasons.map((reason) => `  - ${reason}`),
    '',
  ].join('\n')
}

function describeSeries({ system, inFlight, throughputPerSecond, p50Ms, p99Ms, cpuMsPerRequest }: Series): string {
  const figures = [
    `${precise(throughputPerSecond).padStart(7)}/s`,
    `p50 ${precise(p50Ms)} ms`,
    `p99 ${precise(p99Ms)} ms`,
    `CPU ${precise(cpuMsPerRequest.api)} ms`,
  ]
  return `  ${titleOf(system).padEnd(24)}${String(inFlight).padStart(3)} in flight  ${figures.join('  ')}`
}
