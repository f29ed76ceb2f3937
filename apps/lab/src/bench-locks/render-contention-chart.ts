import type { LockSeries } from './locks-report.ts'
import { colorOf, describeStrategy } from './strategy-names.ts'

const width = 560
const height = 320
const margin = { top: 12, right: 16, bottom: 40, left: 64 }
const plot = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }

/** One line a strategy over the number of contenders, both logarithmic. What was not measured is a gap. */
export function renderContentionChart(
  series: readonly LockSeries[],
  title: string,
  of: (one: LockSeries) => number | null,
): string {
  const values = series.flatMap((one) => of(one) ?? [])
  if (values.length === 0) return '<p>Nothing was measured.</p>'
  const contenders = [...new Set(series.map((one) => one.contenders))]
  const scale = createScale(contenders, values)
  const names = [...new Set(series.map(({ strategy }) => strategy))]
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}, by contenders">
<g font-size="11" fill="currentColor">${grid(contenders, scale)}</g>
${names
  .map((name) =>
    line(
      series.filter(({ strategy }) => strategy === name),
      name,
      of,
      scale,
    ),
  )
  .join('\n')}
</svg>`
}

interface Scale {
  readonly ticks: readonly number[]
  x(contenders: number): number
  y(value: number): number
}

function createScale(contenders: readonly number[], values: readonly number[]): Scale {
  const lowest = Math.floor(Math.log10(Math.max(0.001, Math.min(...values))))
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...values))))
  const widest = Math.log2(Math.max(2, ...contenders))
  return {
    ticks: Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index)),
    x: (count) => round(margin.left + 12 + (Math.log2(count) / widest) * (plot.width - 24)),
    y: (value) =>
      round(margin.top + plot.height * (1 - (Math.log10(Math.max(10 ** lowest, value)) - lowest) / (highest - lowest))),
  }
}

function grid(contenders: readonly number[], { ticks, x, y }: Scale): string {
  const bottom = margin.top + plot.height
  const horizontal = ticks.map(
    (tick) =>
      `<line x1="${margin.left}" x2="${margin.left + plot.width}" y1="${y(tick)}" y2="${y(tick)}" stroke="#8884"/>` +
      `<text x="${margin.left - 6}" y="${y(tick) + 4}" text-anchor="end">${label(tick)}</text>`,
  )
  const marks = contenders.map(
    (count) => `<text x="${x(count)}" y="${bottom + 16}" text-anchor="middle">${count}</text>`,
  )
  const axis = `<text x="${margin.left + plot.width / 2}" y="${height - 6}" text-anchor="middle">contenders for one resource</text>`
  return [...horizontal, ...marks, axis].join('')
}

function line(
  points: readonly LockSeries[],
  name: string,
  of: (one: LockSeries) => number | null,
  { x, y }: Scale,
): string {
  const color = colorOf(name)
  let penIsUp = true
  const path = points.map((point) => {
    const value = of(point)
    const step = value === null ? '' : `${penIsUp ? 'M' : 'L'}${x(point.contenders)} ${y(value)}`
    penIsUp = value === null
    return step
  })
  const dots = points.map((point) => {
    const value = of(point)
    if (value === null) return ''
    return `<circle cx="${x(point.contenders)}" cy="${y(value)}" r="3.5" fill="${color}"><title>${describeStrategy(name)}, ${point.contenders}: ${label(value)}</title></circle>`
  })
  return `<path d="${path.join('')}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round"/>${dots.join('')}`
}

function label(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 })
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}
