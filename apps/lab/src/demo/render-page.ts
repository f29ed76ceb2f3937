import { escapeHtml, list } from '../report-html.ts'
import type { DemoReport } from './demo-report.ts'
import { renderLatencyChart } from './render-latency-chart.ts'
import { figure, rowsOf, verdictLines } from './render-table.ts'

/** The report as one HTML file that needs nothing else: no script, no font, no network. */
export function renderPage(report: DemoReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seatbelt demo: ${report.verdict}</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>Seatbelt demo</h1>
<p class="verdict ${report.verdict}">${escapeHtml(verdictLines[report.verdict])}</p>
${list(report.reasons)}
${comparison(report)}
<h2>What was done to it</h2>
${injections(report)}
<h2>How the answers to payments came</h2>
${renderLatencyChart(report.latency, kills(report))}
<h2>What was checked</h2>
${invariants('With the layers on', report.invariants)}
${invariants('With the layers off', report.controlInvariants)}
<h2>Speed and memory</h2>
${speed(report)}
${memory(report)}
<footer>${escapeHtml(report.startedAt)}, ${figure(report.durationSeconds)} s. ${versions(report)}</footer>
</main>
</body>
</html>
`
}

function comparison(report: DemoReport): string {
  const rows = rowsOf(report).map(
    ({ what, layersOn, layersOff }) =>
      `<tr><th scope="row">${escapeHtml(what)}</th><td>${figure(layersOn)}</td><td>${figure(layersOff)}</td></tr>`,
  )
  return `<table><thead><tr><td></td><th>layers on</th><th>layers off</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

function injections({ injections: all }: DemoReport): string {
  return list(
    all.map(
      ({ at, what, firings }) =>
        `${at === null ? 'all the time' : `at ${at.slice(11, 19)} UTC`}: ${figure(firings)} × ${what}`,
    ),
  )
}

function kills({ injections: all }: DemoReport): { atMs: number; untilMs: number }[] {
  return all.flatMap(({ at, until }) =>
    at === null || until === null ? [] : [{ atMs: Date.parse(at), untilMs: Date.parse(until) }],
  )
}

function invariants(title: string, reports: DemoReport['invariants']): string {
  const rows = reports.map(
    ({ id, claim, verdict, checked, violations, examples }) =>
      `<tr><th scope="row">${id}</th><td class="text">${escapeHtml(claim)}${list(examples.slice(0, 3).map(({ subject, what }) => `${subject}: ${what}`))}</td>
<td class="${verdict}">${verdict}</td><td>${figure(checked)}</td><td>${figure(violations)}</td></tr>`,
  )
  return `<h3>${escapeHtml(title)}</h3><table><thead><tr><td></td><th class="text">invariant</th><th>verdict</th><th>checked</th><th>violations</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

function speed({ timings }: DemoReport): string {
  const rows: [string, number | null][] = [
    ['orders a second', timings.ordersPerSecond],
    ['requests to pay a second', timings.requestsPerSecond],
    ['first payment, p50 in ms', timings.firstPayment.p50Ms],
    ['first payment, p99 in ms', timings.firstPayment.p99Ms],
    ['replay, p50 in ms', timings.replay.p50Ms],
    ['replay, p99 in ms', timings.replay.p99Ms],
    ['seats and places sold a second', timings.seatsPerSecond],
    ['hold, p50 in ms', timings.hold.p50Ms],
    ['hold, p99 in ms', timings.hold.p99Ms],
    ['checkout, p50 in ms', timings.checkout.p50Ms],
    ['checkout, p99 in ms', timings.checkout.p99Ms],
  ]
  return figures(rows)
}

function memory(report: DemoReport): string {
  return figures(report.memory.map(({ process, peakMb }) => [`${process}, peak in MB`, peakMb]))
}

function figures(rows: readonly (readonly [string, number | null])[]): string {
  const lines = rows.map(
    ([what, value]) => `<tr><th scope="row">${escapeHtml(what)}</th><td>${figure(value)}</td></tr>`,
  )
  return `<table><tbody>${lines.join('\n')}</tbody></table>`
}

function versions(report: DemoReport): string {
  return escapeHtml(
    Object.entries(report.versions)
      .map(([name, version]) => `${name} ${version ?? '-'}`)
      .join(', '),
  )
}

const styles = `
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --open: #9a6700; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
.verdict { font-size: 1.2rem; font-weight: 600; border-left: .4rem solid; padding: .5rem 1rem; }
.valid { color: var(--good); } .invalid { color: var(--bad); } .unknown { color: var(--open); }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right; vertical-align: top; }
tbody th, .text, .text ul { text-align: left; font-weight: 400; }
td { font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; }
.text ul { font-size: .85rem; margin: .2rem 0; word-break: break-all; }
footer { color: #888; margin-top: 2rem; font-size: .9rem; }
`
