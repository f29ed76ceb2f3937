import { type Execution, type Explored, type Schedule, Stuck } from '@seatbelt/explore'

/** Enough: where the replays of so many violations differ, the engine has lost control. */
export const mostCandidates = 5

export interface Confirmed {
  /** The first violation whose replay violates too. */
  readonly shortest: Execution | null
  /** The violations before it, which do not count. */
  readonly unconfirmed: Explored['uncertain']
}

/** Replays violations, those with the fewest deviations first, until a replay is the same execution. */
export async function confirmFirst(
  found: readonly Execution[],
  replay: (schedule: Schedule) => Promise<Execution>,
): Promise<Confirmed> {
  const unconfirmed: Explored['uncertain'][number][] = []
  for (const execution of found) {
    const why = await whyUncertain(execution, replay)
    if (why === null) return { shortest: execution, unconfirmed }
    unconfirmed.push({ schedule: execution.schedule, why })
  }
  return { shortest: null, unconfirmed }
}

async function whyUncertain(
  { schedule, violations, hash }: Execution,
  replay: (schedule: Schedule) => Promise<Execution>,
): Promise<string | null> {
  try {
    const again = await replay(schedule)
    if (again.hash === hash) return null
    const then = again.violations.length === 0 ? 'nothing' : again.violations.join('; ')
    return `it violated ${violations.join('; ')}, and its replay ${then}`
  } catch (fault) {
    if (!(fault instanceof Stuck)) throw fault
    return fault.message
  }
}
