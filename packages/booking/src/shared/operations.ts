import type {
  Booking,
  Call,
  CancellationOutcome,
  CheckoutOutcome,
  Event,
  Hold,
  RecordedAnswer,
  Seat,
  SeatState,
  Section,
  Tier,
} from '@seatbelt/domain'
import type { Listed, Page } from '@seatbelt/payments'
import type { Guarded } from '@seatbelt/safety'

/** The operations of the booking backend. Made by `createBookingOperations`; the lab makes unsafe twins of it. */
export interface BookingOperations {
  createEvent(call: Call, event: NewEvent): Promise<Guarded<never>>
  /** All of what is asked for, or nothing. */
  holdSeats(call: Call, hold: NewHold): Promise<Guarded<never>>
  /** Once: the hold begins anew. */
  extendHold(call: Call, hold: OwnHold): Promise<Guarded<never>>
  releaseHold(call: Call, hold: OwnHold): Promise<Guarded<never>>
  checkOut(call: Call, checkout: NewCheckout): Promise<CheckoutResult>
  /** Refunds what is left of its payment, and frees its seats. */
  cancelBooking(call: Call, bookingId: string): Promise<CancellationResult>
  findEvent(accountId: string, eventId: string): Promise<Event | null>
  listEvents(accountId: string, page: Page): Promise<Listed<Event>>
  /** Null: there is no such event. At most `snapshotMaxAgeMs` old. */
  readAvailability(accountId: string, eventId: string): Promise<Availability | null>
  /** Null: there is no such section in such an event. At most `snapshotMaxAgeMs` old. */
  readSeatMap(accountId: string, eventId: string, sectionId: string): Promise<SeatMap | null>
  findHold(accountId: string, holdId: string): Promise<Hold | null>
  findBooking(accountId: string, bookingId: string): Promise<Booking | null>
}

export interface NewEvent extends Omit<Event, 'id' | 'accountId' | 'createdAt' | 'sections' | 'tiers'> {
  readonly sections: readonly NewSection[]
  readonly tiers: readonly Omit<Tier, 'id'>[]
}

export interface NewSection extends Omit<Section, 'id' | 'seats'> {
  /** From the stage backwards. */
  readonly rows: readonly NewRow[]
}

/**
 * Seats with the numbers `from` to `to`. Where a chair is missing, so is its number, and its neighbors are not
 * adjacent.
 */
export interface NewRow {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly missing: readonly number[]
  readonly accessible: readonly number[]
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

/** A hold of one kind, and the customer that wants it. */
export type Wanted<Kind extends HoldRequest['kind']> = Omit<NewHold, 'of'> & Extract<HoldRequest, { kind: Kind }>

export interface OwnHold {
  readonly holdId: string
  readonly customerId: string
}

export interface NewCheckout extends OwnHold {
  readonly paymentMethod: string
  readonly receiptEmail: string | null
}

export type CheckoutResult = Guarded<CheckoutUnderWay>

/** The payment of a hold, whose outcome is not known yet. */
export interface CheckoutUnderWay {
  readonly holdId: string
  readonly orderId: string
  readonly paymentId: string
  /** It waits for an operator. */
  readonly isInReview: boolean
}

/** `unsettled`: the booking, whose payment is being refunded. */
export type CancellationResult = Guarded<CancellationUnderWay>

export interface CancellationUnderWay extends Booking {
  /** Its refund waits for an operator. */
  readonly isInReview: boolean
}

export interface Availability {
  readonly sections: readonly SectionAvailability[]
  readonly tiers: readonly TierAvailability[]
}

export interface SectionAvailability extends Section {
  readonly free: number
  readonly held: number
  readonly booked: number
}

export interface TierAvailability extends Tier {
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

/** Makes the answers that are recorded. An argument of the composition, so that HTTP stays out of this package. */
export interface BookingRenderings {
  eventCreated(event: Event): RecordedAnswer
  holdCreated(hold: Hold): RecordedAnswer
  /** Extended or released: as it stands now. */
  holdChanged(hold: Hold): RecordedAnswer
  checkoutEnded(outcome: CheckoutOutcome): RecordedAnswer
  cancellationEnded(outcome: CancellationOutcome): RecordedAnswer
  /** The payload of a webhook: the booking as a client reads it. */
  bookingSeen(booking: Booking): object
}
