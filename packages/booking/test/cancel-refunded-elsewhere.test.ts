import { randomUUID } from 'node:crypto'
import { CommitUnknown } from '@seatbelt/database'
import { recordRefundOutside } from '@seatbelt/payments'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { atConsole, deliverEvent, intentOf } from '../../payments/test/gateway-console.ts'
import { findBooking } from '../src/booking/booking-queries.ts'
import { cancelWithoutRefund } from '../src/booking/cancel-without-refund.ts'
import { booksOfHold } from './books-of-hold.ts'
import {
  accountId,
  type BoxOffice,
  bodyOf,
  bookingIn,
  brief,
  insertHold,
  openBoxOffice,
  recoverEverything,
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
  const seatIds = event.seatIds.slice(0, 2)
  const holdId = await insertHold(office, event, { seatIds })
  const { id: bookingId, paymentId } = bookingIn(await api.checkOut(holdId))
  return { event, seatIds, holdId, bookingId, paymentId, intentId: await intentOf(office, paymentId) }
}

async function refundsOf(paymentId: string) {
  const rows = await office.sql<{ line: string }>(
    `SELECT origin || ' ' || amount_minor || ' ' || state AS line FROM refunds WHERE payment_id = $1 ORDER BY id`,
    [paymentId],
  )
  return rows.map(({ line }) => line)
}

/** A process that ends with the commit that learned of the console's refund: it cannot read the database afterwards. */
async function windowThatDiesAfterRefusal() {
  let isRefused = false
  return office.open('mortal', {
    gateway: (real) => ({
      ...real,
      createRefund: async (...asked) => {
        isRefused = true
        return real.createRefund(...asked)
      },
    }),
    database: (real) => ({
      ...real,
      query: (statement) => (isRefused ? Promise.reject(new Error('it is dead')) : real.query(statement)),
    }),
  })
}

const booksOf = (holdId: string) => booksOfHold(office, holdId)
const cancelled = { booking: 'cancelled', order: 'refunded', claims: 0, seats: 0, refunded: 10_000 }
const standing = { booking: 'confirmed', claims: 2, seats: 2 }

describe("a booking whose payment was refunded at the gateway's console", () => {
  it('in full, without our books knowing: is cancelled at once, and its seats are sold again', async () => {
    const { event, seatIds, holdId, bookingId, intentId } = await booked()
    await atConsole(office, intentId, 'refund')
    const key = randomUUID()
    expect(bookingIn(await api.cancel(bookingId, key))).toMatchObject({ state: 'cancelled' })
    expect(brief(await api.cancel(bookingId, key))).toBe('answered 200')
    expect(await booksOf(holdId)).toMatchObject(cancelled)
    const other = await insertHold(office, event, { seatIds }, { forCustomer: 'customer-2' })
    expect(brief(await api.checkOut(other, { customerId: 'customer-2' }))).toBe('answered 201')
  })

  it('in part, without our books knowing: one cancellation refunds the rest under one key', async () => {
    const { holdId, bookingId, paymentId, intentId } = await booked()
    await atConsole(office, intentId, 'refund', 1_000)
    const key = randomUUID()
    const answer = await api.cancel(bookingId, key)
    expect(bookingIn(answer)).toMatchObject({ state: 'cancelled' })
    expect(await api.cancel(bookingId, key)).toEqual({ ...answer, replayed: true })
    expect(await booksOf(holdId)).toMatchObject(cancelled)
    expect(await refundsOf(paymentId)).toEqual([
      'merchant 10000 failed',
      'gateway 1000 succeeded',
      'merchant 9000 succeeded',
    ])
  })

  it('in part, whose cancellation dies before the rest: recovery refunds it, and the key is answered', async () => {
    const { holdId, bookingId, intentId } = await booked()
    await atConsole(office, intentId, 'refund', 1_000)
    const mortal = await windowThatDiesAfterRefusal()
    const key = randomUUID()
    expect((await mortal.cancel(bookingId, key)).kind).toBe('unsettled')
    expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelling', claims: 2, seats: 2, refunded: 1_000 })
    expect((await api.cancel(bookingId, key)).kind).toBe('unsettled')
    await recoverEverything(office, api)
    expect(await api.cancel(bookingId, key)).toMatchObject({ kind: 'answered', answer: { status: 200 } })
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('in part, again and again while it is cancelled: each time the rest is refunded', async () => {
    const { holdId, bookingId, intentId } = await booked()
    let refunds = 0
    const window = await office.open('overtaken', {
      gateway: (real) => ({
        ...real,
        createRefund: async (...asked) => {
          refunds += 1
          if (refunds <= 3) await atConsole(office, intentId, 'refund', 1_000)
          return real.createRefund(...asked)
        },
      }),
    })
    const key = randomUUID()
    expect((await window.cancel(bookingId, key)).kind).toBe('unsettled')
    await recoverEverything(office, window)
    expect(brief(await window.cancel(bookingId, key))).toBe('answered 200')
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('in part, and the rest cannot be refunded: stands, and the answer says what is left', async () => {
    const { holdId, bookingId, intentId } = await booked()
    await atConsole(office, intentId, 'refund', 1_000)
    await office.faults({ on: 'refund', kind: 'refuse-refund', rate: 1, code: 'charge_disputed' })
    expect(bodyOf(await api.cancel(bookingId))).toMatchObject({
      kind: 'refund-failed',
      askedMinor: 10_000,
      refundableMinor: 9_000,
    })
    expect(await booksOf(holdId)).toMatchObject({ ...standing, order: 'partially_refunded', refunded: 1_000 })
  })

  it('and whose event has arrived: stands, is cancelled without a request, or for the rest', async () => {
    for (const amount of [undefined, 4_000]) {
      const { holdId, bookingId, intentId } = await booked()
      const { id } = await atConsole(office, intentId, 'refund', amount)
      expect(await deliverEvent(office, api.replica, 'refund.created', id)).toBe('applied')
      expect(await booksOf(holdId)).toMatchObject({ ...standing, refunded: amount ?? 10_000 })
      expect(await findBooking(api.deps.payments.database, accountId, bookingId)).toMatchObject({
        state: 'confirmed',
        capturedMinor: 10_000,
        refundedMinor: amount ?? 10_000,
      })
      expect(brief(await api.cancel(bookingId))).toBe('answered 200')
      expect(await booksOf(holdId)).toMatchObject(cancelled)
    }
  })

  it('while its cancellation asks for the same money: is cancelled by the look that follows', async () => {
    const { holdId, bookingId, intentId } = await booked()
    const window = await office.open('slow', {
      gateway: (real) => ({
        ...real,
        createRefund: async (...asked) => {
          const { id } = await atConsole(office, intentId, 'refund')
          expect(await deliverEvent(office, api.replica, 'refund.created', id)).toBe('contended')
          return real.createRefund(...asked)
        },
      }),
    })
    expect(brief(await window.cancel(bookingId))).toBe('answered 200')
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })
})

it.each(['charge_disputed', 'charge_not_refundable', 'balance_insufficient'])(
  'a booking whose refund the gateway refuses with %s stands, and the answer names the code',
  async (code) => {
    const { holdId, bookingId } = await booked()
    await office.faults({ on: 'refund', kind: 'refuse-refund', rate: 1, code })
    const answer = await api.cancel(bookingId)
    expect(bodyOf(answer)).toMatchObject({ kind: 'refund-failed', outcome: { failureCode: code } })
    expect(await booksOf(holdId)).toMatchObject({ ...standing, order: 'paid', refunded: 0 })
  },
)

describe('an operator who cancels without the gateway', () => {
  const ada = { name: 'Ada', reason: 'the dispute was lost' }

  it('frees the seats, leaves the money where it is, and stands in the history', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    await office.faults({ on: 'refund', kind: 'refuse-refund', rate: 1 })
    expect(brief(await api.cancel(bookingId))).toBe('answered 402')
    expect(await cancelWithoutRefund(api.deps, bookingId, ada)).toEqual({ kind: 'cancelled', keptMinor: 10_000 })
    expect(await booksOf(holdId)).toMatchObject({
      booking: 'cancelled',
      order: 'paid',
      claims: 0,
      seats: 0,
      refunded: 0,
    })
    const [line] = await office.sql(
      `SELECT actor, detail FROM payment_events WHERE payment_id = $1 AND event = 'operator'`,
      [paymentId],
    )
    expect(line).toEqual({
      actor: 'Ada',
      detail: `booking ${bookingId} cancelled without a refund: the dispute was lost`,
    })
    expect(await cancelWithoutRefund(api.deps, bookingId, { ...ada, name: 'Eve' })).toMatchObject({
      kind: 'not-cancelled',
      state: 'cancelled',
    })
  })

  it('learns that it is done, though its COMMIT was not answered', async () => {
    const { bookingId, paymentId } = await booked()
    let isAnswered = false
    const deaf = await office.open('worker-without-an-answer', {
      database: (real) => ({
        ...real,
        transaction: async (work) => {
          const done = await real.transaction(work)
          if (isAnswered) return done
          isAnswered = true
          throw new CommitUnknown('no answer', { result: done })
        },
      }),
    })
    expect(await cancelWithoutRefund(deaf.deps, bookingId, ada)).toEqual({ kind: 'cancelled', keptMinor: 10_000 })
    const lines = await office.sql(`SELECT 1 FROM payment_events WHERE payment_id = $1 AND event = 'operator'`, [
      paymentId,
    ])
    expect(lines).toHaveLength(1)
  })

  it('records a bank transfer, and the cancellation then frees the seats without the gateway', async () => {
    const { holdId, bookingId, paymentId } = await booked()
    await office.faults({ on: 'refund', kind: 'refuse-refund', rate: 1 })
    expect(brief(await api.cancel(bookingId))).toBe('answered 402')
    const bank = { name: 'Ada', reason: 'by bank transfer' }
    const recorded = await recordRefundOutside(api.deps.payments, { paymentId, amountMinor: null }, bank)
    expect(recorded).toMatchObject({ kind: 'recorded', refund: { origin: 'operator', amountMinor: 10_000 } })
    expect(await findBooking(api.deps.payments.database, accountId, bookingId)).toMatchObject({
      state: 'confirmed',
      refundedMinor: 10_000,
    })
    expect(bookingIn(await api.cancel(bookingId))).toMatchObject({ state: 'cancelled' })
    expect(await booksOf(holdId)).toMatchObject(cancelled)
  })

  it('changes nothing while a refund is open, and nothing of a booking that is not there', async () => {
    const { holdId, bookingId } = await booked()
    await office.faults({ on: 'refund', kind: 'drop-after', rate: 1 })
    expect((await api.cancel(bookingId)).kind).toBe('unsettled')
    expect(await cancelWithoutRefund(api.deps, bookingId, ada)).toMatchObject({
      kind: 'not-cancelled',
      state: 'cancelling',
      isRefundOpen: true,
    })
    expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelling', claims: 2 })
    expect(await cancelWithoutRefund(api.deps, randomUUID(), ada)).toEqual({ kind: 'not-found' })
  })
})

it('a checkout of which the console captures a part is booked, and its cancellation refunds that part', async () => {
  const event = await office.newEvent()
  const holdId = await insertHold(office, event, { seatIds: event.seatIds.slice(0, 2) })
  await office.faults({ on: 'capture', kind: 'drop-before', rate: 1 }, { on: 'retrieve', kind: 'drop-before', rate: 1 })
  expect((await api.checkOut(holdId)).kind).toBe('unsettled')
  await office.faults()
  const [row] = await office.sql<{ id: string; paymentId: string }>(
    'SELECT id, payment_id AS "paymentId" FROM bookings WHERE hold_id = $1',
    [holdId],
  )
  const intentId = await intentOf(office, row?.paymentId ?? '')
  await atConsole(office, intentId, 'capture', 6_000)
  expect(await deliverEvent(office, api.replica, 'payment_intent.succeeded', intentId)).toBe('applied')
  expect(await booksOf(holdId)).toMatchObject({ ...standing, order: 'paid' })
  expect(brief(await api.cancel(row?.id ?? ''))).toBe('answered 200')
  expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelled', order: 'refunded', refunded: 6_000, claims: 0 })
})
