import type { Evidence } from './evidence.ts'

export type Verdict = 'valid' | 'invalid' | 'unknown'

/** Something that must not be, with what a person needs to find it again. */
export interface Violation {
  /** The order, payment, charge or key that it is about. */
  readonly subject: string
  readonly what: string
}

export interface Finding {
  /** Things looked at. Zero means that the invariant was not tested, however few violations there are. */
  readonly checked: number
  readonly violations: readonly Violation[]
}

export interface Invariant {
  readonly id: string
  /** What must hold, in one sentence for a reader of the report. */
  readonly claim: string
  /** Pure: judges the evidence and nothing else. */
  readonly check: (evidence: Evidence) => Finding
}

export interface InvariantReport {
  readonly id: string
  readonly claim: string
  readonly verdict: Verdict
  readonly checked: number
  readonly violations: number
  readonly examples: readonly Violation[]
}

/** A person reads some examples and then looks into the database; a broken run could bring thousands. */
const examplesLimit = 10

/** `invalid` with a violation; `unknown` where there was nothing to look at; else `valid`. */
export function report(invariant: Invariant, evidence: Evidence): InvariantReport {
  const { checked, violations } = invariant.check(evidence)
  return {
    id: invariant.id,
    claim: invariant.claim,
    verdict: violations.length > 0 ? 'invalid' : checked === 0 ? 'unknown' : 'valid',
    checked,
    violations: violations.length,
    examples: violations.slice(0, examplesLimit),
  }
}
