import type { Operator } from '@seatbelt/payments'

/** The options of every command that acts, for `parseArgs`. */
export const operatorOptions = { as: { type: 'string' }, reason: { type: 'string' } } as const

/** The words that a command which acts needs, for texts that teach one. */
export const operatorUsage = '--as NAME --reason TEXT'

/** More is not a name, or not a reason. */
const longest = { name: 100, reason: 500 }

/**
 * The person who acts, and why. Both are recorded, so neither may be missing.
 *
 * Fails with an Error that says what was wrong.
 */
export function readOperator(values: {
  readonly as?: string | undefined
  readonly reason?: string | undefined
}): Operator {
  const name = values.as?.trim() ?? ''
  const reason = values.reason?.trim() ?? ''
  if (name === '' || reason === '') throw new Error(`Say who acts, and why: ${operatorUsage}. Both are recorded.`)
  if (name.length > longest.name) throw new Error(`--as is longer than ${longest.name} characters.`)
  if (reason.length > longest.reason) throw new Error(`--reason is longer than ${longest.reason} characters.`)
  return { name, reason }
}
