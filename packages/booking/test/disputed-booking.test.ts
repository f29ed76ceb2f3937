import { randomUUID } from 'node:crypto'
import { createPaymentOperations, type NewRefundRequest } from '@seatbelt/payments'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { dispute } from '../../payments/test/dispute-support.ts'
import { findBooking } from '../src/booking/booking-queries.ts'
import { booksOfHold } from './books-of-hold.ts'
import {
  accountId,
  type BoxOffice,
  bodyOf,
  bookingIn,
  brief,
  call,
  insertHold,
  openBoxOffice,
  type Window,
} from './box-office.ts'

let office: BoxOffice
let api: Window

beforeAll(async () => {
  office = await openBoxOffice()
  api = await office.open('booking-api-1')
})
beforeEach(() => office.faults())
afterAll(() => office?.close())

async function booked() {
  const event = await office.newEvent()
  const holdId = await insertHold(office, event, { seatIds: event.seatIds.slice(0, 2) })
  const { id: bookingId, paymentId } = bookingIn(await api.checkOut(holdId))
  return { holdId, bookingId, paymentId }
}

const shown = (bookingId: string) => findBooking(api.deps.payments.database, accountId, bookingId)
const faultsAbout = (id: string) =>
  api
    .faults()
    .map(String)
    .filter((fault) => fault.includes(id))
const booksOf = (holdId: string) => booksOfHold(office, holdId)
const standing = { booking: 'confirmed', order: 'paid', claims: 2, seats: 2, refunded: 0 }
const freed = { booking: 'cancelled', claims: 0, seats: 0 }

describe('a booking whose payment is disputed', () => {
  it('shows it, stands, and cannot be cancelled while the dispute is open', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    const opened = await dispute(office, { paymentId })
    await opened.deliver(api.replica, 'funds_withdrawn')
    expect(await shown(bookingId)).toMatchObject({ state: 'confirmed', disputeState: 'open', disputedMinor: 10_000 })
    const asked = await api.cancel(bookingId)
    expect(asked).toMatchObject({ kind: 'refused', refusal: { code: 'payment-disputed', disputeState: 'open' } })
    expect(asked).not.toHaveProperty('refusal.retryAfterSeconds')
    expect(await booksOf(holdId)).toMatchObject(standing)
  })

  it('is cancelled without a refund when the dispute was lost, because the customer has the money', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    const opened = await dispute(office, { paymentId })
    await opened.step('lose')
    await opened.deliver(api.replica, 'closed')
    expect(await shown(bookingId)).toMatchObject({ state: 'confirmed', disputeState: 'lost', disputedMinor: 10_000 })
    expect(bookingIn(await api.cancel(bookingId))).toMatchObject({ state: 'cancelled', refundId: null, owedMinor: 0 })
    expect(await booksOf(holdId)).toMatchObject({ ...freed, order: 'paid', refunded: 0 })
  })

  it('is cancelled and refunded when the dispute was won', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    const opened = await dispute(office, { paymentId })
    await opened.step('win')
    await opened.deliver(api.replica, 'closed')
    expect(await shown(bookingId)).toMatchObject({ disputeState: 'won', disputedMinor: 0 })
    expect(brief(await api.cancel(bookingId))).toBe('answered 200')
    expect(await booksOf(holdId)).toMatchObject({ ...freed, order: 'refunded', refunded: 10_000 })
  })

  it('is cancelled and refunded only once a dispute that was won has given the money back', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    const opened = await dispute(office, { paymentId })
    await opened.step('win-unpaid')
    await opened.deliver(api.replica, 'closed')
    expect(await shown(bookingId)).toMatchObject({ disputeState: 'won', disputedMinor: 10_000 })
    const asked = await api.cancel(bookingId)
    expect(asked).toMatchObject({ kind: 'refused', refusal: { code: 'payment-disputed', disputeState: 'won' } })
    expect(await booksOf(holdId)).toMatchObject(standing)
    await opened.step('reinstate')
    await opened.deliver(api.replica, 'funds_reinstated')
    expect(brief(await api.cancel(bookingId))).toBe('answered 200')
    expect(await booksOf(holdId)).toMatchObject({ ...freed, order: 'refunded', refunded: 10_000 })
    expect(faultsAbout(paymentId)).toEqual([])
  })

  it('and was cancelled after a lost one: an appeal that is won raises an alarm, and the money is owed', async () => {
    const { bookingId, paymentId } = await booked()
    const opened = await dispute(office, { paymentId })
    await opened.step('lose')
    await opened.deliver(api.replica, 'closed')
    expect(bookingIn(await api.cancel(bookingId))).toMatchObject({ state: 'cancelled', owedMinor: 0 })
    await opened.step('reinstate')
    expect(await opened.deliver(api.replica, 'funds_reinstated')).toBe('applied')
    expect(await opened.deliver(api.replica, 'funds_reinstated')).toBe('repeated')
    expect(faultsAbout(paymentId)).toEqual([
      expect.stringMatching(/booking .* is cancelled, and dispute .* 10000 that/),
    ])
    expect(await shown(bookingId)).toMatchObject({ state: 'cancelled', owedMinor: 10_000 })
    const request: NewRefundRequest = { paymentId, amountMinor: null, reason: null }
    const refunded = await createPaymentOperations(api.deps.payments).refundPayment(
      call(randomUUID(), request),
      request,
    )
    expect(brief(refunded)).toBe('answered 201')
    expect(await shown(bookingId)).toMatchObject({ owedMinor: 0 })
  })

  it('keeps its seats when the dispute is learned of while the cancellation asks for the money', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    const window = await office.open('slow', {
      gateway: (real) => ({
        ...real,
        createRefund: async (...asked) => {
          const opened = await dispute(office, { paymentId })
          expect(await opened.deliver(api.replica, 'funds_withdrawn')).toBe('applied')
          return real.createRefund(...asked)
        },
      }),
    })
    const answer = await window.cancel(bookingId)
    expect(bodyOf(answer)).toMatchObject({ kind: 'refund-failed', outcome: { failureCode: 'charge_disputed' } })
    expect(await booksOf(holdId)).toMatchObject(standing)
  })
})
