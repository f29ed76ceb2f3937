import type { LatencySeries, LatencySlice } from '../auditor/latency-series.ts'

/** When a replica was down, in milliseconds since 1970. */
export interface Outage {
  readonly atMs: number
  readonly untilMs: number
}

const width = 900
const height = 300
const margin = { top: 16, right: 16, bottom: 36, left: 66 }
const plot = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }

const lines: readonly { name: string; color: string; of: (slice: LatencySlice) => number | null }[] = [
  { name: 'first payments p99', color: '#cf222e', of: (slice) => slice.firstPaymentP99Ms },
  { name: 'first payments p50', color: '#0969da', of: (slice) => slice.firstPaymentP50Ms },
  { name: 'replays p50', color: '#1a7f37', of: (slice) => slice.replayP50Ms },
]

/** Latency over time as an SVG, with the outages and the answers that left clients in doubt. */
export function renderLatencyChart(series: LatencySeries | null, outages: readonly Outage[]): string {
  if (series === null) return '<p>Nothing was measured.</p>'
  const { slices, sliceSeconds, startedAtMs } = series
  const values = slices.flatMap((slice) => lines.flatMap(({ of }) => of(slice) ?? []))
  const scale = createScale(slices.length * sliceSeconds, values)
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Latency over time">
<g font-size="11" fill="currentColor">${grid(scale)}</g>
${within(series, outages)
  .map((outage) => outageBand(outage, startedAtMs, scale))
  .join('\n')}
${slices.map((slice) => doubtMark(slice, scale)).join('')}
${lines.map(({ color, of }) => polyline(slices, of, color, scale)).join('\n')}
<g font-size="11" fill="currentColor">${legend()}</g>
</svg>`
}

/** What was before the first slice or after the last is of another load. */
function within({ startedAtMs, slices, sliceSeconds }: LatencySeries, outages: readonly Outage[]): Outage[] {
  const endedAtMs = startedAtMs + slices.length * sliceSeconds * 1_000
  return outages
    .filter(({ atMs, untilMs }) => untilMs >= startedAtMs && atMs <= endedAtMs)
    .map(({ atMs, untilMs }) => ({ atMs: Math.max(atMs, startedAtMs), untilMs: Math.min(untilMs, endedAtMs) }))
}

interface Scale {
  readonly totalSeconds: number
  readonly ticksMs: readonly number[]
  x(atSeconds: number): number
  y(ms: number): number
}

/** Logarithmic, from 1 ms: a replay takes a few milliseconds, a payment that had to be recovered some thousands. */
function createScale(totalSeconds: number, values: readonly number[]): Scale {
  const decades = Math.max(1, Math.ceil(Math.log10(Math.max(10, ...values))))
  return {
    totalSeconds,
    ticksMs: Array.from({ length: decades + 1 }, (_, power) => 10 ** power),
    x: (atSeconds) => round(margin.left + (atSeconds / Math.max(1, totalSeconds)) * plot.width),
    y: (ms) => round(margin.top + plot.height * (1 - Math.log10(Math.max(1, ms)) / decades)),
  }
}

function grid(scale: Scale): string {
  const bottom = margin.top + plot.height
  const horizontal = scale.ticksMs.map(
    (ms) =>
      `<line x1="${margin.left}" x2="${margin.left + plot.width}" y1="${scale.y(ms)}" y2="${scale.y(ms)}" stroke="#8884"/>` +
      `<text x="${margin.left - 6}" y="${scale.y(ms) + 4}" text-anchor="end">${ms} ms</text>`,
  )
  const everySeconds = Math.max(1, Math.ceil(scale.totalSeconds / 8))
  const marks = Array.from(
    { length: Math.floor(scale.totalSeconds / everySeconds) + 1 },
    (_, index) => index * everySeconds,
  )
  const vertical = marks.map((at) => `<text x="${scale.x(at)}" y="${bottom + 16}" text-anchor="middle">${at} s</text>`)
  return [...horizontal, ...vertical].join('')
}

function outageBand({ atMs, untilMs }: Outage, startedAtMs: number, scale: Scale): string {
  const from = scale.x((atMs - startedAtMs) / 1_000)
  const to = scale.x((untilMs - startedAtMs) / 1_000)
  return `<rect x="${from}" y="${margin.top}" width="${Math.max(2, round(to - from))}" height="${plot.height}" fill="#cf222e" opacity="0.15"><title>process down</title></rect>`
}

function doubtMark(slice: LatencySlice, scale: Scale): string {
  if (slice.unknownOutcomes === 0) return ''
  const bottom = margin.top + plot.height
  const top = Math.min(60, 4 + slice.unknownOutcomes)
  return `<rect x="${scale.x(slice.atSeconds)}" y="${bottom - top}" width="3" height="${top}" fill="#9a6700"><title>${slice.unknownOutcomes} unknown outcomes</title></rect>`
}

/** A slice without such an answer is a gap, not a zero. */
function polyline(
  slices: readonly LatencySlice[],
  of: (slice: LatencySlice) => number | null,
  color: string,
  scale: Scale,
): string {
  let penIsUp = true
  const path = slices.map((slice) => {
    const ms = of(slice)
    if (ms === null) {
      penIsUp = true
      return ''
    }
    const step = `${penIsUp ? 'M' : 'L'}${scale.x(slice.atSeconds)} ${scale.y(ms)}`
    penIsUp = false
    return step
  })
  return `<path d="${path.join('')}" fill="none" stroke="${color}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>`
}

function legend(): string {
  const entries = [
    ...lines,
    { name: 'answers in doubt', color: '#9a6700' },
    { name: 'process down', color: '#cf222e55' },
  ]
  return entries
    .map(({ name, color }, index) => {
      const x = margin.left + 8 + index * 160
      return `<rect x="${x}" y="${height - 12}" width="10" height="10" fill="${color}"/><text x="${x + 14}" y="${height - 3}">${name}</text>`
    })
    .join('')
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}
