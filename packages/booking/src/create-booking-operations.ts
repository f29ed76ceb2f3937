import { findBooking } from './booking/booking-queries.ts'
import { cancelBooking } from './booking/cancel-booking.ts'
import { checkOut } from './booking/check-out.ts'
import { createEvent } from './event/create-event.ts'
import { createEventPlans, findEvent, listEvents } from './event/event-queries.ts'
import { createAvailabilityReader } from './event/read-availability.ts'
import { createSeatMapReader } from './event/read-seat-map.ts'
import { extendHold } from './hold/extend-hold.ts'
import { findHold } from './hold/hold-queries.ts'
import { holdSeats } from './hold/hold-seats.ts'
import { releaseHold } from './hold/release-hold.ts'
import type { BookingDeps } from './shared/booking-deps.ts'
import type { BookingOperations } from './shared/operations.ts'

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
    findHold: (accountId, holdId) => findHold(database, accountId, holdId),
    findBooking: (accountId, bookingId) => findBooking(database, accountId, bookingId),
  }
}
