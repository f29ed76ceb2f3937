import type { Execution } from '@seatbelt/explore'
import type { ScenarioName } from './scenarios.ts'

/** A violation with all layers on that a later issue mends. It does not count until then. */
export interface KnownViolation {
  readonly what: string
  /** Such as "issue 17". */
  readonly mendedBy: string
  readonly workload: ScenarioName
  /** Matches the judge's text. */
  readonly violation: RegExp
}

export const knownViolations: readonly KnownViolation[] = []

/** Null unless each violation of the execution is known: a known one must not hide a new one. */
export function knownViolationIn(workload: ScenarioName, { violations }: Execution): KnownViolation | null {
  const found = violations.map((text) =>
    knownViolations.find((known) => known.workload === workload && known.violation.test(text)),
  )
  return found.every((known) => known !== undefined) ? (found[0] ?? null) : null
}
