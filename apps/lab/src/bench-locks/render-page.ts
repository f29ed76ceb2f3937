import { figure } from '../demo/render-table.ts'
import { escapeHtml, list } from '../report-html.ts'
import type { LockSeries, LocksReport } from './locks-report.ts'
import { renderContentionChart } from './render-contention-chart.ts'
import { goalText, holdsWord, precise } from './render-summary.ts'
import { colorOf, describeStrategy } from './strategy-names.ts'

/** The report as one HTML file that needs nothing else: no script, no font, no network. */
export function renderPage(report: LocksReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seatbelt locks: ${report.verdict}</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>What a lock costs</h1>
<p class="verdict ${report.verdict}">${report.verdict.toUpperCase()}</p>
${list(report.reasons)}
<h2>The goals</h2>
${goals(report)}
<h2>One resource, more and more contenders</h2>
<p>Both axes are logarithmic. A bracket is: ask, wait, work, give back. Optimistic and "transaction lock, and the write" also read and write a row and wait for the disk at their commit; the others are the lock alone.</p>
${legend(report)}
${worksOf(report)
  .map((workMs) => chartsOf(report, workMs))
  .join('\n')}
<h2>All figures</h2>
${worksOf(report)
  .map((workMs) => tableOf(report, workMs))
  .join('\n')}
<h2>Beside them</h2>
${facts(report)}
<footer>${escapeHtml(report.startedAt)}, ${figure(report.durationSeconds)} s. ${machine(report)}</footer>
</main>
</body>
</html>
`
}

function goals({ ratios }: LocksReport): string {
  const rows = ratios.map(
    (ratio) =>
      `<tr><th scope="row">${escapeHtml(ratio.what)}</th><td>${precise(ratio.value)}</td><td>${escapeHtml(goalText(ratio))}</td><td class="${holdsWord(ratio)}">${holdsWord(ratio)}</td></tr>`,
  )
  return `<div class="wide"><table><thead><tr><td></td><th>measured</th><th>goal</th><th></th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}

function worksOf({ series }: LocksReport): number[] {
  return [...new Set(series.map(({ workMs }) => workMs))]
}

function chartsOf({ series }: LocksReport, workMs: number): string {
  const shown = series.filter((one) => one.resources === 1 && one.workMs === workMs)
  const chart = (title: string, of: (one: LockSeries) => number | null) =>
    `<figure><figcaption>${title}</figcaption>${renderContentionChart(shown, title, of)}</figure>`
  return `<h3>${workMs} ms of work under the lock</h3><div class="charts">
${chart('brackets a second', ({ throughputPerSecond }) => throughputPerSecond)}
${chart('p99 in ms (or the longest of too few)', ({ p99Ms, maxMs }) => p99Ms ?? maxMs)}
</div>`
}

function legend({ series }: LocksReport): string {
  const names = [...new Set(series.map(({ strategy }) => strategy))]
  return `<p class="legend">${names.map((name) => `<span><i style="background:${colorOf(name)}"></i>${escapeHtml(describeStrategy(name))}</span>`).join(' ')}</p>`
}

function tableOf({ series }: LocksReport, workMs: number): string {
  const rows = series
    .filter((one) => one.workMs === workMs)
    .map((one, index, all) => {
      const isFirst = all[index - 1]?.contenders !== one.contenders || all[index - 1]?.resources !== one.resources
      const contention = `${one.contenders} for ${one.resources.toLocaleString('en-US')}`
      const cells = [
        ...[one.throughputPerSecond, one.p50Ms, one.p99Ms, one.maxMs, one.retriesPerBracket].map(figure),
        one.wastedWorkShare === null ? '-' : `${figure(one.wastedWorkShare * 100)} %`,
        figure(one.gaveUp),
        `${figure(one.pinnedConnections.mean)} / ${one.pinnedConnections.peak}`,
      ]
      return `<tr${isFirst ? ' class="first"' : ''}><th scope="row">${isFirst ? contention : ''}</th><td class="text">${escapeHtml(describeStrategy(one.strategy))}</td>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
    })
  return `<h3>${workMs} ms of work under the lock</h3><div class="wide"><table><thead><tr><th class="text">contenders for resources</th><th class="text">strategy</th><th>brackets a second</th><th>p50 ms</th><th>p99 ms</th><th>longest ms</th><th>retries</th><th>wasted work</th><th>gave up</th><th>connections pinned, mean / peak</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}

function facts(report: LocksReport): string {
  const rows = Object.entries(report.facts).map(
    ([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${figure(value)}</td></tr>`,
  )
  return `<table><tbody>${rows.join('\n')}</tbody></table>`
}

function machine({
  machine: { cpu, cores, memoryMb, system, node, postgres, redis, loadBefore },
}: LocksReport): string {
  return escapeHtml(
    `${cores} × ${cpu}, ${figure(memoryMb)} MB, ${system}, load ${loadBefore} before; Node ${node}, PostgreSQL ${postgres ?? '-'} (fsync on), Redis ${redis ?? '-'}; servers and benchmark share the machine`,
  )
}

const styles = `
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --open: #9a6700; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
.verdict { font-size: 1.2rem; font-weight: 600; border-left: .4rem solid; padding: .5rem 1rem; }
.valid, .holds { color: var(--good); } .invalid, .missed { color: var(--bad); } .unknown { color: var(--open); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { padding: .25rem .6rem; text-align: right; vertical-align: top; }
thead th { vertical-align: bottom; }
tr.first, thead { border-top: 1px solid var(--line); }
tbody th, .text { text-align: left; font-weight: 400; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; }
svg { width: 100%; height: auto; }
.legend { position: sticky; top: 0; background: Canvas; padding: .4rem 0; margin: 0; font-size: .9rem; z-index: 1; }
.legend span { margin-right: 1rem; white-space: nowrap; } .legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; }
footer { color: #888; margin-top: 2rem; font-size: .9rem; }
`
