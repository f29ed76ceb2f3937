export { endOverdueCheckout } from './booking/end-overdue-checkout.ts'
export { createBookingOperations } from './create-booking-operations.ts'
export { mostOfEvent, seatNumbers } from './event/create-event.ts'
export { expireHolds } from './hold/expire-holds.ts'
export type { SeatChange, TellSeatChange } from './live/seat-change.ts'
export { isPosition } from './live/seat-change-entry.ts'
export { createSeatChangeLog, type SeatChangeLog, type SeatNews } from './live/seat-change-log.ts'
export { type BookingOptions, type OpenedBooking, openBooking } from './open-booking.ts'
export type { BookingDeps, BookingLayers, BookingPolicy } from './shared/booking-deps.ts'
export type {
  Availability,
  BookingOperations,
  BookingRenderings,
  CancellationResult,
  CheckoutResult,
  CheckoutUnderWay,
  HoldRequest,
  NewCheckout,
  NewEvent,
  NewHold,
  NewRow,
  NewSection,
  NewTier,
  OwnHold,
  SeatMap,
  SeatOnMap,
  SectionAvailability,
  TierAvailability,
} from './shared/operations.ts'
