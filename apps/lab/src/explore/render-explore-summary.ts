import type { ExploreRunReport, MeasuredClaim } from './explore-report.ts'

/** The claims and the verdict, for the terminal. The rest is on the page. */
export function renderExploreSummary(report: ExploreRunReport): string {
  const { verdict, reasons, claims, mutants, schedules, schedulesPerSecond, violations, redisLock, known } = report
  const found = mutants.filter((mutant) => mutant.found).length
  const rate = schedulesPerSecond === null ? '' : `, ${schedulesPerSecond} a second`
  return [
    '',
    line('layer', 'workload', 'without it', 'with it', ''),
    ...claims.map(claimLine),
    '',
    `  ${schedules.toLocaleString('en-US')} schedules${rate}; violations with all layers on: ${violations}`,
    `  mutants found: ${found} of ${mutants.length}; known violations: ${known.length}`,
    ...(redisLock === null ? [] : [savedWork(redisLock)]),
    '',
    `${verdict.toUpperCase()}, after ${report.durationSeconds} s`,
    ...reasons.map((reason) => `  - ${reason}`),
    '',
  ].join('\n')
}

function claimLine(claim: MeasuredClaim): string {
  const { layer, workload, without, schedulesWithout, schedulesWith, violationsWith, measured } = claim
  const off = without === null ? `none in ${schedulesWithout}` : `found after ${schedulesWithout}`
  const on = `${violationsWith === 0 ? 'none' : violationsWith} in ${schedulesWith}`
  return line(layer, workload, off, on, measured)
}

function line(layer: string, workload: string, off: string, on: string, measured: string): string {
  return `  ${layer.padEnd(19)}${workload.padEnd(29)}${off.padEnd(19)}${on.padEnd(15)}${measured}`.trimEnd()
}

function savedWork({ messagesWithout, messagesWith }: NonNullable<ExploreRunReport['redisLock']>): string {
  const [without, withLock] = [messagesWithout, messagesWith].map((mean) => mean.toFixed(1))
  return `  messages to PostgreSQL and the gateway: ${without} without the Redis lock, ${withLock} with it`
}
