import type { InvariantReport } from '../auditor/invariant.ts'
import type { RunVerdict } from '../auditor/judge-run.ts'

/** From the strongest word to the weakest. */
const verdicts = ['invalid', 'unknown', 'valid', 'not-applicable'] as const satisfies InvariantReport['verdict'][]

/**
 * Each invariant once, with the strongest verdict of all runs and the greatest of their counts. Not their sum: an audit reads the
 * books as a whole, so that a later one counts again what an earlier one has counted.
 */
export function joinInvariants(
  ...results: readonly (null | { readonly verdict: RunVerdict | null })[]
): InvariantReport[] {
  const all = results.flatMap((result) => result?.verdict?.invariants ?? [])
  const firsts = all.filter(({ id }, index) => all.findIndex((other) => other.id === id) === index)
  return firsts.map(({ id }) => join(all.filter((report) => report.id === id)))
}

function join(reports: readonly InvariantReport[]): InvariantReport {
  const byStrength = reports.toSorted((one, other) => verdicts.indexOf(one.verdict) - verdicts.indexOf(other.verdict))
  const [strongest] = byStrength
  if (strongest === undefined) throw new Error('nothing to join')
  return {
    ...strongest,
    checked: Math.max(...reports.map(({ checked }) => checked)),
    violations: Math.max(...reports.map(({ violations }) => violations)),
  }
}
