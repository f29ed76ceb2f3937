import type { BookingDeps } from './booking-deps.ts'
import { cancelBooking } from './cancel-booking.ts'
import { checkOut } from './check-out.ts'
import { createEvent } from './create-event.ts'
import { extendHold } from './extend-hold.ts'
import { findHold } from './hold-rows.ts'
import { holdSeats } from './hold-seats.ts'
import type { BookingOperations } from './operations.ts'
import { createAvailabilityReader } from './read-availability.ts'
import { findBooking } from './read-bookings.ts'
import { createEventPlans, findEvent, listEvents } from './read-events.ts'
import { createSeatMapReader } from './read-seat-map.ts'
import { releaseHold } from './release-hold.ts'

export function createBookingOperations(deps: BookingDeps): BookingOperations {
  const { database } = deps.payments
  const plans = createEventPlans(database)
  return {
    createEvent: (call, event) => createEvent(deps, call, event),
    holdSeats: (call, hold) => holdSeats(deps, call, hold),
    extendHold: (call, hold) => extendHold(deps, call, hold),
    releaseHold: (call, hold) => releaseHold(deps, call, hold),
    checkOut: (call, checkout) => checkOut(deps, call, checkout),
    cancelBooking: (call, bookingId) => cancelBooking(deps, call, bookingId),
    findEvent: (accountId, eventId) => findEvent(plans, accountId, eventId),
    listEvents: (accountId, page) => listEvents(database, plans, accountId, page),
    readAvailability: createAvailabilityReader(database, plans),
    readSeatMap: createSeatMapReader(database, plans),
    findHold: (accountId, holdId) => database.statement((client) => findHold(client, accountId, holdId)),
    findBooking: (accountId, bookingId) => database.statement((client) => findBooking(client, accountId, bookingId)),
  }
}
