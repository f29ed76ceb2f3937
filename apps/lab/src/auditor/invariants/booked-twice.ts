import { groupBy } from '../evidence.ts'
import type { Violation } from '../invariant.ts'
import type { BookedSeatRow, BookingRow, SeatBooks } from '../seat-evidence.ts'

/** Seats that have, or ever had, two bookings at once. One violation a seat. */
export function bookedTwice({ bookings, bookedSeats }: SeatBooks): Violation[] {
  const byId = new Map(bookings.map((booking) => [booking.id, booking]))
  return [...groupBy(bookedSeats, ({ seatId }) => seatId)].flatMap(([seatId, rows]) => {
    if (rows.length < 2) return []
    const spans = rows.map((row) => spanOf(row, byId.get(row.bookingId))).sort((one, other) => one.from - other.from)
    const clash = spans.findIndex((span, index) => index > 0 && span.from < endOfAll(spans.slice(0, index)))
    if (clash < 0) return []
    return [{ subject: seatId, what: `booked at once by ${spans.map(({ bookingId }) => bookingId).join(', ')}` }]
  })
}

interface Span {
  readonly bookingId: string
  readonly from: number
  readonly to: number
}

/** A booking without a row has no beginning, and so meets every other one. */
function spanOf({ bookingId, releasedAt }: BookedSeatRow, booking: BookingRow | undefined): Span {
  return {
    bookingId,
    from: booking?.createdAt.getTime() ?? Number.NEGATIVE_INFINITY,
    to: releasedAt?.getTime() ?? Number.POSITIVE_INFINITY,
  }
}

function endOfAll(spans: readonly Span[]): number {
  return Math.max(...spans.map(({ to }) => to))
}

/**
 * Claims and booked seats are twins: a booking that stands has both for each seat of its hold, one that was cancelled has neither,
 * and no seat has two claims. One violation a seat.
 */
export function strayClaims({ bookings, bookedSeats, claims, holds }: SeatBooks): Violation[] {
  const standing = new Map(bookings.filter(({ state }) => state !== 'cancelled').map(({ id, holdId }) => [id, holdId]))
  const seatsOf = new Map(holds.map(({ id, seatIds }) => [id, seatIds ?? []]))
  const due = [...standing].flatMap(([bookingId, holdId]) =>
    (seatsOf.get(holdId) ?? []).map((seatId) => `${seatId} ${bookingId}`),
  )
  const open = bookedSeats.filter(({ releasedAt }) => releasedAt === null).map(nameOf)
  const claimed = claims.filter(({ bookingId }) => bookingId !== null).map(nameOf)
  const faults = new Map<string, string>()
  const note = (names: Iterable<string>, among: readonly string[], what: string) => {
    const known = new Set(among)
    for (const name of names) if (!known.has(name)) faults.set(seatOf(name), `${what} ${bookingOf(name)}`)
  }
  note(due, open, 'no booked seat is left of booking')
  note(due, claimed, 'no claim is left of booking')
  note(open, due, 'still booked by what does not stand:')
  note(claimed, due, 'still claimed by what does not stand:')
  for (const [seatId, rows] of groupBy(claims, (claim) => claim.seatId)) {
    if (rows.length > 1) faults.set(seatId, `claimed by ${rows.map(({ holdId }) => holdId).join(', ')}`)
  }
  return [...faults].map(([subject, what]) => ({ subject, what }))
}

function nameOf({ seatId, bookingId }: { readonly seatId: string; readonly bookingId: string | null }): string {
  return `${seatId} ${bookingId}`
}

const seatOf = (name: string) => name.split(' ')[0] ?? ''
const bookingOf = (name: string) => name.split(' ')[1] ?? ''
