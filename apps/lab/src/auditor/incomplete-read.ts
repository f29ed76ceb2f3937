/** A part of the evidence could not be read to its end. What was read of it must not be judged: the verdict is `unknown`. */
export class IncompleteRead extends Error {
  readonly code = 'incomplete-read'
}
