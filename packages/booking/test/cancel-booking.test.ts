import { randomUUID } from 'node:crypto'
import { createPaymentOperations, type NewRefundRequest } from '@seatbelt/payments'
import type { Gateway } from '@seatbelt/safety'
import { createLatch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { call } from '../../payments/test/shop.ts'
import { booksOfHold } from './books-of-hold.ts'
import {
  type BoxOffice,
  type BoxOfficeParts,
  bookingIn,
  brief,
  insertHold,
  openBoxOffice,
  recoverEverything,
  type Window,
} from './box-office.ts'

let office: BoxOffice
let api: Window
let worker: Window

beforeAll(async () => {
  office = await openBoxOffice()
  api = await office.open('booking-api-1')
  worker = await office.open('worker-1')
})
beforeEach(() => office.faults())
afterAll(() => office?.close())

async function booked(paymentMethod = 'pm_card_visa') {
  const event = await office.newEvent()
  const seatIds = event.seatIds.slice(0, 2)
  const holdId = await insertHold(office, event, { seatIds })
  const { id: bookingId, paymentId } = bookingIn(await api.checkOut(holdId, { paymentMethod }))
  return { event, seatIds, holdId, bookingId, paymentId }
}

const booksOf = (holdId: string) => booksOfHold(office, holdId)
const cancelled = { booking: 'cancelled', order: 'refunded', charges: 1, claims: 0, seats: 0, refunded: 10_000 }
const standing = { booking: 'confirmed', charges: 1, claims: 2, seats: 2 }

/** The layers below the Redis lock must refuse as well. */
const passingRedis: NonNullable<BoxOfficeParts['layers']> = () => ({ redisLock: (_, work) => work() })

/** By the payments API. */
function refund(window: Window, paymentId: string, amountMinor: number | null = null, key: string = randomUUID()) {
  const request: NewRefundRequest = { paymentId, amountMinor, reason: null }
  return createPaymentOperations(window.replica.deps).refundPayment(call(key, request), request)
}

async function windowThatStandsStill(by: string) {
  const patience = { boundMs: 15_000 }
  const [reached, goOn] = [createLatch(`${by} reached the gateway`, patience), createLatch(`${by} goes on`, patience)]
  const window = await office.open(by, {
    gateway: (real: Gateway): Gateway => ({
      ...real,
      createRefund: async (...asked) => {
        reached.open()
        await goOn.wait()
        return real.createRefund(...asked)
      },
    }),
  })
  return { window, reached, goOn }
}

describe('cancelling a booking', () => {
  it('refunds the money once and frees the seats, which another customer then buys', async () => {
    const { holdId, bookingId, event, seatIds } = await booked()
    expect(bookingIn(await api.cancel(bookingId))).toMatchObject({ id: bookingId, state: 'cancelled' })
    expect(await booksOf(holdId)).toMatchObject(cancelled)
    const other = await insertHold(office, event, { seatIds }, { forCustomer: 'customer-2' })
    expect(brief(await api.checkOut(other, { customerId: 'customer-2' }))).toBe('answered 201')
    expect(await booksOf(other)).toMatchObject(standing)
  })

  it('frees places', async () => {
    const event = await office.newEvent()
    const holdId = await insertHold(office, event, { places: 3 })
    const { id } = bookingIn(await api.checkOut(holdId))
    expect(await booksOf(holdId)).toMatchObject({ sold: 3, held: 0 })
    await api.cancel(id)
    expect(await booksOf(holdId)).toMatchObject({ sold: 0, held: 0, refunded: 6_000 })
  })

  it('twenty times at once with different keys refunds once, and refuses the others', async () => {
    const { holdId, bookingId } = await booked()
    const results = valuesOf(await raceCopies(20, (copy) => (copy % 2 ? api : worker).cancel(bookingId)))
    const answers = results.map(brief)
    expect(answers.filter((answer) => answer === 'answered 200')).toHaveLength(1)
    expect(
      answers.filter((answer) => !/^answered 200$|^refused booking-(in-progress|cancelled)$/.test(answer)),
    ).toEqual([])
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('again with the same key returns the same answer, and with another key is refused', async () => {
    const { bookingId } = await booked()
    const key = randomUUID()
    const first = await api.cancel(bookingId, key)
    expect(await worker.cancel(bookingId, key)).toEqual({ ...first, replayed: true })
    expect(brief(await api.cancel(bookingId))).toBe('refused booking-cancelled')
  })

  it('is refused as not found for an unknown booking', async () => {
    expect(brief(await api.cancel(randomUUID()))).toBe('refused booking-not-found')
  })

  it('is refused for now while the booking is not paid', async () => {
    const event = await office.newEvent()
    const holdId = await insertHold(office, event, { seatIds: event.seatIds.slice(0, 2) })
    await office.faults(
      { on: 'capture', kind: 'error-before', rate: 1 },
      { on: 'retrieve', kind: 'error-before', rate: 1 },
    )
    expect((await api.checkOut(holdId)).kind).toBe('unsettled')
    const [row] = await office.sql<{ id: string }>('SELECT id FROM bookings WHERE hold_id = $1', [holdId])
    expect(brief(await api.cancel(row?.id ?? ''))).toBe('refused booking-in-progress')
    await office.faults()
    await recoverAll()
    expect(await booksOf(holdId)).toMatchObject(standing)
  })
})

describe('beside the payments API', () => {
  it('a full refund and a cancellation at the same moment refund once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { holdId, bookingId, paymentId } = await booked()
      await raceCopies(6, async (copy) => (copy % 2 ? api.cancel(bookingId) : refund(worker, paymentId)))
      expect(await booksOf(holdId)).toMatchObject({ refunded: 10_000, charges: 1 })
      await api.cancel(bookingId)
      expect(await booksOf(holdId)).toMatchObject(cancelled)
    }
  })

  it('a cancellation refunds only what was not refunded before', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    await refund(api, paymentId, 4_000)
    expect(bookingIn(await api.cancel(bookingId)).state).toBe('cancelled')
    const [row] = await office.sql<{ amounts: number[] }>(
      'SELECT array_agg(amount_minor ORDER BY id) AS amounts FROM refunds WHERE payment_id = $1',
      [paymentId],
    )
    expect(row?.amounts).toEqual([4_000, 6_000])
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('after a full refund, a cancellation frees the seats without a request to the gateway', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    await refund(api, paymentId)
    expect(bookingIn(await api.cancel(bookingId))).toMatchObject({ state: 'cancelled', refundId: null })
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('while the outcome of a refund is unknown, a cancellation is refused for now', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    const { window, reached, goOn } = await windowThatStandsStill('refunding')
    const refunding = refund(window, paymentId)
    await reached.wait()
    const withoutRedis = await office.open('cancels-without-redis', { layers: passingRedis })
    expect(brief(await withoutRedis.cancel(bookingId))).toBe('refused booking-in-progress')
    expect(await booksOf(holdId)).toMatchObject(standing)
    goOn.open()
    expect(brief(await refunding)).toBe('answered 201')
    expect(bookingIn(await api.cancel(bookingId)).state).toBe('cancelled')
  })

  it('while a refund waits for an operator, so does the booking, and nothing says to ask again', async () => {
    const { bookingId } = await booked()
    await office.faults(
      { on: 'refund', kind: 'drop-after', rate: 1, times: 1 },
      { on: 'list-refunds', kind: 'error-before', rate: 1 },
    )
    const key = randomUUID()
    expect(await api.cancel(bookingId, key)).toMatchObject({ kind: 'unsettled', subject: { isInReview: false } })
    const inReview = { kind: 'refused', refusal: { code: 'booking-in-review', bookingId } }
    expect(brief(await api.cancel(bookingId))).toBe('refused booking-in-progress')
    await office.sql(`UPDATE refunds SET state = 'needs_review' WHERE state = 'processing'`)
    expect(await api.cancel(bookingId)).toEqual(inReview)
    expect(await api.cancel(bookingId, key)).toMatchObject({ kind: 'unsettled', subject: { isInReview: true } })
    await office.faults()
    await recoverAll()
  })

  it('while another refund of its payment waits for an operator, it is refused in the same way', async () => {
    const { bookingId, paymentId } = await booked()
    await office.faults(
      { on: 'refund', kind: 'drop-after', rate: 1, times: 1 },
      { on: 'list-refunds', kind: 'error-before', rate: 1 },
    )
    expect(brief(await refund(api, paymentId, 100))).toBe('unsettled')
    await office.sql(`UPDATE refunds SET state = 'needs_review' WHERE state = 'processing'`)
    expect(brief(await api.cancel(bookingId))).toBe('refused booking-in-review')
    await office.faults()
    await recoverAll()
  })

  it('a refund during the effect of a cancellation finds nothing left', async () => {
    const { bookingId, paymentId, holdId } = await booked()
    const { window, reached, goOn } = await windowThatStandsStill('cancelling')
    const cancelling = window.cancel(bookingId)
    await reached.wait()
    expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelling', claims: 2, seats: 2 })
    expect(brief(await refund(api, paymentId))).toBe('refused payment-in-progress')
    const withoutRedis = await office.open('without-redis', { layers: passingRedis })
    expect(brief(await refund(withoutRedis, paymentId))).toBe('refused refund-exceeds-payment')
    goOn.open()
    expect(brief(await cancelling)).toBe('answered 200')
  })
})

describe('a cancellation whose refund', () => {
  it('is refused by the gateway leaves the booking and its seats, and can be tried again', async () => {
    const { holdId, bookingId } = await booked()
    const window = await office.open('refused-refund', {
      gateway: (real) => ({
        ...real,
        createRefund: async () => ({
          kind: 'rejected',
          status: 400,
          errorCode: 'charge_disputed',
          about: 'state',
          message: null,
          requestId: null,
        }),
      }),
    })
    const key = randomUUID()
    expect(brief(await window.cancel(bookingId, key))).toBe('answered 402')
    expect(await booksOf(holdId)).toMatchObject({ ...standing, refunded: 0, order: 'paid' })
    expect(brief(await api.cancel(bookingId, key))).toBe('answered 402')
    expect(brief(await api.cancel(bookingId))).toBe('answered 200')
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('is pending at the bank is done, and the seats are free', async () => {
    const { holdId, bookingId } = await booked('pm_card_pendingRefund')
    expect(bookingIn(await api.cancel(bookingId)).state).toBe('cancelled')
    expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelled', claims: 0, seats: 0 })
  })

  it('has an unknown outcome is unsettled, and the same key returns the outcome later', async () => {
    const { holdId, bookingId } = await booked()
    await office.faults(
      { on: 'refund', kind: 'drop-after', rate: 1, times: 1 },
      { on: 'list-refunds', kind: 'error-before', rate: 1 },
    )
    const key = randomUUID()
    expect(await api.cancel(bookingId, key)).toMatchObject({
      kind: 'unsettled',
      subject: { id: bookingId, state: 'cancelling' },
    })
    expect(await api.cancel(bookingId, key)).toMatchObject({
      kind: 'unsettled',
      subject: { id: bookingId, state: 'cancelling' },
    })
    expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelling', claims: 2, seats: 2 })
    await office.faults()
    await recoverAll()
    expect(bookingIn(await api.cancel(bookingId, key)).state).toBe('cancelled')
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })
})

const recoverAll = () => recoverEverything(office, worker)
