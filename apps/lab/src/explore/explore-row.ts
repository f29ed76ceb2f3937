import type { Execution } from '@seatbelt/explore'
import { boundsOf, type RowTask, randomPart } from './explore-plan.ts'
import { withoutTrace } from './find-violation.ts'
import { type KnownViolation, knownViolationIn } from './known-violations.ts'
import { type ItemResult, runItem, type Servers } from './run-item.ts'

export interface RowResult extends Pick<ItemResult, 'isComplete' | 'uncertain' | 'unchecked'> {
  /** With the row's fault, so that no schedule is in two rows. */
  readonly schedules: number
  /** Also those without it, which the exploration runs to find the places for a fault. */
  readonly executed: number
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
  const known = new Map<KnownViolation, KnownFinding>()
  const isKnown = (execution: Execution) => {
    const violation = knownViolationIn(workload, execution)
    if (violation === null) return false
    const { what, mendedBy } = violation
    if (!known.has(violation)) known.set(violation, { what, mendedBy, execution: withoutTrace(execution) })
    return true
  }
  const item = {
    workload,
    off,
    bounds: boundsOf(workload, fault),
    ...(fault === 'random' ? { random: randomPart } : { faults: fault === 'none' ? [] : [fault] }),
    ...(limit !== null && { limit }),
  }
  const result = await runItem(item, servers, signal, isKnown)
  const { schedules: executed, faultFree, violating, shortest, isComplete, uncertain, unchecked } = result
  return {
    schedules: fault === 'none' || fault === 'random' ? executed : executed - faultFree,
    executed,
    ...{ isComplete, uncertain, unchecked },
    violations: violating,
    shortest: shortest && withoutTrace(shortest),
    known: [...known.values()],
  }
}
