import { type Execution, explore } from '@seatbelt/explore'
import { boundsOf, type RowTask } from './explore-plan.ts'
import { withoutTrace } from './find-violation.ts'
import { type KnownViolation, knownViolationIn } from './known-violations.ts'
import { openSurroundings } from './open-surroundings.ts'
import type { ItemResult, Servers } from './run-item.ts'
import { expectedChecks, scenarios } from './scenarios.ts'

export interface RowResult extends Pick<ItemResult, 'schedules' | 'isComplete' | 'uncertain' | 'unchecked'> {
  /** Without the known ones. */
  readonly violations: number
  readonly shortest: Execution | null
  readonly known: readonly KnownFinding[]
}

export interface KnownFinding extends Pick<KnownViolation, 'what' | 'mendedBy'> {
  readonly execution: Execution
}

/** Explores one row of the report. Known violations are kept apart: each with the first schedule that shows it. */
export async function exploreRow(task: RowTask, servers: Servers, signal: AbortSignal): Promise<RowResult> {
  const { workload, off, fault, limit } = task
  const surroundings = await openSurroundings({ ...servers, off })
  const found = new RowViolations(task)
  try {
    const { schedules, isComplete, uncertain } = await explore({
      scenario: scenarios[workload](surroundings),
      servers: surroundings.servers,
      bounds: boundsOf(workload, fault),
      faults: fault === 'none' ? [] : [fault],
      onExecution: (execution) => found.add(execution),
      signal,
      ...(limit !== null && { limit }),
    })
    const unchecked = surroundings.judge.unchecked(expectedChecks[workload])
    return { schedules, isComplete, uncertain, unchecked, ...found.result() }
  } finally {
    await surroundings.close()
  }
}

class RowViolations {
  readonly #task: RowTask
  readonly #known = new Map<KnownViolation, KnownFinding>()
  #violations = 0
  #shortest: Execution | null = null

  constructor(task: RowTask) {
    this.#task = task
  }

  add(execution: Execution): void {
    if (execution.violations.length === 0) return
    const known = knownViolationIn(this.#task.workload, execution)
    if (known === null) {
      this.#violations += 1
      this.#shortest ??= withoutTrace(execution)
    } else if (!this.#known.has(known)) {
      const { what, mendedBy } = known
      this.#known.set(known, { what, mendedBy, execution: withoutTrace(execution) })
    }
  }

  result(): Pick<RowResult, 'violations' | 'shortest' | 'known'> {
    return { violations: this.#violations, shortest: this.#shortest, known: [...this.#known.values()] }
  }
}
