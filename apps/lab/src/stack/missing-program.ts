/** A program that is needed and could not be got; the message says how a person can get it. */
export class MissingProgram extends Error {
  readonly code = 'missing-program'
  readonly expected = true
}
