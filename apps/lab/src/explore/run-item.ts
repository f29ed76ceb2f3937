import {
  type Bounds,
  type Execution,
  type Explored,
  explore,
  type FaultKind,
  type RandomPart,
  replay,
  type Schedule,
} from '@seatbelt/explore'
import { faultIn } from './explore-plan.ts'
import type { LayerName } from './explore-report.ts'
import type { CheckedId } from './judge.ts'
import type { MutantName } from './mutants.ts'
import { openSurroundings } from './open-surroundings.ts'
import { expectedChecks, type ScenarioName, scenarios } from './scenarios.ts'
import type { StatementRewriter } from './statement-rewriter.ts'

/** One exploration: a workload, with these layers off. Plain data, so that another process can run it. */
export interface Item {
  readonly workload: ScenarioName
  readonly off: readonly LayerName[]
  readonly mutant?: MutantName
  readonly bounds: Bounds
  readonly faults?: readonly FaultKind[]
  readonly random?: RandomPart
  readonly limit?: number
  /** Ends with the first violation. */
  readonly stopsAtFirst?: boolean
  /** Returns all executions, for a game. */
  readonly isRecorded?: boolean
}

export interface ItemResult extends Explored {
  /** Of `schedules`, those without a fault. Explorations with different faults have them in common. */
  readonly faultFree: number
  readonly executions: readonly Execution[]
  /** Invariants that had nothing to look at: that they were kept says nothing. */
  readonly unchecked: readonly CheckedId[]
}

export interface Servers {
  readonly maintenanceUrl: string
  /** With the number of a database that nothing else uses. */
  readonly redisUrl: string
}

/** Violations that `isKnown` neither count nor stop the exploration. */
export async function runItem(
  item: Item,
  servers: Servers,
  signal?: AbortSignal,
  isKnown: (violating: Execution) => boolean = () => false,
): Promise<ItemResult> {
  const { workload, off, mutant, stopsAtFirst = false, isRecorded = false, ...options } = item
  const surroundings = await openSurroundings({ ...servers, off, mutant })
  const stage = { scenario: scenarios[workload](surroundings), servers: surroundings.servers }
  const executions: Execution[] = []
  let faultFree = 0
  try {
    const explored = await explore({
      ...options,
      ...stage,
      isKnown,
      onExecution: (execution, stop) => {
        if (isRecorded) executions.push(execution)
        if (faultIn(execution) === 'none') faultFree += 1
        if (execution.violations.length === 0 || isKnown(execution)) return
        if (stopsAtFirst) stop()
      },
      ...(signal && { signal }),
    })
    if (explored.isComplete || explored.shortest) assertChanged(surroundings.rewriter)
    const unchecked = surroundings.judge.unchecked(expectedChecks[workload])
    return { ...explored, faultFree, executions, unchecked }
  } finally {
    await surroundings.close()
  }
}

/** A layer that is still on, or a mutant that is not there, would be taken for one that makes no difference. */
function assertChanged({ faults, unused }: StatementRewriter): void {
  const reasons = [...faults, ...unused.map((name) => `the text of "${name}" is in no statement that was sent`)]
  if (reasons.length > 0) throw new Error(reasons.join('\n'))
}

/** Runs one schedule with other layers on or off. */
export async function runAgain(
  { workload, off, mutant }: Pick<Item, 'workload' | 'off' | 'mutant'>,
  schedule: Schedule,
  servers: Servers,
): Promise<Execution> {
  const surroundings = await openSurroundings({ ...servers, off, mutant })
  try {
    return await replay({ scenario: scenarios[workload](surroundings), servers: surroundings.servers }, schedule)
  } finally {
    await surroundings.close()
  }
}
