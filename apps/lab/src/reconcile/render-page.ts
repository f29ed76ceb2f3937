import type { ReconciliationReport, ReportedFinding } from '@seatbelt/worker'

import { escapeHtml, list } from '../report-html.ts'
import { formatMoney } from './format-money.ts'

/**
 * The report as one HTML file that needs nothing else, for the person who answers for the money: no script, no font, no
 * network.
 */
export function renderPage(report: ReconciliationReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seatbelt reconciliation: ${report.verdict}</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>The gateway and our books</h1>
<p class="verdict ${report.verdict}">${escapeHtml(headline(report))}</p>
${list(report.reasons)}
${compared(report)}
${inMoney(report)}
${findings(report)}
<footer>${footer(report)}</footer>
</main>
</body>
</html>
`
}

function headline(report: ReconciliationReport): string {
  const { verdict, compared: read, standing, findingsInAll, findings: found } = report
  if (verdict === 'unknown') return 'Not known: it was not read to the end.'
  if (findingsInAll === 0 && read?.judged === 0) return 'Nothing was old enough to be judged.'
  if (findingsInAll === 0) return 'Nothing differs.'
  if (standing === 0) return `Nothing differs any more: ${count(findingsInAll, 'difference')} put right.`
  const forPerson = found.filter(
    ({ stands, action, outcome }) => stands && (action === 'person' || outcome === 'person'),
  )
  return `${count(standing, 'difference')} ${standing === 1 ? 'stands' : 'stand'}${forPerson.length > 0 ? `, ${forPerson.length} of them for a person to decide` : ''}.`
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}

function compared({ run, compared: read }: ReconciliationReport): string {
  if (!run || !read) return ''
  const rows = [
    ['charges', read.gatewayCharges, read.ourPayments],
    ['refunds', read.gatewayRefunds, read.ourRefunds],
  ].map(
    ([what = '', gateway = 0, ours = 0]) =>
      `<tr><th scope="row">${what}</th><td>${gateway.toLocaleString('en')}</td><td>${ours.toLocaleString('en')}</td></tr>`,
  )
  const left =
    read.leftOpen === 0
      ? ''
      : `<p>${read.leftOpen.toLocaleString('en')} of them could not be judged yet, because somebody is still at work on the order: see the next report.</p>`
  return `<h2>What was compared</h2>
<p>${escapeHtml(time(run.from))} to ${escapeHtml(time(run.to))}. ${run.mode === 'act' ? 'What a program may put right was put right.' : 'Nothing was changed: this run only reports.'} What is younger than ${read.judgedAfterMinutes} minutes was not judged.</p>
<table><thead><tr><td></td><th>listed by the gateway</th><th>in our books</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>
<p class="note">The figures need not be equal: the gateway’s charges include declined tries and holds, and what lies at the edge of the time is asked for one by one. Refunds are read 35 days further back, because a bank may send one back so late.</p>
${left}`
}

interface Sum {
  readonly title: string
  readonly currency: string
  readonly differences: number
  readonly differenceMinor: number
  readonly standingMinor: number
}

function inMoney(report: ReconciliationReport): string {
  if (report.findings.length === 0) return ''
  const rows = sums(report.findings).map(
    ({ title, currency, differences, differenceMinor, standingMinor }) =>
      `<tr><th scope="row">${escapeHtml(title)}</th><td>${differences.toLocaleString('en')}</td><td>${money(differenceMinor, currency)}</td><td class="${standingMinor > 0 ? 'invalid' : 'valid'}">${money(standingMinor, currency)}</td></tr>`,
  )
  return `<h2>In money</h2>
<table><thead><tr><td></td><th>differences</th><th>amount</th><th>still stands</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

/** By kind and currency; amounts of two currencies are never added. */
function sums(found: readonly ReportedFinding[]): Sum[] {
  const byKind = new Map<string, Sum>()
  for (const finding of found) {
    const { title, currency, stands } = finding
    const differenceMinor = differenceOf(finding)
    const { differences, ...before } = byKind.get(`${title} ${currency}`) ?? {
      ...{ differences: 0, differenceMinor: 0, standingMinor: 0 },
    }
    byKind.set(`${title} ${currency}`, {
      ...{ title, currency, differences: differences + 1 },
      differenceMinor: before.differenceMinor + differenceMinor,
      standingMinor: before.standingMinor + (stands ? differenceMinor : 0),
    })
  }
  return [...byKind.values()].toSorted((left, right) => right.standingMinor - left.standingMinor)
}

function differenceOf({ gatewayMinor, booksMinor }: ReportedFinding): number {
  return Math.abs(gatewayMinor - booksMinor)
}

function findings({ findings: found, findingsInAll }: ReconciliationReport): string {
  const rest = findingsInAll - found.length
  const more = rest > 0 ? `<p>... and ${rest.toLocaleString('en')} more, in the table reconciliation_findings.</p>` : ''
  return (
    section(
      'What stands',
      found.filter(({ stands }) => stands),
    ) +
    section(
      'What was put right',
      found.filter(({ stands }) => !stands),
    ) +
    more
  )
}

function section(title: string, found: readonly ReportedFinding[]): string {
  if (found.length === 0) return ''
  return `<h2>${escapeHtml(title)}</h2>\n${found.map(card).join('\n')}`
}

function card(finding: ReportedFinding): string {
  const { title, meaning, gatewayMinor, booksMinor, currency, done, toDo, detail, stands } = finding
  return `<article class="${stands ? 'stands' : 'settled'}">
<h3>${escapeHtml(title)} <span class="amount">${money(differenceOf(finding), currency)}</span></h3>
<p>${escapeHtml(meaning)}${detail === null ? '' : ` <em>${escapeHtml(detail)}.</em>`}</p>
<dl>
<dt>the gateway</dt><dd>${money(gatewayMinor, currency)}</dd>
<dt>our books</dt><dd>${money(booksMinor, currency)}</dd>
<dt>done</dt><dd>${escapeHtml(done)}</dd>
${toDo === null ? '' : `<dt>to do</dt><dd><strong>${escapeHtml(toDo)}</strong></dd>`}
<dt>about</dt><dd class="ids">${about(finding)}</dd>
</dl>
</article>`
}

function about({ ids, gatewayIds }: ReportedFinding): string {
  const ours = Object.entries(ids)
  const theirs = Object.entries(gatewayIds).map(([name, id]) => [`gateway’s ${name}`, id] as const)
  return [...ours, ...theirs]
    .flatMap(([name, id]) => (id === null ? [] : [`${escapeHtml(name)} <code>${escapeHtml(id)}</code>`]))
    .join('<br>')
}

function money(minor: number, currency: string): string {
  return escapeHtml(formatMoney(minor, currency))
}

function time(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}

function footer({ startedAt, durationSeconds, run }: ReconciliationReport): string {
  const id = run === null ? '' : ` Run <code>${escapeHtml(run.id)}</code>.`
  return `${escapeHtml(time(startedAt))}, ${durationSeconds} s.${id}`
}

const styles = `
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --open: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #ff7b72; --open: #d29922; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
.verdict { font-size: 1.2rem; font-weight: 600; border-left: .4rem solid; padding: .5rem 1rem; }
.valid { color: var(--good); } .invalid { color: var(--bad); } .unknown { color: var(--open); }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right; vertical-align: top; }
tbody th { text-align: left; font-weight: 400; }
td { font-variant-numeric: tabular-nums; }
.note, footer { color: #888; font-size: .9rem; }
article { border: 1px solid var(--line); border-left: .4rem solid var(--bad); border-radius: .3rem; padding: .3rem 1rem .6rem; margin: 1rem 0; break-inside: avoid; }
article.settled { border-left-color: var(--good); }
h3 { display: flex; justify-content: space-between; gap: 1rem; margin: .5rem 0; }
.amount { font-variant-numeric: tabular-nums; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0; }
dt { color: #888; } dd { margin: 0; font-variant-numeric: tabular-nums; }
.ids { font-size: .85rem; overflow-wrap: anywhere; }
footer { margin-top: 2rem; }
`
