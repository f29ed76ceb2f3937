import { escapeHtml } from '../../report-html.ts'
import type { ExploredRow, ExploreReport, MeasuredMutant } from '../explore-report.ts'

const numbers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

export function count(value: number | null): string {
  return value === null ? 'not measured' : numbers.format(value)
}

export function renderFigures(report: ExploreReport): string {
  const { claims, mutants } = report
  const figures = {
    schedules: count(report.schedules),
    'schedules per second': count(report.schedulesPerSecond),
    'violations with all layers on': count(report.violations),
    'claims measured as claimed': ofAll(
      claims.filter(({ measured }) => measured === 'as claimed').length,
      claims.length,
    ),
    'mutants found': ofAll(mutants.filter(({ found }) => found).length, mutants.length),
  }
  const entries = Object.entries(figures).map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`)
  return `<dl class="figures">${entries.join('')}</dl>`
}

function ofAll(some: number, all: number): string {
  return all === 0 ? count(null) : `${some} of ${all}`
}

export function renderMutants(mutants: readonly MeasuredMutant[]): string {
  const rows = mutants.map(({ name, change, found, schedules }) => [
    text(name),
    `<td><code>${escapeHtml(change)}</code></td>`,
    `<td class="${found ? 'good' : 'bad'}">${found ? 'found' : 'not found'}</td>`,
    number(schedules),
  ])
  return `<h2>Mutants</h2>
<p>Each mutant weakens one statement or index on purpose. The explorer is only worth something if it finds them.</p>
${table(['mutant', 'change', 'result', 'schedules until then'], rows, 1)}`
}

export function renderExplored(layers: readonly ExploredRow[]): string {
  const rows = layers.map(({ off, fault, workload, schedules, bound, violations }) => [
    text(off.length === 0 ? 'none' : off.join(', ')),
    text(fault),
    text(workload),
    number(schedules),
    number(bound),
    number(violations),
  ])
  return `<h2>What was explored</h2>
${table(['layers off', 'fault', 'workload', 'schedules run', 'within the bounds', 'violations'], rows, 3)}`
}

/** Its last columns are numbers. */
function table(heads: readonly string[], rows: readonly (readonly string[])[], numberColumns: number): string {
  if (rows.length === 0) return '<p class="soft">not measured</p>'
  const head = heads
    .map((name, at) => `<th scope="col"${at < heads.length - numberColumns ? '' : ' class="number"'}>${name}</th>`)
    .join('')
  const body = rows.map((cells) => `<tr>${cells.join('')}</tr>`).join('\n')
  return `<div class="card wide"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`
}

function text(value: string): string {
  return `<td>${escapeHtml(value)}</td>`
}

function number(value: number | null): string {
  return `<td class="number">${count(value)}</td>`
}
