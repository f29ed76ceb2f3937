import type { Execution } from '@seatbelt/explore'
import { escapeHtml } from '../../report-html.ts'
import { type LayerName, layerNames, type MeasuredClaim } from '../explore-report.ts'
import type { PageData } from './page-data.ts'
import { count } from './page-tables.ts'
import { stepsToSecondCharge } from './shown-steps.ts'

/** One row per layer. A row opens, and then shows the schedule that breaks something without the layer. */
export function renderClaims(claims: readonly MeasuredClaim[], data: PageData): string {
  const rows = layerNames.flatMap((layer) => {
    const own = claims.filter((claim) => claim.layer === layer)
    return own.length === 0 ? [renderUnmeasured(layer)] : own.map((claim) => renderClaim(claim, data))
  })
  const names = layerNames.map((name) => `<i>${name}</i>`).join('')
  const without = 'the shortest schedule without it'
  return `<h2>What each layer prevents</h2>
<p>Each row takes most layers away, and then one more. Open a row to see the shortest schedule that breaks something without that layer, and how the layer stops it.</p>
<p class="legend"><span>${dot('itself')} the layer itself</span><span>${dot('on')} on beside it</span><span>${dot('off')} off</span></p>
<div class="claims card">
<div class="heading row" aria-hidden="true"><span class="layer">layer</span><span>prevents</span><span class="dots">${names}</span><span>${without}</span><span>with it</span></div>
${rows.join('\n')}
</div>
<p class="legend"><span>In the diagrams:</span><span>a thick bar waits for a lock</span><span class="bad">✕ is a fault</span><span>a broken return is a lost answer</span><span>a gap sleeps past its lease</span><span class="bad">red is money taken again, or an error</span></p>`
}

function renderClaim(claim: MeasuredClaim, data: PageData): string {
  const { layer, workload } = claim
  const given = claim.given.filter((name) => name !== layer)
  const beside = given.length === 0 ? 'No other layer is on.' : `On beside it: ${given.join(', ')}.`
  const dots = layerNames.map((name) => dot(name === layer ? 'itself' : given.includes(name) ? 'on' : 'off')).join('')
  const isAsClaimed = claim.measured === 'as claimed'
  return `<details class="claim"><summary class="row">
<span class="layer">${layer}</span>
<span>${escapeHtml(claim.prevents)}${isAsClaimed ? '' : ' <b class="bad">Not as claimed.</b>'}<span class="beside"> ${beside}</span></span>
<span class="dots" aria-hidden="true">${dots}</span>
<span class="${claim.without ? 'bad' : ''}">${escapeHtml(describeWithout(claim))}</span>
<span class="${claim.violationsWith > 0 ? 'bad' : 'good'}">${describeWith(claim)}</span>
</summary>
<p class="soft">Workload: ${escapeHtml(workload)}. ${beside} All other layers are off.</p>
<div class="pair">${renderFigure(`Without the layer “${layer}”`, claim.without, data)}
${renderFigure('The same schedule with the layer', claim.with, data)}</div></details>`
}

function renderUnmeasured(layer: LayerName): string {
  return `<div class="row"><span class="layer">${layer}</span><span class="soft">not measured</span></div>`
}

function dot(kind: 'itself' | 'on' | 'off'): string {
  return `<i class="dot ${kind}"></i>`
}

function describeWithout({ without, schedulesWithout }: MeasuredClaim): string {
  if (without) return describeBroken(without)
  return schedulesWithout === 0 ? 'not measured' : `nothing broke in ${count(schedulesWithout)} schedules`
}

function describeWith({ schedulesWith, violationsWith }: MeasuredClaim): string {
  return schedulesWith === 0
    ? 'not measured'
    : `${count(violationsWith)} violations in ${count(schedulesWith)} schedules`
}

export function describeBroken({ steps, violations }: Execution): string {
  const second = stepsToSecondCharge(steps)
  if (second !== null) return `charged twice after ${second} steps`
  const [what = 'no violation'] = violations
  const short = what.length > longestInCell ? `${what.slice(0, longestInCell)} …` : what
  return `${short} (${steps.length} steps)`
}

/** The opened row has the whole text. */
const longestInCell = 80

/** The page's script draws the diagram when a reader opens what the figure is in. */
export function renderFigure(title: string, execution: Execution | null, data: PageData): string {
  const caption = `<figcaption>${escapeHtml(title)}</figcaption>`
  if (!execution) return `<figure>${caption}<p>No schedule was recorded here.</p></figure>`
  return `<figure data-execution="${data.addExecution(execution)}">${caption}<noscript>The diagram needs JavaScript.</noscript></figure>`
}
