import { escapeHtml } from '../../report-html.ts'
import { type ExploredRow, type ExploreReport, layerNames, type MeasuredMutant } from '../explore-report.ts'
import type { PageData } from './page-data.ts'
import { describeBroken, renderFigure } from './page-figures.ts'

const numbers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

export function count(value: number | null): string {
  return value === null ? 'not measured' : numbers.format(value)
}

export function renderFigures({ claims, mutants, ...report }: ExploreReport): string {
  const measured = claims.filter((claim) => claim.measured !== null)
  const figures = {
    schedules: count(report.schedules),
    'schedules per second': count(report.schedulesPerSecond),
    'violations with all layers on': count(report.violations),
    'claims measured as claimed': ofAll(measured, (claim) => claim.measured === 'as claimed'),
    'mutants found': ofAll(mutants, ({ found }) => found),
  }
  const entries = Object.entries(figures).map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`)
  return `<dl class="figures">${entries.join('')}</dl>`
}

function ofAll<One>(all: readonly One[], isCounted: (one: One) => boolean): string {
  return all.length === 0 ? count(null) : `${all.filter(isCounted).length} of ${all.length}`
}

/** A row that has something to open is a disclosure. */
export interface Row {
  readonly cells: readonly (readonly [html: string, kind?: string])[]
  readonly opened?: string | undefined
}

/** On a narrow screen, each cell has the name of its column before it. */
export function renderRows(kind: string, heads: readonly string[], rows: readonly Row[]): string {
  if (rows.length === 0) return '<p class="soft">not measured</p>'
  const body = rows.map(({ cells, opened }) => {
    const spans = cells.map(([html, kind = ''], at) => `<span class="${kind}" data-head="${heads[at]}">${html}</span>`)
    const row = (tag: string) => `<${tag} class="row">${spans.join('')}</${tag}>`
    return opened === undefined ? row('div') : `<details>${row('summary')}${opened}</details>`
  })
  const heading = heads.map((name) => `<span>${name === 'layers' ? layerHeads : name}</span>`)
  return `<div class="rows ${kind} card">
<div class="heading row" aria-hidden="true">${heading.join('')}</div>
${body.join('\n')}
</div>`
}

const layerHeads = `<span class="dots">${layerNames.map((name) => `<i>${name}</i>`).join('')}</span>`

export function renderMutants(mutants: readonly MeasuredMutant[], data: PageData): string {
  const rows = mutants.map(({ name, change, found, schedules, shortest }): Row => {
    const result = found ? (['found', 'good'] as const) : (['not found', 'bad'] as const)
    const broken = shortest ? describeBroken(shortest) : 'nothing broke'
    return {
      cells: [
        [escapeHtml(name)],
        [`<code>${escapeHtml(change)}</code>`],
        result,
        [escapeHtml(broken)],
        number(schedules),
      ],
      opened: shortest ? renderFigure('The shortest schedule that finds the mutant', shortest, data) : undefined,
    }
  })
  return `<h2>Mutants</h2>
<p>Each mutant weakens one statement or index on purpose. The explorer is only worth something if it finds them. Open one to see the schedule that does.</p>
${renderRows('mutants', ['mutant', 'change', 'result', 'what breaks', 'schedules until then'], rows)}`
}

export function renderExplored(layers: readonly ExploredRow[], data: PageData): string {
  const rows = layers.map(({ off, fault, workload, schedules, bound, violations, shortest }): Row => {
    const broken = number(violations, violations > 0 ? 'bad' : '')
    const names = [workload, fault, off.length === 0 ? 'none' : off.join(', ')].map(
      (name) => [escapeHtml(name)] as const,
    )
    return {
      cells: [...names, number(schedules), bound === null ? ['not counted', 'number'] : number(bound), broken],
      opened: shortest ? renderFigure(describeBroken(shortest), shortest, data) : undefined,
    }
  })
  return `<h2>What was explored</h2>
<p>Every layer is on, or all but the Redis lock: nothing must break. A row in which something breaks can be opened.</p>
${renderRows('explored', ['workload', 'fault', 'layers off', 'schedules run', 'within the bounds', 'violations'], rows)}`
}

function number(value: number | null, kind = ''): [string, string] {
  return [count(value), `number ${kind}`]
}
