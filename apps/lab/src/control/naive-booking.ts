import type { BookingOperations, BookingRenderings } from '@seatbelt/booking'
import { cancelBookingNaively } from './naive-cancellation.ts'
import { checkOutNaively } from './naive-checkout.ts'
import { createEventNaively, findEvent, readAvailability, readSeatMap } from './naive-hall.ts'
import { extendNaively, findNaiveBooking, findNaiveHold, holdNaively, releaseNaively } from './naive-holds.ts'
import type { NaiveDeps } from './naive-parts.ts'

export interface NaiveBookingDeps {
  readonly payments: NaiveDeps
  readonly renderings: BookingRenderings
  /** How long a hold keeps its seats. */
  readonly holdMs: number
}

/**
 * The control's half of the booking API, as a tutorial writes it: read whether the seats are free, then write that they are
 * held; read whether the hold is good, charge, then write that it is booked.
 *
 * Customers who come one after the other get what they should. It ignores the client's key, locks nothing, and writes nothing
 * before the charge; its database has no key on a seat's claim, no bound on a tier and no trigger. Never use it for anything else.
 */
export function createNaiveBookingOperations(deps: NaiveBookingDeps): BookingOperations {
  const { database } = deps.payments
  return {
    createEvent: (call, event) => createEventNaively(deps, call, event),
    holdSeats: (call, hold) => holdNaively(deps, call, hold),
    extendHold: (call, hold) => extendNaively(deps, call, hold),
    releaseHold: (call, hold) => releaseNaively(deps, call, hold),
    checkOut: (call, checkout) => checkOutNaively(deps, call, checkout),
    cancelBooking: (call, bookingId) => cancelBookingNaively(deps, call, bookingId),
    findEvent: (accountId, eventId) => findEvent(database, accountId, eventId),
    // Nobody asks the control for it.
    listEvents: async () => ({ items: [], next: null }),
    readAvailability: (accountId, eventId) => readAvailability(database, accountId, eventId),
    readSeatMap: (accountId, eventId, sectionId) => readSeatMap(database, accountId, eventId, sectionId),
    findHold: (accountId, holdId) => findNaiveHold(database, accountId, holdId),
    findBooking: (accountId, bookingId) => findNaiveBooking(database, accountId, bookingId),
  }
}
