import type { Evidence } from './evidence.ts'
import { bookedTwice } from './invariants/booked-twice.ts'
import { oversold } from './invariants/capacity-kept.ts'
import { paidWithoutSeat } from './invariants/paid-for-seats.ts'

/** What a run amounted to in seats, and in places of tiers. */
export interface SeatFigures {
  /** Seats and places of confirmed bookings. */
  readonly sold: number
  /** Holds that were acknowledged. */
  readonly holds: number
  /** Holds that were released or whose time went by, and that nobody booked. */
  readonly walkedAway: number
  /** Seats that had two bookings at once. */
  readonly doubleBookings: number
  /** Seats and places given away beyond what there is. */
  readonly oversold: number
  /** Checkouts that were paid for, have no booking and were not given back. */
  readonly paidWithoutSeat: number
}

export function seatFigures(evidence: Evidence): SeatFigures | null {
  const { attempts, books } = evidence.seats
  if (attempts.length + books.holds.length === 0) return null
  const confirmed = new Set(books.bookings.filter(({ state }) => state === 'confirmed').map(({ holdId }) => holdId))
  const lapsed = books.holds.filter(({ state, expiresAt }) => state === 'active' && expiresAt <= evidence.books.readAt)
  const over = books.holds.filter(({ state }) => state === 'released' || state === 'expired')
  return {
    sold: books.holds.filter(({ id }) => confirmed.has(id)).reduce((sum, { quantity }) => sum + quantity, 0),
    holds: new Set(attempts.flatMap(({ hold }) => hold?.id ?? [])).size,
    walkedAway: lapsed.length + over.length,
    doubleBookings: bookedTwice(books).length,
    oversold: oversold(evidence),
    paidWithoutSeat: paidWithoutSeat(evidence).length,
  }
}
