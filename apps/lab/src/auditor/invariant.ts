import type { Evidence } from './evidence.ts'

export type Verdict = 'valid' | 'invalid' | 'unknown'

/** Something that must not be, with what a person needs to find it again. */
export interface Violation {
  /** The order, payment, charge, message, key, seat, tier, hold or booking that it is about. */
  readonly subject: string
  readonly what: string
}

export interface Finding {
  /** Things looked at. Zero means that the invariant was not tested, however few violations there are. */
  readonly checked: number
  readonly violations: readonly Violation[]
  /** Why nobody could look at what there was. */
  readonly blindBecause?: string
}

export interface Invariant {
  readonly id: InvariantId
  /** What must hold, in one sentence for a reader of the report. */
  readonly claim: string
  /** Pure: judges the evidence and nothing else. */
  readonly check: (evidence: Evidence) => Finding
}

export const invariantIds = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10', 'I11', 'I12'] as const

export type InvariantId = (typeof invariantIds)[number]

/**
 * What every run must have had something to look at for, unless it says otherwise: a run that pays. Receipts, refunds,
 * subscriptions and seats are only in those that say so.
 */
export const expectedByDefault: readonly InvariantId[] = ['I1', 'I2', 'I3', 'I6', 'I8']

export interface InvariantReport {
  readonly id: InvariantId
  readonly claim: string
  /** `not-applicable`: there was nothing to look at, as the run had said. It says nothing for or against the run. */
  readonly verdict: Verdict | 'not-applicable'
  readonly checked: number
  readonly violations: number
  readonly examples: readonly Violation[]
}

/** A person reads some examples and then looks into the database; a broken run could bring thousands. */
const examplesLimit = 10

/** `invalid` with a violation; `unknown` where what had to be looked at was not there or could not be seen; else `valid`. */
export function report(
  invariant: Invariant,
  evidence: Evidence,
  expects: readonly InvariantId[] = expectedByDefault,
): InvariantReport {
  const finding = invariant.check(evidence)
  const { checked, violations } = finding
  return {
    id: invariant.id,
    claim: invariant.claim,
    verdict: verdictOn(finding, expects.includes(invariant.id)),
    checked,
    violations: violations.length,
    examples: violations.slice(0, examplesLimit),
  }
}

function verdictOn({ checked, violations, blindBecause }: Finding, isExpected: boolean): InvariantReport['verdict'] {
  if (violations.length > 0) return 'invalid'
  if (blindBecause !== undefined) return 'unknown'
  if (checked > 0) return 'valid'
  return isExpected ? 'unknown' : 'not-applicable'
}
