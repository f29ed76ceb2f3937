import { groupBy } from './evidence.ts'
import type { SeatOperation } from './search-seat-history.ts'
import type { SeatAttempt } from './seat-attempt.ts'

/**
 * What was done to each seat, out of what clients saw. All requests with one key are one operation: it can have taken effect from
 * the first of them on, and had by the first answer that acknowledged it.
 *
 * A hold that nobody was told of is left out. It can have been there, and only in the way: without it there is an order of the
 * others whenever there is one with it, because nobody knows its id.
 */
export function seatOperations(attempts: readonly SeatAttempt[]): Map<string, SeatOperation[]> {
  const seatsOfHolds = new Map(
    attempts.flatMap(({ hold }) => (hold === null ? [] : [[hold.id, hold.seatIds] as const])),
  )
  const holdsOfBookings = new Map(
    attempts.flatMap(({ booking }) => (booking === null ? [] : [[booking.id, booking.holdId] as const])),
  )
  const bySeat = new Map<string, SeatOperation[]>()
  for (const [, ofOneKey] of groupBy(attempts, ({ key, operation }) => `${operation} ${key}`)) {
    const done = whatWasDone(ofOneKey, holdsOfBookings)
    if (done === null) continue
    for (const seatId of seatsOfHolds.get(done.holdId) ?? ofOneKey[0]?.seatIds ?? []) {
      const operations = bySeat.get(seatId)
      if (operations === undefined) bySeat.set(seatId, [done])
      else operations.push(done)
    }
  }
  return bySeat
}

function whatWasDone(
  attempts: readonly SeatAttempt[],
  holdsOfBookings: ReadonlyMap<string, string>,
): SeatOperation | null {
  const [first] = attempts
  if (first === undefined) return null
  const holdId = holdIdOf(attempts, holdsOfBookings)
  if (holdId === null) return null
  const sentAt = Math.min(...attempts.map((attempt) => attempt.sentAt))
  const common = { holdId, customerId: first.customerId, sentAt }
  const acknowledged = attempts.filter(({ outcome }) => outcome === 'ok')
  if (acknowledged.length > 0) {
    const until = acknowledged[0]?.hold?.expiresAt ?? null
    return {
      ...common,
      kind: first.operation,
      ...answered(acknowledged),
      until: until === null ? null : Date.parse(until),
    }
  }
  const failed = attempts.filter(({ failedCheckout }) => failedCheckout !== null)
  if (failed.length > 0) return { ...common, ...afterFailedCheckout(failed), ...answered(failed) }
  const undone = attempts.filter(({ code }) => code !== null && mayHaveFreed.includes(code))
  if (undone.length > 0) {
    const kind = first.operation === 'checkout' ? 'release' : first.operation
    return { ...common, kind, ...answered(undone), isCertain: false, until: null }
  }
  if (first.operation === 'hold' || attempts.every(({ outcome }) => outcome === 'fail')) return null
  return { ...common, kind: first.operation, endedAt: Number.POSITIVE_INFINITY, isCertain: false, until: null }
}

/** Checkouts and cancellations that came to nothing, and do not say whether the seats came free on the way. */
const mayHaveFreed = ['checkout-voided', 'paid-without-seats', 'refund-failed']

/** A card that was refused gives the hold the time back that it took; with the last one the hold is over. */
function afterFailedCheckout([first]: readonly SeatAttempt[]): Pick<SeatOperation, 'kind' | 'until'> {
  const left = first?.failedCheckout ?? null
  return left === null || left.holdState !== 'active'
    ? { kind: 'release', until: null }
    : { kind: 'extend', until: Date.parse(left.expiresAt) }
}

function answered(attempts: readonly SeatAttempt[]): Pick<SeatOperation, 'endedAt' | 'isCertain'> {
  return { endedAt: Math.min(...attempts.map(({ endedAt }) => endedAt)), isCertain: true }
}

/** As the answer named it, or as it was asked for; of a cancellation by its booking. */
function holdIdOf(attempts: readonly SeatAttempt[], holdsOfBookings: ReadonlyMap<string, string>): string | null {
  for (const { hold, booking, holdId, bookingId } of attempts) {
    const known = hold?.id ?? booking?.holdId ?? holdId ?? holdsOfBookings.get(bookingId ?? '')
    if (known !== undefined && known !== null) return known
  }
  return null
}
