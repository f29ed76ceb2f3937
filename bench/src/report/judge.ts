import type { Ratio } from '@seatbelt/lab/bench-locks/locks-report.ts'
import type { SystemName } from '../systems/systems.ts'
import type { BenchReport, Failure } from './bench-report.ts'
import { goals } from './ratios.ts'
import { titleOf } from './titles.ts'

interface Circumstances {
  readonly only: SystemName | null
  readonly brokenOffBecause: string | null
  readonly failures: readonly Failure[]
}

/** Valid only if every answer was right, and every goal that the run could measure was measured and holds. */
export function judge(
  ratios: readonly Ratio[],
  { only, brokenOffBecause, failures }: Circumstances,
): Pick<BenchReport, 'verdict' | 'reasons'> {
  const expected = goals.filter(({ needs }) => only === null || needs.every((name) => name === only))
  const isExpected = ({ name }: Ratio) => expected.some((goal) => goal.name === name)
  const missed = ratios.filter(({ holds }) => holds === false)
  const unmeasured = ratios.filter((ratio) => ratio.value === null && isExpected(ratio))
  const reasons = [
    ...(brokenOffBecause === null ? [] : [brokenOffBecause]),
    ...failures.map(
      ({ system, operation, inFlight, round, message }) =>
        `${titleOf(system)}, ${operation}, ${inFlight} in flight, round ${round} has no figures: ${message}`,
    ),
    ...(expected.length === 0 ? [`there is no goal for ${only} alone`] : []),
    ...missed.map(({ what, value, goal, goalIs }) => `${what}: ${value}, and the goal is ${goalIs} ${goal}`),
    ...unmeasured.map(({ what }) => `${what}: not measured`),
  ]
  if (reasons.length === 0) return { verdict: 'valid', reasons }
  return { verdict: missed.length > 0 || failures.length > 0 ? 'invalid' : 'unknown', reasons }
}
