import type { Attempt } from './attempt.ts'
import { groupBy } from './evidence.ts'
import type { SeatAttempt } from './seat-attempt.ts'

/** Clients read a clock of whole milliseconds twice, so that a span can be a millisecond longer than it seems. */
const clockErrorMs = 1

/** A batch and its repetitions stay far below; what is more is left out, which can only make the figure smaller. */
const attemptsPerMatterLimit = 200

/**
 * Counts the pairs of attempts about the same matter that were certainly in flight at the same moment: about one order, and about
 * one hold, booking, tier or seat.
 *
 * A client knows when it sent and when it had the answer, and for how long in between the request was on its way; not
 * when exactly that was. Two attempts that together were on their way for longer than the whole span that contains both
 * must have overlapped. So this is a lower bound: pairs that merely may have overlapped are not counted.
 */
export function countOverlappingPairs(attempts: readonly Attempt[], seatAttempts: readonly SeatAttempt[] = []): number {
  const matters: readonly (readonly Timed[])[] = [
    ...groupBy(attempts, (attempt) => attempt.orderId).values(),
    ...groupBy(seatAttempts, matterOf).values(),
  ]
  let pairs = 0
  for (const ofOneMatter of matters) pairs += countWithin(ofOneMatter.slice(0, attemptsPerMatterLimit))
  return pairs
}

type Timed = Pick<Attempt, 'sentAt' | 'endedAt' | 'inFlightMs'>

/** Of several seats the first one that is asked for: two requests that overlap are one pair. */
function matterOf({ holdId, bookingId, tierId, seatIds: [seatId] }: SeatAttempt): string | null {
  return holdId ?? bookingId ?? tierId ?? seatId ?? null
}

function countWithin(attempts: readonly Timed[]): number {
  let pairs = 0
  attempts.forEach((one, index) => {
    for (const other of attempts.slice(index + 1)) if (overlapForCertain(one, other)) pairs += 1
  })
  return pairs
}

function overlapForCertain(one: Timed, other: Timed): boolean {
  const spanMs = Math.max(one.endedAt, other.endedAt) - Math.min(one.sentAt, other.sentAt)
  return one.inFlightMs + other.inFlightMs > spanMs + clockErrorMs
}
