import type { Finding, Invariant } from '../invariant.ts'
import { acknowledgedSeatsFaults } from './acknowledged-seats.ts'
import { bookedTwice, strayClaims } from './booked-twice.ts'
import { bookingFaults, paidWithoutSeat } from './paid-for-seats.ts'
import { judgeSeatHistories } from './seat-histories.ts'

/**
 * Three witnesses, each of whom could be wrong alone. Our books: no seat has two bookings, and had none at any time. The gateway:
 * what was booked was paid for, once, and what was paid for was booked or given back. The clients: there is an order of what they
 * did to a seat in which all that they were told is right, so that nobody was told that it is theirs while it was another's.
 */
export const seatsSoldOnce: Invariant = {
  id: 'I4',
  claim:
    'no seat has two bookings, none was acknowledged to two customers, every booked seat was paid for exactly once, and nobody paid for nothing',
  check: (evidence): Finding => {
    const { attempts, books } = evidence.seats
    const histories = judgeSeatHistories(attempts)
    const violations = [
      ...bookedTwice(books),
      ...strayClaims(books),
      ...bookingFaults(evidence),
      ...paidWithoutSeat(evidence),
      ...acknowledgedSeatsFaults(evidence.seats),
      ...histories.violations,
    ]
    const checked = books.bookings.length + books.bookedSeats.length + histories.checked
    if (histories.unfinished === 0) return { checked, violations }
    return {
      checked,
      violations,
      blindBecause: `the histories of ${histories.unfinished} seats are too long to search`,
    }
  },
}
