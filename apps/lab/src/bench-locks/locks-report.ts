import type { Verdict } from '../auditor/invariant.ts'

/** `.seatbelt/reports/locks.json`. Fields are added, never renamed. A figure that was not measured is null, never 0. */
export interface LocksReport {
  readonly verdict: Verdict
  /** Why the verdict is not `valid`; empty where it is. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  /** A quick run only shows that the benchmark works. */
  readonly quick: boolean
  readonly machine: Machine
  readonly ratios: readonly Ratio[]
  readonly series: readonly LockSeries[]
  /** What is worth knowing beside the ratios, by name. */
  readonly facts: Readonly<Record<string, number | null>>
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryMb: number
  readonly system: string
  readonly node: string
  readonly postgres: string | null
  readonly redis: string | null
  /** Of one minute, before the first measurement: what else the machine was doing. */
  readonly loadBefore: number
}

export interface Ratio {
  readonly name: string
  readonly what: string
  readonly value: number | null
  /** Null: shown for comparison. */
  readonly goal: number | null
  readonly goalIs: 'at least' | 'at most'
  /** Null: there is no goal, or nothing was measured. */
  readonly holds: boolean | null
}

/** One strategy under one contention with one amount of work. */
export interface LockSeries {
  readonly strategy: string
  readonly contenders: number
  readonly resources: number
  readonly workMs: number
  readonly rounds: number
  /** How many times the work was done under the lock and its result kept. */
  readonly brackets: number
  readonly throughputPerSecond: number | null
  /** From asking to having given back. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
  readonly retriesPerBracket: number | null
  /** Of all times the work was done, how many were thrown away. */
  readonly wastedWorkShare: number | null
  /** Brackets that ended without the lock, after ten seconds or all their tries. */
  readonly gaveUp: number
  /** PostgreSQL connections that nobody else could use meanwhile. */
  readonly pinnedConnections: { readonly mean: number | null; readonly peak: number }
}

export function createRatio(
  { name, what, goal, goalIs = 'at least' }: Omit<Ratio, 'value' | 'holds' | 'goalIs'> & Partial<Pick<Ratio, 'goalIs'>>,
  value: number | null,
): Ratio {
  return { name, what, value, goal, goalIs, holds: judge(value, goal, goalIs) }
}

function judge(value: number | null, goal: number | null, goalIs: Ratio['goalIs']): boolean | null {
  if (value === null || goal === null) return null
  return goalIs === 'at least' ? value >= goal : value <= goal
}

/** Valid only if every goal was measured and is held. */
export function judgeReport(
  ratios: readonly Ratio[],
  { quick, brokenOffBecause }: { readonly quick: boolean; readonly brokenOffBecause: string | null },
): Pick<LocksReport, 'verdict' | 'reasons'> {
  const missed = ratios.filter(({ holds }) => holds === false)
  const unmeasured = ratios.filter(({ goal, value }) => goal !== null && value === null)
  const reasons = [
    ...(brokenOffBecause === null ? [] : [brokenOffBecause]),
    ...(quick ? ['a quick run is too short for any figure: it only shows that the benchmark works'] : []),
    ...missed.map(({ what, value, goal, goalIs }) => `${what}: ${value}, and ${goalIs} ${goal} is the goal`),
    ...(quick ? [] : unmeasured).map(({ what }) => `${what}: not measured`),
  ]
  if (reasons.length === 0) return { verdict: 'valid', reasons }
  return { verdict: missed.length > 0 ? 'invalid' : 'unknown', reasons }
}
