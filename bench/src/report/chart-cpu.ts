import type { CpuMs } from '../load/slice.ts'
import type { Series } from './bench-report.ts'
import { bar, barsWidth, frame, kindOf, labelWidth, rowLabel, rowValue, short } from './chart-parts.ts'
import { titleOf } from './titles.ts'

/** From the process that is compared to the ones that all systems share. */
export const cpuParts = [
  { name: 'api', title: 'API process' },
  { name: 'postgres', title: 'PostgreSQL' },
  { name: 'redis', title: 'Redis' },
  { name: 'simulator', title: 'Gateway simulator' },
] as const satisfies readonly { name: keyof CpuMs; title: string }[]

/** CPU time of one request, stacked by process. */
export function renderCpu(series: readonly Series[], title: string): string {
  const total = ({ cpuMsPerRequest }: Series) =>
    cpuParts.reduce((sum, { name }) => sum + (cpuMsPerRequest[name] ?? 0), 0)
  const scale = barsWidth / Math.max(0.001, ...series.map(total))
  const rows = series.map((one, index) => {
    let x = labelWidth
    const stacked = cpuParts.map((part) => {
      const ms = one.cpuMsPerRequest[part.name]
      if (ms === null || ms === 0) return ''
      const drawn = bar({
        x,
        width: ms * scale,
        index,
        className: `cpu-${part.name}`,
        title: `${titleOf(one.system)}, ${part.title}: ${short(ms)} ms`,
      })
      x += ms * scale
      return drawn
    })
    const value = `${short(one.cpuMsPerRequest.api)} of ${short(total(one))} ms`
    return [rowLabel(titleOf(one.system), index, kindOf(one.system)), ...stacked, rowValue(value, x, index)].join('')
  })
  return frame(title, series.length, rows.join(''))
}
