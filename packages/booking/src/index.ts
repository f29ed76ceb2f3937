export type { BookingDeps, BookingLayers, BookingPolicy } from './booking-deps.ts'
export { createBookingOperations } from './create-booking-operations.ts'
export { mostOfEvent, seatNumbers } from './create-event.ts'
export { endOverdueCheckout } from './end-overdue-checkout.ts'
export { expireHolds } from './expire-holds.ts'
export { type BookingOptions, type OpenedBooking, openBooking } from './open-booking.ts'
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
} from './operations.ts'
export type { SeatChange, TellSeatChange } from './seat-change.ts'
export { isPosition } from './seat-change-entry.ts'
export { createSeatChangeLog, type SeatChangeLog, type SeatNews } from './seat-change-log.ts'
