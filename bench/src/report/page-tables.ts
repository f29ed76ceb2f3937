import { precise } from '@seatbelt/lab/bench-locks/render-summary.ts'
import { escapeHtml, list } from '@seatbelt/lab/report-html.ts'
import type { BenchReport, Profile, Series } from './bench-report.ts'
import { operationTitles, titleOf } from './titles.ts'

export function renderProfiles({ profiles, ratios }: BenchReport): string {
  if (profiles.length === 0) return ''
  const titles = new Map(ratios.map(({ name, what }) => [name, what]))
  return `<h2>Where the time goes</h2>
<p class="soft">Each operation that missed a goal ran once more under V8's profiler. Shares of the busy CPU time of the API process; native code counts for the package that called it.</p>
<div class="cards">${profiles.map((profile) => renderProfile(profile, titles)).join('\n')}</div>`
}

function renderProfile(
  { operation, because, packages, functions }: Profile,
  titles: ReadonlyMap<string, string>,
): string {
  const rows = (shares: Profile['packages']) =>
    shares
      .map(
        ({ name, share }) =>
          `<tr><td>${(100 * share).toFixed(1)} %</td><td class="text wrap">${escapeHtml(name)}</td></tr>`,
      )
      .join('')
  return `<section class="card"><h3>${operationTitles[operation]}</h3>
<p class="soft">Missed: ${escapeHtml(because.map((name) => titles.get(name) ?? name).join('; '))}</p>
<table><tbody>${rows(packages)}</tbody></table>
<details><summary>Functions</summary><table><tbody>${rows(functions)}</tbody></table></details></section>`
}

export function renderFiles({ filesPerPayment }: BenchReport): string {
  if (filesPerPayment === null) return ''
  const { files, filesOfHttpAndLocks } = filesPerPayment
  return `<h2>Files of one first payment</h2>
<p>${files.length} own files have a function that one first payment calls, and ${filesOfHttpAndLocks.length} more in packages/http and packages/locks.</p>
<details><summary>Which</summary>${list([...files, ...filesOfHttpAndLocks])}</details>`
}

/** Every series, and every run of it. */
export function renderFigures({ series }: BenchReport): string {
  return `<h2>All figures</h2>
<details><summary>${series.length} series</summary>
<div class="card wide"><table><thead><tr><th class="text">operation</th><th class="text">system</th><th>in flight</th><th>a second</th><th>p50 ms</th><th>p99 ms</th><th>CPU ms: API</th><th>PostgreSQL</th><th>Redis</th><th>simulator</th><th>client</th><th class="text">a second, run by run</th></tr></thead><tbody>${series.map(figureRow).join('\n')}</tbody></table></div></details>`
}

function figureRow(one: Series): string {
  const { api, postgres, redis, simulator, client } = one.cpuMsPerRequest
  const isGateway = one.system === 'gateway'
  const cells = [
    one.inFlight,
    ...[one.throughputPerSecond, one.p50Ms, one.p99Ms, isGateway ? null : api, postgres, redis, simulator, client].map(
      precise,
    ),
  ]
  const runs = one.runs.map(({ throughputPerSecond }) => precise(throughputPerSecond)).join(' · ')
  return `<tr><td class="text">${operationTitles[one.operation]}</td><td class="text">${escapeHtml(titleOf(one.system))}</td>${cells.map((cell) => `<td>${cell}</td>`).join('')}<td class="text">${runs}</td></tr>`
}
