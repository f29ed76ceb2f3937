/**
 * Time, timers, ids and randomness: all that an operation takes from its process.
 *
 * Operations receive it as an argument, so that a scheduler can decide about each of them.
 */
export interface Runtime {
  /** Milliseconds of a clock that never goes back. Its zero has no meaning. */
  monotonicMs(): number
  pause(ms: number): Promise<void>
  /** A UUIDv7, so that ids sort by the time at which they were made. */
  newId(): string
  /** At least 0 and less than 1. */
  random(): number
}
