import { groupBy, money } from '../evidence.ts'
import type { Violation } from '../invariant.ts'
import type { SeatAttempt } from '../seat-attempt.ts'
import type { BookingRow, HoldRow, SeatEvidence } from '../seat-evidence.ts'

/** Holds and bookings that clients were told of and that are not so in our books, or not what was asked for. */
export function acknowledgedSeatsFaults({ attempts, books }: SeatEvidence): Violation[] {
  const holds = new Map(books.holds.map((hold) => [hold.id, hold]))
  const bookings = new Map(books.bookings.map((booking) => [booking.id, booking]))
  const toldHolds = groupBy(attempts, ({ hold }) => hold?.id ?? null)
  const toldBookings = groupBy(attempts, ({ booking }) => booking?.id ?? null)
  return [
    ...faultsAmong(toldHolds, (attempt, id) => holdFaults(attempt, holds.get(id))),
    ...faultsAmong(toldBookings, (attempt, id) => {
      const booking = bookings.get(id)
      return bookingFaults(attempt, booking, holds.get(booking?.holdId ?? ''))
    }),
  ]
}

function faultsAmong(
  told: ReadonlyMap<string, readonly SeatAttempt[]>,
  faultsOf: (attempt: SeatAttempt, id: string) => string[],
): Violation[] {
  return [...told].flatMap(([id, attempts]) => {
    const faults = new Set(attempts.flatMap((attempt) => faultsOf(attempt, id)))
    return faults.size === 0 ? [] : [{ subject: id, what: [...faults].join('; ') }]
  })
}

function holdFaults({ operation, customerId, hold: told, ...asked }: SeatAttempt, row: HoldRow | undefined): string[] {
  if (told === null) return []
  const isWhatever = asked.seatIds.length === 0 && asked.tierId === null
  const isOther = isWhatever ? told.quantity !== asked.quantity : contentOf(told) !== contentOf(asked)
  return [
    ...(told.state === (operation === 'release' ? 'released' : 'active') ? [] : [`acknowledged as ${told.state}`]),
    ...(operation === 'hold' && isOther ? [`acknowledged ${contentOf(told)}, asked for ${contentOf(asked)}`] : []),
    ...(row === undefined ? ['not in the database'] : holdRowFaults(told, customerId, row)),
    ...(operation === 'release' && row !== undefined && row.state !== 'released'
      ? [`${row.state} in the database`]
      : []),
  ]
}

function bookingFaults(
  { operation, customerId, booking: told }: SeatAttempt,
  row: BookingRow | undefined,
  hold: HoldRow | undefined,
): string[] {
  if (told === null) return []
  const states = operation === 'cancel' ? ['cancelled'] : ['confirmed', 'cancelling', 'cancelled']
  return [
    ...(told.state === states[0] ? [] : [`acknowledged as ${told.state}`]),
    ...(row === undefined || hold === undefined ? ['not in the database'] : holdRowFaults(told, customerId, hold)),
    ...(row === undefined || states.includes(row.state) ? [] : [`${row.state} in the database`]),
  ]
}

interface Told extends Content {
  readonly customerId: string
  readonly amountMinor: number
  readonly currency: string
}

function holdRowFaults(told: Told, customerId: string, row: HoldRow): string[] {
  return [
    ...(told.customerId === customerId ? [] : [`acknowledged to ${customerId} as that of ${told.customerId}`]),
    ...(row.customerId === customerId ? [] : [`that of ${row.customerId} in the database`]),
    ...(contentOf(row) === contentOf(told) ? [] : [`${contentOf(row)} in the database`]),
    // The price is fixed at the hold.
    ...(money(row) === money(told) ? [] : [`acknowledged at ${money(told)}, ${money(row)} in the database`]),
  ]
}

interface Content {
  readonly seatIds: readonly string[] | null
  readonly tierId: string | null
  readonly quantity: number
}

function contentOf({ seatIds, tierId, quantity }: Content): string {
  return tierId === null ? `${quantity} seats ${[...(seatIds ?? [])].sort().join(', ')}` : `${quantity} of ${tierId}`
}
