import type { Attempt } from './attempt.ts'
import { groupBy } from './evidence.ts'

/** Clients read a clock of whole milliseconds twice, so that a span can be a millisecond longer than it seems. */
const clockErrorMs = 1

/** A batch and its repetitions stay far below; what is more is left out, which can only make the figure smaller. */
const attemptsPerOrderLimit = 200

/**
 * Counts the pairs of attempts for the same order that were certainly in flight at the same moment.
 *
 * A client knows when it sent and when it had the answer, and for how long in between the request was on its way; not
 * when exactly that was. Two attempts that together were on their way for longer than the whole span that contains both
 * must have overlapped. So this is a lower bound: pairs that merely may have overlapped are not counted.
 */
export function countOverlappingPairs(attempts: readonly Attempt[]): number {
  let pairs = 0
  for (const ofOneOrder of groupBy(attempts, (attempt) => attempt.orderId).values()) {
    pairs += countWithin(ofOneOrder.slice(0, attemptsPerOrderLimit))
  }
  return pairs
}

function countWithin(attempts: readonly Attempt[]): number {
  let pairs = 0
  attempts.forEach((one, index) => {
    for (const other of attempts.slice(index + 1)) if (overlapForCertain(one, other)) pairs += 1
  })
  return pairs
}

function overlapForCertain(one: Attempt, other: Attempt): boolean {
  const spanMs = Math.max(one.endedAt, other.endedAt) - Math.min(one.sentAt, other.sentAt)
  return one.inFlightMs + other.inFlightMs > spanMs + clockErrorMs
}
