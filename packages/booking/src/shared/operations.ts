import type {
  Booking,
  CancellationOutcome,
  CheckoutOutcome,
  Currency,
  Event,
  Hold,
  Seat,
  SeatState,
  Section,
} from '@seatbelt/domain'
import type { Listed, Page } from '@seatbelt/payments'
import type { Call, Guarded, RecordedAnswer } from '@seatbelt/safety'

/** What the booking backend can do. Made by `createBookingOperations`; the lab makes unsafe twins of it. */
export interface BookingOperations {
  createEvent(call: Call, event: NewEvent): Promise<Guarded<never>>
  /** All of what is asked for, or nothing. */
  holdSeats(call: Call, hold: NewHold): Promise<Guarded<never>>
  /** Once: the hold begins anew. */
  extendHold(call: Call, hold: OwnHold): Promise<Guarded<never>>
  releaseHold(call: Call, hold: OwnHold): Promise<Guarded<never>>
  checkOut(call: Call, checkout: NewCheckout): Promise<CheckoutResult>
  /** Gives back what is left of its payment, and the seats. */
  cancelBooking(call: Call, bookingId: string): Promise<CancellationResult>
  findEvent(accountId: string, eventId: string): Promise<Event | null>
  listEvents(accountId: string, page: Page): Promise<Listed<Event>>
  /** Null: there is no such event. At most `pictureMaxAgeMs` old. */
  readAvailability(accountId: string, eventId: string): Promise<Availability | null>
  /** Null: there is no such section in such an event. As old as that. */
  readSeatMap(accountId: string, eventId: string, sectionId: string): Promise<SeatMap | null>
  findHold(accountId: string, holdId: string): Promise<Hold | null>
  findBooking(accountId: string, bookingId: string): Promise<Booking | null>
}

export interface NewEvent {
  readonly name: string
  readonly currency: Currency
  readonly saleOpensAt: Date
  readonly saleClosesAt: Date
  readonly seatsPerCustomer: number
  readonly sections: readonly NewSection[]
  readonly tiers: readonly NewTier[]
}

export interface NewSection {
  readonly name: string
  readonly priceMinor: number
  /** From the stage backwards. */
  readonly rows: readonly NewRow[]
}

/** Seats with the numbers `from` to `to`. Where a chair is missing, so is its number, and its neighbours are not adjacent. */
export interface NewRow {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly missing: readonly number[]
  readonly accessible: readonly number[]
}

export interface NewTier {
  readonly name: string
  readonly priceMinor: number
  readonly capacity: number
}

export interface NewHold {
  readonly eventId: string
  readonly customerId: string
  readonly of: HoldRequest
}

/** These seats; so many places of a tier; or so many free seats of a section side by side, the best there are. */
export type HoldRequest =
  | { readonly kind: 'seats'; readonly seatIds: readonly string[] }
  | { readonly kind: 'places'; readonly tierId: string; readonly quantity: number }
  | { readonly kind: 'adjacent'; readonly sectionId: string; readonly quantity: number }

export interface OwnHold {
  readonly holdId: string
  readonly customerId: string
}

export interface NewCheckout extends OwnHold {
  readonly paymentMethod: string
  readonly receiptEmail: string | null
}

export type CheckoutResult = Guarded<CheckoutUnderWay>

/** The payment of a hold, whose outcome is being found out. */
export interface CheckoutUnderWay {
  readonly holdId: string
  readonly orderId: string
  readonly paymentId: string
}

/** `unsettled`: the booking, whose money is being given back. */
export type CancellationResult = Guarded<Booking>

export interface Availability {
  readonly sections: readonly SectionAvailability[]
  readonly tiers: readonly TierAvailability[]
}

export interface SectionAvailability extends Section {
  readonly free: number
  readonly held: number
  readonly booked: number
}

export interface TierAvailability {
  readonly id: string
  readonly name: string
  readonly priceMinor: number
  readonly capacity: number
  readonly free: number
  readonly held: number
  readonly sold: number
}

export interface SeatMap {
  readonly section: Section
  readonly rows: readonly { readonly name: string; readonly seats: readonly SeatOnMap[] }[]
}

export interface SeatOnMap extends Pick<Seat, 'id' | 'number' | 'accessible'> {
  readonly state: SeatState
}

/** Makes the answers that are recorded. Handed in by whoever composes, so that HTTP stays out of this package. */
export interface BookingRenderings {
  eventCreated(event: Event): RecordedAnswer
  holdCreated(hold: Hold): RecordedAnswer
  /** Extended or released: as it stands now. */
  holdChanged(hold: Hold): RecordedAnswer
  checkoutEnded(outcome: CheckoutOutcome): RecordedAnswer
  cancellationEnded(outcome: CancellationOutcome): RecordedAnswer
  /** What a webhook tells: the booking as a client sees it. */
  bookingSeen(booking: Booking): object
}
