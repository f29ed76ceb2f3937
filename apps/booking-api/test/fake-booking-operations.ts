import type { BookingOperations, CancellationResult, CheckoutResult } from '@seatbelt/booking'
import type { Booking, Event, Hold, Refusal } from '@seatbelt/domain'
import { bookingRenderings } from '@seatbelt/http'

/** The account whose event there is; the other one exists too, and owns nothing. */
export const accountId = '0192f000-0000-7000-8000-000000000001'

export const event: Event = {
  id: '0192f000-0000-7000-8000-00000000000a',
  accountId,
  name: 'An evening of chamber music',
  currency: 'EUR',
  saleOpensAt: new Date('2026-11-20T10:00:00.000Z'),
  saleClosesAt: new Date('2026-12-20T10:00:00.000Z'),
  seatsPerCustomer: 10,
  seatsPerCustomerInAll: null,
  createdAt: new Date('2026-11-19T10:00:00.000Z'),
  sections: [{ id: '0192f000-0000-7000-8000-00000000000b', name: 'Stalls', priceMinor: 4_500, seats: 2 }],
  tiers: [{ id: '0192f000-0000-7000-8000-00000000000c', name: 'Standing', priceMinor: 2_000, capacity: 100 }],
}
export const [section] = event.sections as [Event['sections'][number]]
export const [tier] = event.tiers as [Event['tiers'][number]]
export const seatIds = ['0192f000-0000-7000-8000-00000000000d', '0192f000-0000-7000-8000-00000000000e'] as const

export const hold: Hold = {
  id: '0192f000-0000-7000-8000-00000000001a',
  accountId,
  eventId: event.id,
  customerId: 'customer-1',
  state: 'active',
  seatIds,
  tierId: null,
  quantity: 2,
  amountMinor: 9_000,
  currency: 'EUR',
  expiresAt: new Date('2026-11-20T10:10:00.000Z'),
  extended: false,
  checkouts: 0,
  orderId: null,
  bookingId: null,
  bookingState: null,
  createdAt: new Date('2026-11-20T10:00:00.000Z'),
}

export const booking: Booking = {
  id: '0192f000-0000-7000-8000-00000000001b',
  accountId,
  eventId: event.id,
  customerId: 'customer-1',
  holdId: hold.id,
  orderId: '0192f000-0000-7000-8000-00000000001c',
  paymentId: '0192f000-0000-7000-8000-00000000001d',
  paymentState: 'succeeded',
  refundId: null,
  state: 'confirmed',
  seatIds,
  tierId: null,
  quantity: 2,
  amountMinor: 9_000,
  currency: 'EUR',
  createdAt: new Date('2026-11-20T10:01:00.000Z'),
  confirmedAt: new Date('2026-11-20T10:01:01.000Z'),
  capturedMinor: 9_000,
  refundedMinor: 0,
  disputeState: null,
  disputedMinor: 0,
  owedMinor: 0,
  cancelledAt: null,
}

type Result = CheckoutResult | CancellationResult

/**
 * Not an implementation of anything: it knows one event, hold and booking, writes down what it was asked, and answers a command with
 * what the test put into `next`. For checks of the HTTP layer only.
 */
export function fakeBookingOperations() {
  const calls: { operation: string; arguments: unknown[] }[] = []
  const fake = {
    next: null as Result | Error | null,
    /** What a command waits for before it answers. */
    before: async () => {},
    /** The pictures: replaced by a test that wants them to change. */
    availability: {
      sections: [{ ...section, free: 1, held: 1, booked: 0 }],
      tiers: [{ ...tier, free: 90, held: 4, sold: 6 }],
    },
    seatMap: {
      section,
      rows: [
        {
          name: 'A',
          seats: [
            { id: seatIds[0], number: 1, accessible: true, state: 'held' as const },
            { id: seatIds[1], number: 3, accessible: false, state: 'free' as const },
          ],
        },
      ],
    },
  }

  // What a test puts there is what the operation could answer: it knows which one it asks.
  async function command<R extends Result>(operation: string, args: unknown[], fallback: R): Promise<R> {
    calls.push({ operation, arguments: args })
    await fake.before()
    if (fake.next instanceof Error) throw fake.next
    return (fake.next as R | null) ?? fallback
  }
  async function look<T>(operation: string, args: unknown[], isThere: boolean, found: T): Promise<T | null> {
    calls.push({ operation, arguments: args })
    return args[0] === accountId && isThere ? found : null
  }

  const operations: BookingOperations = {
    createEvent: (...args) => command('createEvent', args, answered(bookingRenderings.eventCreated(event))),
    holdSeats: (...args) => command('holdSeats', args, answered(bookingRenderings.holdCreated(hold))),
    extendHold: (...args) =>
      command('extendHold', args, answered(bookingRenderings.holdChanged({ ...hold, extended: true }))),
    releaseHold: (...args) =>
      command('releaseHold', args, answered(bookingRenderings.holdChanged({ ...hold, state: 'released' }))),
    checkOut: (...args) =>
      command('checkOut', args, answered(bookingRenderings.checkoutEnded({ kind: 'booked', booking }))),
    cancelBooking: (...args) => {
      const cancelled: Booking = { ...booking, state: 'cancelled', cancelledAt: booking.createdAt }
      return command(
        'cancelBooking',
        args,
        answered(bookingRenderings.cancellationEnded({ kind: 'cancelled', booking: cancelled })),
      )
    },
    findEvent: (...args) => look('findEvent', args, args[1] === event.id, event),
    listEvents: async (...args) => {
      calls.push({ operation: 'listEvents', arguments: args })
      return { items: [event], next: args[1].after === null ? event.id : null }
    },
    readAvailability: (...args) => look('readAvailability', args, args[1] === event.id, fake.availability),
    readSeatMap: (...args) => look('readSeatMap', args, args[1] === event.id && args[2] === section.id, fake.seatMap),
    findHold: (...args) => look('findHold', args, args[1] === hold.id, hold),
    findBooking: (...args) => look('findBooking', args, args[1] === booking.id, booking),
  }
  return { operations, calls, fake }
}

export function answered(answer: { status: number; body: string; location: string | null }, replayed = false) {
  return { kind: 'answered', answer, replayed } as const
}

export function refused(refusal: Refusal) {
  return { kind: 'refused', refusal } as const
}
