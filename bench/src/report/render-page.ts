import { goalText, holdsWord, precise } from '@seatbelt/lab/bench-locks/render-summary.ts'
import { escapeHtml, list } from '@seatbelt/lab/report-html.ts'
import { systemNames, systems } from '../systems/systems.ts'
import type { BenchReport } from './bench-report.ts'
import { renderCharts } from './page-charts.ts'
import { styles } from './page-styles.ts'
import { renderFigures, renderFiles, renderProfiles } from './page-tables.ts'

/** The report as one HTML file that needs nothing else: no script, no font, no network. */
export function renderPage(report: BenchReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seatbelt bench: ${report.verdict}</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>What a safe payment costs</h1>
<p>Seatbelt never charges twice. This page compares its speed with programs that pay for the same orders, on the same PostgreSQL, Redis and payment gateway.</p>
<p><span class="verdict ${report.verdict}">${report.verdict.toUpperCase()}</span> <span class="soft">${describeVerdict(report)}</span></p>
${renderGoals(report)}
${renderCompared(report)}
${renderCharts(report)}
${renderProfiles(report)}
${renderFiles(report)}
${renderFigures(report)}
<h2>How it was measured</h2>
${list(report.notes)}
${renderFooter(report)}
</main>
</body>
</html>
`
}

function describeVerdict({ reasons, ratios }: BenchReport): string {
  const held = ratios.filter(({ holds }) => holds === true).length
  const others = reasons.filter((reason) => !reason.includes('the goal is')).map(firstLine)
  return escapeHtml([`${held} of ${ratios.length} goals hold`, ...others].join('; '))
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

function renderGoals({ ratios }: BenchReport): string {
  const rows = ratios.map(
    (ratio) =>
      `<tr><td class="text ${holdsWord(ratio)}">${holdsWord(ratio)}</td><td class="text wrap">${escapeHtml(ratio.what)}</td><td>${precise(ratio.value)}</td><td>${escapeHtml(goalText(ratio))}</td></tr>`,
  )
  return `<h2>The goals</h2>
<p class="soft">Ratios compare two systems within one round and are the median of the rounds. "0.6" means 60 % of the other system's figure.</p>
<div class="card wide"><table><thead><tr><th></th><th class="text">Seatbelt, one replica</th><th>measured</th><th>goal</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}

function renderCompared({ series }: BenchReport): string {
  const shown = systemNames.filter((name) => series.some(({ system }) => system === name))
  const entries = shown.map(
    (name) => `<div><dt>${escapeHtml(systems[name].title)}</dt><dd>${escapeHtml(systems[name].explains)}</dd></div>`,
  )
  return `<h2>What is compared</h2><dl class="cards compared">${entries.join('\n')}</dl>`
}

function renderFooter({ startedAt, durationSeconds, quick, machine }: BenchReport): string {
  const { cpu, cores, memoryMb, system, node, postgres, redis, loadBefore } = machine
  const versions = `Node ${node}, PostgreSQL ${postgres ?? '-'} (fsync on), Redis ${redis ?? '-'}`
  const hardware = `${cores} × ${cpu}, ${Math.round(memoryMb / 1024)} GB, ${system}, load ${loadBefore} before`
  const kind = quick ? 'a quick run of' : 'a full run of'
  return `<footer>${escapeHtml(`${startedAt}, ${kind} ${Math.round(durationSeconds)} s. ${hardware}. ${versions}.`)}</footer>`
}
