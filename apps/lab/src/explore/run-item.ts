import {
  type Bounds,
  type Execution,
  type Explored,
  explore,
  type FaultKind,
  replay,
  type Schedule,
} from '@seatbelt/explore'
import type { LayerName } from './explore-report.ts'
import type { MutantName } from './mutants.ts'
import type { CheckedId } from './judge.ts'
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
  readonly limit?: number
  /** Ends with the first violation. */
  readonly stopsAtFirst?: boolean
  /** Returns all executions, for a game. */
  readonly isRecorded?: boolean
}

export interface ItemResult extends Explored {
  readonly executions: readonly Execution[]
  /** Invariants that had nothing to look at: that they were kept says nothing. */
  readonly unchecked: readonly CheckedId[]
}

export interface Servers {
  readonly maintenanceUrl: string
  /** With the number of a database that nothing else uses. */
  readonly redisUrl: string
}

export async function runItem(item: Item, servers: Servers, signal?: AbortSignal): Promise<ItemResult> {
  const { workload, off, mutant, stopsAtFirst = false, isRecorded = false, ...options } = item
  const surroundings = await openSurroundings({ ...servers, off, mutant })
  const executions: Execution[] = []
  try {
    const explored = await explore({
      ...options,
      scenario: scenarios[workload](surroundings),
      servers: surroundings.servers,
      onExecution: (execution, stop) => {
        if (isRecorded) executions.push(execution)
        if (stopsAtFirst && execution.violations.length > 0) stop()
      },
      ...(signal && { signal }),
    })
    if (explored.isComplete || explored.violating > 0) assertChanged(surroundings.rewriter)
    return { ...explored, executions, unchecked: surroundings.judge.unchecked(expectedChecks[workload]) }
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
