import type { Series } from './bench-report.ts'
import {
  bar,
  barHeight,
  barsWidth,
  frame,
  kindOf,
  labelWidth,
  round,
  rowHeight,
  rowLabel,
  rowTop,
  rowValue,
  short,
} from './chart-parts.ts'
import { titleOf } from './titles.ts'

/** A bar up to the median and a whisker up to the 99th percentile. `referenceMs` is drawn through all rows. */
export function renderLatency(series: readonly Series[], title: string, referenceMs: number | null): string {
  const all = series.flatMap(({ p50Ms, p99Ms }) => [p50Ms ?? 0, p99Ms ?? 0])
  const scale = barsWidth / Math.max(1, referenceMs ?? 0, ...all)
  const rows = series.map((one, index) => {
    const [p50, p99] = [one.p50Ms ?? 0, one.p99Ms]
    const name = titleOf(one.system)
    const end = labelWidth + (p99 ?? p50) * scale
    return [
      rowLabel(name, index, kindOf(one.system)),
      bar({
        x: labelWidth,
        width: p50 * scale,
        index,
        className: kindOf(one.system),
        title: `${name}: median ${short(one.p50Ms)} ms, p99 ${short(p99)} ms`,
      }),
      p99 === null ? '' : whisker(labelWidth + p50 * scale, end, index),
      rowValue(p99 === null ? `${short(one.p50Ms)} ms` : `${short(one.p50Ms)} · ${short(p99)} ms`, end, index),
    ].join('')
  })
  const reference = referenceMs === null ? '' : line(labelWidth + referenceMs * scale, series.length)
  return frame(title, series.length, rows.join('') + reference)
}

function whisker(from: number, to: number, index: number): string {
  const y = rowTop(index) + barHeight / 2
  const top = rowTop(index) + 3
  const bottom = rowTop(index) + barHeight - 3
  return `<path class="whisker" d="M${round(from)} ${y}H${round(to)}M${round(to)} ${top}V${bottom}"/>`
}

function line(x: number, rowCount: number): string {
  return `<path class="reference" d="M${round(x)} 0V${rowCount * rowHeight}"/>`
}
