import type { Execution, Explored, FaultKind } from '@seatbelt/explore'
import { boundsOf } from './explore-plan.ts'
import { type Item, runItem, type Servers } from './run-item.ts'

export interface FoundViolation extends Pick<Explored, 'schedules' | 'uncertain'> {
  /** The one with the fewest deviations. Null: there is none within the bounds. */
  readonly shortest: Execution | null
  /** Whether a violation was found, or every schedule was run. */
  readonly isCertain: boolean
}

/**
 * Searches without faults first: those schedules are few, and their violations are easier to read. With a `fault`, the
 * schedules with this kind alone are searched.
 */
export async function findViolation(
  { fault, ...item }: Pick<Item, 'workload' | 'off' | 'mutant'> & { readonly fault?: FaultKind | undefined },
  servers: Servers,
  signal: AbortSignal,
): Promise<FoundViolation> {
  const { workload } = item
  if (fault) {
    const only = { ...item, bounds: boundsOf(workload, fault), faults: [fault], stopsAtFirst: true }
    return foundIn([await runItem(only, servers, signal)])
  }
  const plain = await runItem({ ...item, bounds: boundsOf(workload, 'none'), stopsAtFirst: true }, servers, signal)
  if (plain.shortest || signal.aborted) return foundIn([plain])
  const faulty = await runItem({ ...item, bounds: boundsOf(workload, 'any'), stopsAtFirst: true }, servers, signal)
  return foundIn([plain, faulty])
}

function foundIn(runs: readonly Explored[]): FoundViolation {
  const shortest = runs.find((run) => run.shortest !== null)?.shortest ?? null
  return {
    schedules: runs.reduce((sum, run) => sum + run.schedules, 0),
    uncertain: runs.flatMap((run) => run.uncertain),
    shortest: shortest && withoutTrace(shortest),
    isCertain: shortest !== null || runs.every((run) => run.isComplete),
  }
}

/** The engine's traces also have the choices at each step, which no report needs. */
export function withoutTrace({ schedule, actors, steps, endings, violations, hash }: Execution): Execution {
  return { schedule, actors, steps, endings, violations, hash }
}
