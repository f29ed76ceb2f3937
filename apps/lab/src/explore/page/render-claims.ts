import { escapeHtml } from '../../report-html.ts'
import { type ExploreReport, layerNames, type ReportedClaim } from '../explore-report.ts'
import type { PageData } from './page-data.ts'
import { describeBroken, renderFigure, renderPair, wordsOf } from './page-figures.ts'
import { count, type Row, renderRows } from './page-rows.ts'

/** One row per layer. A row opens, and then shows the schedule that breaks something without the layer. */
export function renderClaims({ claims, redisLock }: ExploreReport, data: PageData): string {
  const rows = layerNames.flatMap((layer): Row[] => {
    const own = claims.filter((claim) => claim.layer === layer)
    return own.length === 0
      ? [
          {
            cells: [
              [layer, 'layer'],
              ['not measured', 'soft'],
            ],
          },
        ]
      : own.map((one) => rowOf(one, data))
  })
  const saved = redisLock
    ? `<p>The Redis lock saves work: ${count(redisLock.messagesWithout)} messages to PostgreSQL and the gateway per schedule without it, ${count(redisLock.messagesWith)} with it.</p>`
    : ''
  return `<h2>What each layer prevents</h2>
<p>Layers overlap on purpose. Each row takes away the layers that would stop the same fault, and then one more. Open a row to see the shortest schedule that breaks something without that layer, and how the layer stops it.</p>
<p class="legend"><span>${dot('itself')} the layer itself</span><span>${dot('on')} on beside it</span><span>${dot('off')} off</span></p>
${renderRows('claims', ['layer', 'prevents', 'layers', 'without it', 'with it'], rows)}
${saved}`
}

function rowOf(claim: ReportedClaim, data: PageData): Row {
  const given = claim.given.filter((name) => name !== claim.layer)
  const beside = given.length === 0 ? 'No other layer is on.' : `On beside it: ${given.join(', ')}.`
  const dots = layerNames.map((name) => dot(name === claim.layer ? 'itself' : given.includes(name) ? 'on' : 'off'))
  const refuted = claim.measured === 'not as claimed' ? ' <b class="bad">Not as claimed.</b>' : ''
  const about = `${escapeHtml(wordsOf(claim.workload))} ${beside} All other layers are off.`
  return {
    cells: [
      [claim.layer, 'layer'],
      [`${escapeHtml(claim.prevents)}${refuted}<span class="beside"> ${beside}</span>`],
      [`<span class="dots" aria-hidden="true">${dots.join('')}</span>`],
      [escapeHtml(describeWithout(claim)), claim.without ? 'bad' : ''],
      describeWith(claim),
    ],
    opened: `<p class="soft">${about}</p>\n${figuresOf(claim, data)}`,
  }
}

function dot(kind: 'itself' | 'on' | 'off'): string {
  return `<i class="dot ${kind}"></i>`
}

function describeWithout({ measured, without, schedulesWithout }: ReportedClaim): string {
  if (without) return describeBroken(without)
  if (!schedulesWithout) return 'not measured'
  const nothing = `nothing broke in ${count(schedulesWithout)} schedules`
  return measured === null ? `not measured: ${nothing}, and there are more` : nothing
}

function describeWith({ measured, schedulesWith, violationsWith }: ReportedClaim): [string, string] {
  if (!schedulesWith || violationsWith === null) return ['not measured', 'soft']
  const found = `${count(violationsWith)} violations in ${count(schedulesWith)} schedules`
  if (violationsWith > 0) return [found, 'bad']
  return measured === null ? [`not measured: ${found}, and there are more`, 'soft'] : [found, 'good']
}

/** A layer can end a program early. Then the last deviations of the schedule have no place. */
function figuresOf({ layer, without, with: withLayer }: ReportedClaim, data: PageData): string {
  const title = `Without the layer “${layer}”`
  if (!without)
    return withLayer ? renderFigure('With the layer', withLayer, data) : '<p>There is no schedule to show.</p>'
  if (!withLayer)
    return `${renderFigure(title, without, data)}\n<p class="soft">With the layer, this schedule was not measured.</p>`
  const isWhole = withLayer.schedule.deviations.length === without.schedule.deviations.length
  const beside = `The same schedule with the layer${isWhole ? '' : ', as far as it has a place there'}`
  return renderPair([title, without], [beside, withLayer], data)
}
