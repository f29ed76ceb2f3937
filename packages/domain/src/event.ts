import type { Currency } from './money.ts'
import type { Refusal } from './refusal.ts'

/** What an account sells seats for. It does not change once it is there; what changes is who has which seat. */
export interface Event {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly currency: Currency
  readonly saleOpensAt: Date
  readonly saleClosesAt: Date
  /** How many seats and places one customer may hold at once. What is booked does not count. */
  readonly seatsPerCustomer: number
  /** Seats and places that one customer may have in all: held, and booked without being cancelled. Null: no limit. */
  readonly seatsPerCustomerInAll: number | null
  readonly createdAt: Date
  readonly sections: readonly Section[]
  readonly tiers: readonly Tier[]
}

/** A part of the hall, with one price for each of its seats. */
export interface Section {
  readonly id: string
  readonly name: string
  readonly priceMinor: number
  readonly seats: number
}

/** General admission: so many places, without numbers. */
export interface Tier {
  readonly id: string
  readonly name: string
  readonly priceMinor: number
  readonly capacity: number
}

/** A chair. Two are adjacent when their numbers in one row follow each other: where a chair is missing, so is its number. */
export interface Seat {
  readonly id: string
  readonly rowName: string
  readonly number: number
  readonly accessible: boolean
}

export type SeatState = 'free' | 'held' | 'booked'

/** What can be held with one request, and checked out with one charge. */
export const mostSeatsPerHold = 10

/** Is the event on sale? `now` is the database's, as of all that decides about time. */
export function decideOnSale(
  event: Pick<Event, 'id' | 'saleOpensAt' | 'saleClosesAt'>,
  now: Date,
): Refusal | { readonly code: 'on-sale' } {
  const { id: eventId, saleOpensAt, saleClosesAt } = event
  if (now < saleOpensAt || now >= saleClosesAt)
    return {
      code: 'event-not-on-sale',
      eventId,
      saleOpensAt: saleOpensAt.toISOString(),
      saleClosesAt: saleClosesAt.toISOString(),
    }
  return { code: 'on-sale' }
}
