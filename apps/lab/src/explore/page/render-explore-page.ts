import { escapeHtml, list } from '../../report-html.ts'
import type { ExploreReport } from '../explore-report.ts'
import { diagramScript } from './diagram-script.ts'
import { gameScript } from './game-script.ts'
import { PageData } from './page-data.ts'
import { renderFigure } from './page-figures.ts'
import { count, renderExplored, renderFigures, renderMutants, renderRows } from './page-rows.ts'
import { styles } from './page-styles.ts'
import { renderClaims } from './render-claims.ts'

/** The report as one HTML file that needs no network. Without JavaScript, its figures and tables remain. */
export function renderExplorePage(report: ExploreReport): string {
  const data = new PageData()
  for (const game of report.games) data.addGame(game)
  const body = renderBody(report, data)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seatbelt explorer: ${report.verdict}</title>
<style>${styles}</style>
</head>
<body>
<main>
${body}
</main>
<script type="application/json" id="data">${data.toJson()}</script>
<script>${diagramScript}${gameScript}</script>
</body>
</html>
`
}

function renderBody(report: ExploreReport, data: PageData): string {
  const explored = renderExplored(report.layers, data)
  // A violation that no layer prevents is what a reader must see first.
  const isBroken = report.layers.some(({ shortest }) => shortest !== null)
  return `<h1>Which layer prevents what</h1>
<p>Seatbelt is a payment backend that never charges a customer twice, whatever runs at the same time and whatever fails. This page shows why: the explorer ran its real operations against a real PostgreSQL and Redis and a simulated payment gateway, in every order of their messages within bounds, and took layers of defense away until something broke.</p>
<p><span class="verdict ${report.verdict}">${report.verdict.toUpperCase()}</span> ${verdicts[report.verdict]}</p>
${renderFigures(report)}
<div class="reasons">${list(report.reasons)}</div>
${isBroken ? explored : ''}
${renderClaims(report, data)}
${renderGame(report)}
${renderMutants(report.mutants, data)}
${isBroken ? '' : explored}
${renderKnown(report, data)}
<h2>How to read this page</h2>
${list(notes)}
<footer>${escapeHtml(report.startedAt)}, ${count(Math.round(report.durationSeconds))} s.</footer>`
}

const verdicts: Readonly<Record<ExploreReport['verdict'], string>> = {
  valid: 'Each claim below was measured, and nothing broke with all layers on.',
  invalid: 'Something broke that must not, or a claim was measured otherwise.',
  unknown: 'What ran is as claimed, but not everything within the bounds has run.',
}

function renderKnown({ known }: ExploreReport, data: PageData): string {
  if (known.length === 0) return ''
  const rows = known.map(({ what, mendedBy, execution }) => ({
    cells: [[escapeHtml(what)] as const, [escapeHtml(mendedBy)] as const],
    opened: execution ? renderFigure('The shortest schedule', execution, data) : undefined,
  }))
  return `<h2>Known violations</h2>
<p>They happen with all layers on, and are not counted above. Another issue mends each.</p>
${renderRows('known', ['what breaks', 'mended by'], rows)}`
}

function renderGame({ games }: ExploreReport): string {
  const heading = '<h2>Be the scheduler</h2>'
  if (games.length === 0) return `${heading}\n<p class="soft">No game was recorded: not measured.</p>`
  return `${heading}
<p>Two programs do the same work at the same time, with some layers of defense off. You choose which one goes on at each step. Try to charge the customer twice.</p>
<p class="soft">Every step and answer was recorded from the real system. Only schedules with few switches were recorded, so some choices are missing. A switch interrupts a program that could go on; a program that ends or waits for a lock hands over without one.</p>
<noscript><p>The game needs JavaScript.</p></noscript>
<div id="game"><div class="side"><div class="panel"></div><p role="status"></p></div><figure></figure></div>`
}

const notes = [
  'In a diagram, a thick bar waits for a lock, a cross is a fault, a broken return is a lost answer, and a gap in a line sleeps. Red is money taken again, or an error. A tinted step has no equal one beside it.',
  'A schedule is one order in which the messages of all programs reach PostgreSQL, Redis and the gateway. A step is one message with its answer.',
  '“recovery” is the worker that finishes what another program left. “retry” is a client that asks once more at the end.',
  'PostgreSQL answers with the kind of statement and the number of rows: “UPDATE 0” changed nothing. #1, #2 and so on stand for ids.',
  '“All schedules” means: every order with at most two switches when nothing fails, and every order with at most one switch and one fault.',
  'A switch interrupts a program that could go on. Handing over at the end of a program or at a lock is free.',
  'A fault is one of: a program dies before or after its message arrives, an answer is lost, a program sleeps past its lease, Redis forgets everything, a wait for a lock times out.',
  'After a fault, recovery runs, and then the client asks again. The auditor judges what PostgreSQL and the gateway have recorded. I1 to I12 are its invariants.',
  'The page does not show what needs three switches, two faults at once or more programs than a workload has. It does not show races inside a server, and its gateway is a simulator.',
  'The same schedule can have other steps with a layer on: the layer sends messages as well, or ends a program early.',
]
