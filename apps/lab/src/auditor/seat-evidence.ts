import type { BookingState, HoldState } from '@seatbelt/domain'
import type { SeatAttempt } from './seat-attempt.ts'

/** What there is to know of seats: what clients saw, and what our books say. */
export interface SeatEvidence {
  readonly attempts: readonly SeatAttempt[]
  readonly books: SeatBooks
}

/** Read in the same snapshot as all other books. */
export interface SeatBooks {
  readonly events: readonly EventRow[]
  readonly tiers: readonly TierRow[]
  readonly sections: readonly SectionRow[]
  readonly holds: readonly HoldRow[]
  readonly bookings: readonly BookingRow[]
  readonly claims: readonly ClaimRow[]
  readonly bookedSeats: readonly BookedSeatRow[]
  /** What tiers and sections looked like while the run went on. Null: nobody looked. */
  readonly seen: CapacitySeen | null
}

export const noSeats: SeatBooks = {
  ...{ events: [], tiers: [], sections: [], holds: [], bookings: [], claims: [], bookedSeats: [] },
  seen: null,
}

export interface EventRow {
  readonly id: string
  readonly accountId: string
}

export interface TierRow {
  readonly id: string
  readonly capacity: number
  readonly sold: number
  readonly held: number
  /** What its holds add up to that are active or being checked out, and what its bookings do that are not cancelled. */
  readonly heldByRows: number
  readonly soldByRows: number
}

export interface SectionRow {
  readonly id: string
  readonly seats: number
  readonly claims: number
}

export interface HoldRow {
  readonly id: string
  readonly eventId: string
  readonly customerId: string
  readonly state: HoldState
  /** Null for places of a tier. */
  readonly seatIds: readonly string[] | null
  readonly tierId: string | null
  readonly quantity: number
  readonly amountMinor: number
  readonly currency: string
  readonly expiresAt: Date
  /** Of the latest checkout. */
  readonly orderId: string | null
  readonly createdAt: Date
}

export interface BookingRow {
  readonly id: string
  readonly customerId: string
  readonly holdId: string
  readonly orderId: string
  readonly state: BookingState
  readonly createdAt: Date
}

export interface ClaimRow {
  readonly seatId: string
  readonly holdId: string
  readonly bookingId: string | null
}

export interface BookedSeatRow {
  readonly bookingId: string
  readonly seatId: string
  readonly releasedAt: Date | null
}

/** Extremes over all samples: bounded, however long the run. */
export interface CapacitySeen {
  readonly tiers: readonly TierSeen[]
  readonly sections: readonly SectionSeen[]
}

export interface TierSeen {
  readonly id: string
  readonly samples: number
  readonly capacity: number
  readonly leastSold: number
  readonly leastHeld: number
  /** In the sample in which there were most of both together. */
  readonly fullest: { readonly sold: number; readonly held: number; readonly at: Date }
}

export interface SectionSeen {
  readonly id: string
  readonly samples: number
  readonly seats: number
  readonly mostClaims: number
}
