import { figure } from '../demo/render-table.ts'
import type { LocksReport, Ratio } from './locks-report.ts'

/** The goals, for the terminal; the rest is on the page. */
export function renderSummary({ verdict, reasons, ratios, durationSeconds }: LocksReport): string {
  return [
    '',
    ...ratios.map(
      (ratio) =>
        `  ${holdsWord(ratio).padEnd(8)}${precise(ratio.value).padStart(9)}  ${goalText(ratio).padEnd(18)}${ratio.what}`,
    ),
    '',
    `${verdict.toUpperCase()}, after ${figure(durationSeconds)} s`,
    ...reasons.map((reason) => `  - ${reason}`),
    '',
  ].join('\n')
}

export function holdsWord({ holds, goal }: Ratio): string {
  if (holds !== null) return holds ? 'holds' : 'missed'
  return goal === null ? '' : 'unknown'
}

export function goalText({ goal, goalIs }: Ratio): string {
  return goal === null ? '' : `(${goalIs} ${goal.toLocaleString('en-US')})`
}

/** A figure that was not measured is a dash, never a zero. Four digits, so that 0.8997 does not look as if it were 0.9. */
export function precise(value: number | null): string {
  return value === null ? '-' : value.toLocaleString('en-US', { maximumSignificantDigits: 4 })
}
