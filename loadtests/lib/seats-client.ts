import { sleep } from 'k6'
import http from 'k6/http'
import {
  type Answer,
  createdBody,
  headers,
  isDone,
  look,
  member,
  type Order,
  patienceMs,
  problemCode,
  type Sendable,
} from './client.ts'
import { environment, replicaFor } from './environment.ts'
import type { Hall } from './hall.ts'
import type { SeatRequest as SeatIntent } from './seat-attempts.ts'

/** What is sold, as booking-api shows it. */
export interface SeatedEvent {
  readonly id: string
  readonly sections: readonly { readonly id: string; readonly name: string; readonly seats: number }[]
  readonly tiers: readonly { readonly id: string; readonly capacity: number }[]
}

export interface Hold {
  readonly id: string
  readonly eventId: string
  readonly customerId: string
  readonly state: string
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  readonly expiresAt: string
}

export interface Booking {
  readonly id: string
  readonly orderId: string
  readonly paymentId: string
  readonly customerId: string
  readonly state: string
  readonly seatIds: readonly string[]
  readonly quantity: number
  readonly amountMinor: number
  readonly currency: string
  readonly capturedMinor: number
  readonly refundedMinor: number
}

export interface Availability {
  readonly sections: readonly {
    readonly id: string
    readonly seats: number
    readonly free: number
    readonly held: number
    readonly booked: number
  }[]
  readonly tiers: readonly {
    readonly id: string
    readonly capacity: number
    readonly free: number
    readonly held: number
    readonly sold: number
  }[]
}

export interface SeatMap {
  readonly rows: readonly { readonly name: string; readonly seats: readonly SeatOnMap[] }[]
}

export interface SeatOnMap {
  readonly id: string
  readonly number: number
  readonly accessible: boolean
  readonly state: string
}

/** One copy of a request about seats: what the auditor is told of it, and how it is sent. */
export interface SeatRequest extends SeatIntent, Sendable {
  readonly api: 'booking'
  readonly operation: SeatIntent['operation']
}

/** These seats; so many places of a tier; or so many seats of a section side by side. */
export type Wish =
  | { readonly seatIds: readonly string[] }
  | { readonly tierId: string; readonly quantity: number }
  | { readonly sectionId: string; readonly quantity: number }

export function toHold(eventId: string, customerId: string, key: string, wish: Wish): SeatRequest {
  const seatIds = 'seatIds' in wish ? wish.seatIds : []
  return {
    ...{ api: 'booking', operation: 'hold', eventId, customerId, key, seatIds, holdId: null, bookingId: null },
    tierId: 'tierId' in wish ? wish.tierId : null,
    quantity: 'quantity' in wish ? wish.quantity : seatIds.length,
    path: `/v1/events/${eventId}/holds`,
    body: JSON.stringify({ customerId, ...wish }),
  }
}

export function toExtend(hold: Hold, key: string): SeatRequest {
  return aboutHold('extend', hold, key, 'extension', {})
}

export function toRelease(hold: Hold, key: string): SeatRequest {
  return aboutHold('release', hold, key, 'release', {})
}

export function toCheckOut(hold: Hold, key: string, paymentMethod = 'pm_card_visa'): SeatRequest {
  return aboutHold('checkout', hold, key, 'checkout', { paymentMethod })
}

function aboutHold(
  operation: SeatIntent['operation'],
  hold: Hold,
  key: string,
  path: string,
  body: object,
): SeatRequest {
  const { id: holdId, eventId, customerId, seatIds, tierId, quantity } = hold
  return {
    ...{ api: 'booking', operation, eventId, customerId, key, seatIds, tierId, quantity, holdId, bookingId: null },
    path: `/v1/holds/${holdId}/${path}`,
    body: JSON.stringify({ customerId, ...body }),
  }
}

export function toCancelBooking({ eventId, id: holdId, tierId }: Hold, booking: Booking, key: string): SeatRequest {
  const { id: bookingId, customerId, seatIds, quantity } = booking
  return {
    ...{ api: 'booking', operation: 'cancel', eventId, customerId, key, seatIds, tierId, quantity, holdId },
    ...{ bookingId, path: `/v1/bookings/${bookingId}/cancellation`, body: '{}' },
  }
}

/** The order that a booking paid: what the payments API and the gateway know it by. */
export function orderOf({ orderId, amountMinor, currency }: Booking): Order {
  return { id: orderId, amountMinor, currency }
}

/** Null where nothing was held. */
export function heldBy(answer: Answer): Hold | null {
  return isDone(answer) ? (answer.json() as unknown as Hold) : null
}

/** Null where nothing was booked. */
export function bookedBy(answer: Answer): Booking | null {
  return isDone(answer) ? (answer.json() as unknown as Booking) : null
}

/** The order of a checkout that took nothing; null where none was made. */
export function orderIdOf(answer: Answer): string | null {
  const orderId = member(answer, 'orderId')
  return typeof orderId === 'string' ? orderId : null
}

export function isTaken(answer: Answer): boolean {
  return problemCode(answer) === 'seats-taken'
}

/** Opens the sale of a hall. @throws if it is refused. */
export function createEvent(name: string, hall: Hall, seatsPerCustomer = 10): SeatedEvent {
  const [opens, closes] = [Date.now() - 60_000, Date.now() + saleLastsMs]
  const body = {
    ...{ name, currency: 'EUR', seatsPerCustomer, sections: hall.sections, tiers: hall.tiers },
    saleOpensAt: new Date(opens).toISOString(),
    saleClosesAt: new Date(closes).toISOString(),
  }
  const url = `${replicaFor(0, 0, 'booking')}/v1/events`
  const key = `${environment.run}-event-${name.replace(/\W+/g, '-')}`
  const answer = http.post(url, JSON.stringify(body), {
    headers: headers(key),
    // Some ten thousand rows are written.
    timeout: '60s',
    tags: { name: 'create event' },
  })
  return createdBody(answer, `the event ${name}`) as SeatedEvent
}

/** Longer than any load. */
const saleLastsMs = 24 * 3_600_000

/** Null where it is not to be had just now. */
export function lookAtAvailability(eventId: string, offset: number): Availability | null {
  try {
    const answer = look(`/v1/events/${eventId}/availability`, replicaFor(offset, 0, 'booking'))
    return answer.json() as unknown as Availability
  } catch {
    return null
  }
}

/**
 * What is told then is later than all that was answered before: a picture of the availability is half a second old at most.
 * @throws if no replica tells it.
 */
export function readSettledAvailability(eventId: string): Availability {
  for (let tried = 0; tried < lookTries; tried += 1) {
    sleep(1)
    const seen = lookAtAvailability(eventId, tried)
    if (seen !== null) return seen
  }
  throw new Error(`nobody tells the availability of event ${eventId}`)
}

/** Somebody is back within these ten seconds, whatever was killed. */
const lookTries = 10

/** All seats of an event, as they stand. @throws if they are not to be had. */
export function readAllSeats(event: SeatedEvent): SeatOnMap[] {
  return event.sections.flatMap((section) => {
    const answer = look(`/v1/events/${event.id}/sections/${section.id}/seats`, replicaFor(0, 0, 'booking'))
    return (answer.json() as unknown as SeatMap).rows.flatMap(({ seats }) => seats)
  })
}

/** As a browser asks that shows a map: what has not changed is not sent again. */
export function askForMap(
  eventId: string,
  sectionId: string,
  { etag, offset }: { etag: string | null; offset: number },
) {
  return http.get(`${replicaFor(offset, 0, 'booking')}/v1/events/${eventId}/sections/${sectionId}/seats`, {
    headers: { Authorization: `Bearer ${environment.apiKey}`, ...(etag === null ? {} : { 'If-None-Match': etag }) },
    timeout: `${patienceMs}ms`,
    tags: { name: 'seat map' },
    // 304 is no failure.
    responseCallback: http.expectedStatuses(200, 304),
  })
}
