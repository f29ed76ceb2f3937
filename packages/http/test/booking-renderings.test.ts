import type { Booking, Event, Hold } from '@seatbelt/domain'
import { expect, it } from 'vitest'
import { bookingBody, bookingRenderings, eventBody, holdBody } from '../src/index.ts'

const id = (last: string) => `0192f000-0000-7000-8000-0000000000${last}`

const event: Event = {
  id: id('01'),
  accountId: id('02'),
  name: 'Opera',
  currency: 'EUR',
  saleOpensAt: new Date(0),
  saleClosesAt: new Date(1),
  seatsPerCustomer: 4,
  seatsPerCustomerInAll: null,
  createdAt: new Date(2),
  sections: [{ id: id('03'), name: 'Stalls', priceMinor: 1, seats: 2 }],
  tiers: [{ id: id('04'), name: 'Standing', priceMinor: 1, capacity: 2 }],
}
const of = { eventId: event.id, customerId: 'c', seatIds: [id('05')], tierId: null, quantity: 1 }
const hold: Hold = {
  id: id('06'),
  accountId: id('02'),
  ...of,
  state: 'active',
  amountMinor: 1,
  currency: 'EUR',
  expiresAt: new Date(3),
  extended: false,
  checkouts: 1,
  orderId: id('07'),
  bookingId: null,
  bookingState: null,
  createdAt: new Date(2),
}
const booking: Booking = {
  id: id('08'),
  accountId: id('02'),
  ...of,
  holdId: hold.id,
  orderId: id('07'),
  paymentId: id('09'),
  paymentState: 'succeeded',
  refundId: null,
  state: 'confirmed',
  amountMinor: 1,
  currency: 'EUR',
  createdAt: new Date(2),
  confirmedAt: new Date(3),
  capturedMinor: 9_000,
  refundedMinor: 0,
  disputeState: null,
  disputedMinor: 0,
  owedMinor: 0,
  cancelledAt: null,
}

it('the bodies are the contract, field by field, and tell of no account', () => {
  expect(Object.keys(eventBody(event)).join()).toBe(
    'id,name,currency,saleOpensAt,saleClosesAt,seatsPerCustomer,seatsPerCustomerInAll,createdAt,sections,tiers',
  )
  expect(Object.keys(holdBody(hold)).join()).toBe(
    'id,eventId,customerId,state,seatIds,tierId,quantity,amountMinor,currency,expiresAt,extended,checkouts,orderId,bookingId,bookingState,createdAt',
  )
  expect(Object.keys(bookingBody(booking)).join()).toBe(
    'id,eventId,customerId,holdId,orderId,paymentId,paymentState,refundId,state,seatIds,tierId,quantity,amountMinor,currency,capturedMinor,refundedMinor,disputeState,disputedMinor,owedMinor,createdAt,confirmedAt,cancelledAt',
  )
})

it('a field of a row that is not in the contract does not leak', () => {
  const leaky = { ...event, secret: 1, sections: [{ ...event.sections[0], secret: 1 }] } as unknown as Event
  for (const body of [
    eventBody(leaky),
    holdBody({ ...hold, secret: 1 } as Hold),
    bookingBody({ ...booking, secret: 1 } as Booking),
  ])
    expect(JSON.stringify(body)).not.toMatch(/secret|accountId/)
})

it.each([
  ['an event', bookingRenderings.eventCreated(event), 201, `/v1/events/${event.id}`],
  ['a hold', bookingRenderings.holdCreated(hold), 201, `/v1/holds/${hold.id}`],
  ['a hold that changed', bookingRenderings.holdChanged(hold), 200, null],
  ['a booking', bookingRenderings.checkoutEnded({ kind: 'booked', booking }), 201, `/v1/bookings/${booking.id}`],
  ['seats that were gone', bookingRenderings.checkoutEnded({ kind: 'seats-gone', hold }), 410, null],
  ['money without seats', bookingRenderings.checkoutEnded({ kind: 'paid-without-seats', hold }), 409, null],
  ['a cancellation', bookingRenderings.cancellationEnded({ kind: 'cancelled', booking }), 200, null],
])('%s is recorded with its status and its place', (_what, answer, status, location) => {
  expect([answer.status, answer.location]).toEqual([status, location])
  expect(() => JSON.parse(answer.body)).not.toThrow()
})
