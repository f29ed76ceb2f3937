import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { figure } from '../demo/render-table.ts'
import type { LockSeries, LocksReport } from './locks-report.ts'
import { precise } from './render-summary.ts'

const document = 'docs/choosing-a-lock.md'

/** Writes this report's figures into the marked places of docs/choosing-a-lock.md. Returns what to say of it. */
export function fillDocument(root: string, report: LocksReport): string {
  const path = join(root, document)
  const { text, unknown } = fillFigures(readFileSync(path, 'utf8'), report)
  writeFileSync(path, text)
  const left = unknown.length === 0 ? '' : `; left as they were, because there is no such figure: ${unknown.join(', ')}`
  return `Filled: ${document}${left}`
}

const place = /<!-- measured: (\S+) -->(.*?)<!-- \/measured -->/g

/** Replaces what stands in the marked places. A place whose name is no figure of this report stays as it is. */
export function fillFigures(text: string, report: LocksReport): { text: string; unknown: string[] } {
  const unknown: string[] = []
  const filled = text.replace(place, (whole, name: string) => {
    const value = findFigure(report, name)
    if (value === undefined) unknown.push(name)
    return value === undefined ? whole : `<!-- measured: ${name} -->${value}<!-- /measured -->`
  })
  return { text: filled, unknown }
}

/** The names of all marked places. */
export function placesIn(text: string): string[] {
  return [...text.matchAll(place)].flatMap(([, name]) => name ?? [])
}

/**
 * `ratio.NAME`, `percent.NAME` (a ratio in percent), `fact.NAME`, `machine.NAME`, `date`, or `STRATEGY.CONTENDERS.WORK_MS.FIELD`, where CONTENDERS is `many`
 * for the thousand resources and FIELD one of `series`, or `pinned` for the mean of the pinned connections, or `wastedPercent`.
 */
export function findFigure(report: LocksReport, name: string): string | undefined {
  const [kind = '', rest = '', workMs, field] = name.split('.')
  if (name === 'date') return report.startedAt.slice(0, 10)
  if (kind === 'machine') return textOf(new Map(Object.entries(report.machine)).get(rest))
  if (kind === 'fact') return rest in report.facts ? figure(report.facts[rest] ?? null) : undefined
  if (kind === 'ratio' || kind === 'percent') {
    const ratio = report.ratios.find((candidate) => candidate.name === rest)
    if (ratio === undefined) return undefined
    return kind === 'percent' ? percent(ratio.value) : precise(ratio.value)
  }
  const series = report.series.find(
    (candidate) =>
      candidate.strategy === kind &&
      (rest === 'many'
        ? candidate.resources > 1
        : candidate.resources === 1 && candidate.contenders === Number(rest)) &&
      candidate.workMs === Number(workMs),
  )
  return series === undefined ? undefined : fieldOf(series, field ?? '')
}

function fieldOf(series: LockSeries, field: string): string | undefined {
  if (field === 'pinned') return figure(series.pinnedConnections.mean)
  if (field === 'wastedPercent') return percent(series.wastedWorkShare)
  const value = new Map<string, unknown>(Object.entries(series)).get(field)
  return typeof value === 'number' || value === null ? figure(value) : undefined
}

function textOf(value: string | number | null | undefined): string | undefined {
  return value === undefined ? undefined : String(value ?? '-')
}

function percent(value: number | null): string {
  return value === null ? '-' : `${figure(value * 100)} %`
}
