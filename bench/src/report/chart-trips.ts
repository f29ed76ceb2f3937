import { escapeHtml } from '@seatbelt/lab/report-html.ts'
import type { RoundTrips } from './bench-report.ts'
import {
  barHeight,
  barsWidth,
  frame,
  kindOf,
  labelWidth,
  round,
  rowLabel,
  rowTop,
  rowValue,
  valueWidth,
} from './chart-parts.ts'
import { titleOf } from './titles.ts'

const largestStep = 13

/** One square for each round trip. Pointing at it shows what it carried. */
export function renderTrips(counted: readonly RoundTrips[], title: string): string {
  const longest = Math.max(1, ...counted.map(({ postgres, redis }) => postgres + redis))
  const step = Math.min(largestStep, (barsWidth + valueWidth - 56) / longest)
  const rows = counted.map((one, index) => {
    const squares = one.trips.map(({ to, carried }, at) => {
      const x = round(labelWidth + at * step)
      const text = `${to}: ${carried.join('; ')}`
      return `<rect class="trip-${to}" x="${x}" y="${rowTop(index)}" width="${round(step - 1.5)}" height="${barHeight}" rx="1.5"><title>${escapeHtml(text)}</title></rect>`
    })
    return [
      rowLabel(titleOf(one.system), index, kindOf(one.system)),
      ...squares,
      rowValue(`${one.postgres} + ${one.redis}`, labelWidth + one.trips.length * step - 3, index),
    ].join('')
  })
  return frame(title, counted.length, rows.join(''))
}
