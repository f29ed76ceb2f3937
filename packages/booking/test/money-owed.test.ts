import { randomUUID } from 'node:crypto'
import { createPaymentOperations, type NewRefundRequest } from '@seatbelt/payments'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deliverEvent } from '../../payments/test/gateway-console.ts'
import { bankDecides } from '../../payments/test/refund-support.ts'
import { call } from '../../payments/test/shop.ts'
import { findBooking } from '../src/booking/booking-queries.ts'
import { cancelWithoutRefund } from '../src/booking/cancel-without-refund.ts'
import { findHold } from '../src/hold/hold-queries.ts'
import {
  accountId,
  type BoxOffice,
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
  // Banks decide only when a test says so.
  office = await openBoxOffice({ refundChangeMs: 3_600_000 })
  api = await office.open('booking-api-1')
  worker = await office.open('worker-1')
})
beforeEach(() => office.faults())
afterAll(() => office?.close())

async function held() {
  const event = await office.newEvent()
  return insertHold(office, event, { seatIds: event.seatIds.slice(0, 2) })
}

async function booked(paymentMethod = 'pm_card_visa') {
  const holdId = await held()
  const { id: bookingId, paymentId, orderId } = bookingIn(await api.checkOut(holdId, { paymentMethod }))
  return { holdId, bookingId, paymentId, orderId }
}

const pendingAtBank = 'pm_card_pendingRefund'
const shown = (bookingId: string) => findBooking(api.deps.payments.database, accountId, bookingId)
const faultsAbout = (orderId: string) =>
  [...api.faults(), ...worker.faults()].map(String).filter((fault) => fault.includes(orderId))

/** By the payments API. */
async function refund(paymentId: string, amountMinor: number | null = null) {
  const request: NewRefundRequest = { paymentId, amountMinor, reason: null }
  return createPaymentOperations(api.replica.deps).refundPayment(call(randomUUID(), request), request)
}

/** The bank sends the newest refund of the payment back, and the gateway's event arrives. */
async function bankSendsBack(paymentId: string, which: 'newest' | 'oldest' = 'newest') {
  const rows = await office.sql<{ gatewayRefundId: string }>(
    'SELECT gateway_refund_id AS "gatewayRefundId" FROM refunds WHERE payment_id = $1 ORDER BY id',
    [paymentId],
  )
  const id = rows.at(which === 'newest' ? -1 : 0)?.gatewayRefundId ?? ''
  await bankDecides(office, id, 'fail')
  return { id, deliver: () => deliverEvent(office, worker.replica, 'refund.failed', id) }
}

describe('a refund that fails after the seats of its booking were released', () => {
  it.each([
    ['while it was pending', pendingAtBank],
    ['after it had succeeded', 'pm_card_visa'],
  ])('%s: raises an alarm once, and the booking shows what is owed until it is refunded', async (_, card) => {
    const { bookingId, paymentId, orderId } = await booked(card)
    expect(brief(await api.cancel(bookingId))).toBe('answered 200')
    expect(await shown(bookingId)).toMatchObject({ state: 'cancelled', owedMinor: 0 })
    const { deliver } = await bankSendsBack(paymentId)
    expect(await deliver()).toBe('applied')
    expect(await deliver()).toBe('repeated')
    expect(faultsAbout(orderId)).toEqual([expect.stringMatching(/booking .* is cancelled, and its refund .* failed/)])
    expect(await shown(bookingId)).toMatchObject({ state: 'cancelled', owedMinor: 10_000 })
    await refund(paymentId)
    expect(await shown(bookingId)).toMatchObject({ owedMinor: 0 })
  })

  it('and whose event is lost: is found by recovery', async () => {
    const { bookingId, paymentId, orderId } = await booked(pendingAtBank)
    await api.cancel(bookingId)
    await bankSendsBack(paymentId)
    await office.sql(`UPDATE refunds SET next_attempt_at = now() - interval '1 second' WHERE payment_id = $1`, [
      paymentId,
    ])
    await recoverEverything(office, worker)
    expect(faultsAbout(orderId)).toHaveLength(1)
    expect(await shown(bookingId)).toMatchObject({ owedMinor: 10_000 })
  })

  it('and that was made before the cancellation, of a part: is owed as well', async () => {
    const { bookingId, paymentId, orderId } = await booked(pendingAtBank)
    await refund(paymentId, 4_000)
    await api.cancel(bookingId)
    const { deliver } = await bankSendsBack(paymentId, 'oldest')
    expect(await deliver()).toBe('applied')
    expect(faultsAbout(orderId)).toHaveLength(1)
    expect(await shown(bookingId)).toMatchObject({ owedMinor: 4_000 })
  })
})

describe('nothing is owed, and no alarm is raised', () => {
  it('when a refund fails whose booking stands', async () => {
    const { bookingId, paymentId, orderId } = await booked(pendingAtBank)
    await refund(paymentId, 4_000)
    const { deliver } = await bankSendsBack(paymentId)
    expect(await deliver()).toBe('applied')
    expect(faultsAbout(orderId)).toEqual([])
    expect(await shown(bookingId)).toMatchObject({ state: 'confirmed', owedMinor: 0 })
  })

  it('when an operator cancels after the refund had failed', async () => {
    const { bookingId, orderId } = await booked()
    await office.faults({ on: 'refund', kind: 'refuse-refund', rate: 1 })
    expect(brief(await api.cancel(bookingId))).toBe('answered 402')
    const ada = { name: 'Ada', reason: 'paid by bank transfer' }
    expect(await cancelWithoutRefund(api.deps, bookingId, ada)).toMatchObject({ kind: 'cancelled' })
    expect(faultsAbout(orderId)).toEqual([])
    expect(await shown(bookingId)).toMatchObject({ state: 'cancelled', owedMinor: 0 })
  })
})

describe('a checkout whose money is reserved and not yet taken', () => {
  const hold = (holdId: string) => findHold(api.deps.payments.database, accountId, holdId)

  it('shows no booked hold, and its booking shows the payment', async () => {
    const holdId = await held()
    await office.faults(
      { on: 'capture', kind: 'error-before', rate: 1 },
      { on: 'retrieve', kind: 'error-before', rate: 1 },
    )
    expect((await api.checkOut(holdId)).kind).toBe('unsettled')
    const pending = await hold(holdId)
    expect(pending).toMatchObject({ state: 'checking_out', bookingState: 'pending' })
    const bookingId = pending?.bookingId ?? ''
    expect(await shown(bookingId)).toMatchObject({ state: 'pending', paymentState: 'capturing', capturedMinor: 0 })
    await office.faults()
    await recoverEverything(office, worker)
    expect(await hold(holdId)).toMatchObject({ state: 'booked', bookingState: 'confirmed' })
    expect(await shown(bookingId)).toMatchObject({ state: 'confirmed', paymentState: 'succeeded' })
    expect(bookingIn(await api.cancel(bookingId))).toMatchObject({ paymentState: 'succeeded' })
    expect(await hold(holdId)).toMatchObject({ state: 'released', bookingState: 'cancelled' })
  })

  it('and whose capture is refused: shows no booked hold, and a booking without money', async () => {
    const holdId = await held()
    expect(brief(await api.checkOut(holdId, { paymentMethod: 'pm_card_seatbelt_captureFails' }))).toBe('answered 402')
    const voided = await hold(holdId)
    expect(voided).toMatchObject({ state: 'released', bookingState: 'cancelled' })
    expect(await shown(voided?.bookingId ?? '')).toMatchObject({ state: 'cancelled', paymentState: 'voided' })
  })
})
