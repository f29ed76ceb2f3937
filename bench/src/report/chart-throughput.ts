import type { Series } from './bench-report.ts'
import {
  bar,
  barHeight,
  barsWidth,
  frame,
  kindOf,
  labelWidth,
  round,
  rowLabel,
  rowTop,
  rowValue,
  short,
} from './chart-parts.ts'
import { titleOf } from './titles.ts'

/** One bar per system up to the median, and a dot for each run: the spread of the dots is the noise. */
export function renderThroughput(series: readonly Series[], title: string): string {
  const all = series.flatMap(({ runs, throughputPerSecond }) => [
    throughputPerSecond ?? 0,
    ...runs.map((run) => run.throughputPerSecond),
  ])
  const scale = barsWidth / Math.max(1, ...all)
  const rows = series.map((one, index) => {
    const median = one.throughputPerSecond ?? 0
    const dots = one.runs.map(({ throughputPerSecond, round: number }) => {
      const x = round(labelWidth + throughputPerSecond * scale)
      const text = `round ${number}: ${short(throughputPerSecond)} a second`
      return `<circle class="run" cx="${x}" cy="${rowTop(index) + barHeight / 2}" r="2.4"><title>${text}</title></circle>`
    })
    const most = Math.max(median, ...one.runs.map((run) => run.throughputPerSecond))
    const name = titleOf(one.system)
    return [
      rowLabel(name, index, kindOf(one.system)),
      bar({
        x: labelWidth,
        width: median * scale,
        index,
        className: kindOf(one.system),
        title: `${name}: ${short(median)} a second`,
      }),
      ...dots,
      rowValue(`${short(one.throughputPerSecond)}/s`, labelWidth + most * scale, index),
    ].join('')
  })
  return frame(title, series.length, rows.join(''))
}
