import { randomUUID } from 'node:crypto'
import { CommitUnknown } from '@seatbelt/database'
import { applyGatewayEvent, createPaymentOperations } from '@seatbelt/payments'
import type { Gateway } from '@seatbelt/safety'
import { createLatch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { letLeasesRunOut, letTimePass } from '../../payments/test/shop.ts'
import { endOverdueCheckout } from '../src/booking/end-overdue-checkout.ts'
import { booksOfHold } from './books-of-hold.ts'
import {
  accountId,
  type BoxOffice,
  bodyOf,
  bookingIn,
  brief,
  customerId,
  insertHold,
  openBoxOffice,
  recoverEverything,
  type SoldEvent,
  type Window,
} from './box-office.ts'
import { openStoppable } from './holding.ts'

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

const declined = 'pm_card_visa_chargeDeclined'
const captureFails = 'pm_card_seatbelt_captureFails'

async function held(seats = 2): Promise<{ event: SoldEvent; holdId: string; seatIds: readonly string[] }> {
  const event = await office.newEvent()
  const seatIds = event.seatIds.slice(0, seats)
  return { event, seatIds, holdId: await insertHold(office, event, { seatIds }) }
}

const booksOf = (holdId: string) => booksOfHold(office, holdId)
const nothing = { booking: 'none', charges: 0, seats: 0, refunded: 0 }

async function statusOfHold(
  holdId: string,
): Promise<{ state: string; leftSeconds: number; claimedSeconds: number | null }> {
  const [row] = await office.sql<{ state: string; leftSeconds: number; claimedSeconds: number | null }>(
    `SELECT state::text, extract(epoch FROM expires_at - now())::float8 AS "leftSeconds",
            (SELECT min(extract(epoch FROM seat_claims.expires_at - now()))::float8
               FROM seat_claims WHERE hold_id = holds.id) AS "claimedSeconds"
       FROM holds WHERE id = $1`,
    [holdId],
  )
  if (!row) throw new Error('no hold')
  return row
}

async function orderOf(holdId: string): Promise<{ orderId: string; paymentId: string }> {
  const [row] = await office.sql<{ orderId: string; paymentId: string }>(
    `SELECT order_id AS "orderId", (SELECT id FROM payments WHERE payments.order_id = holds.order_id) AS "paymentId"
       FROM holds WHERE id = $1`,
    [holdId],
  )
  if (!row) throw new Error('no order')
  return row
}

/** A process that pauses just before it sends a request to the gateway. */
async function pausedBefore(
  request: 'confirmIntent' | 'captureIntent',
  by: string,
  { beforeCancel = async () => undefined }: { beforeCancel?: (intentId: string) => Promise<unknown> } = {},
) {
  const patience = { boundMs: 15_000 }
  const [reached, goOn] = [createLatch(`${by} reached ${request}`, patience), createLatch(`${by} goes on`, patience)]
  const window = await office.open(by, {
    gateway: (real: Gateway): Gateway => ({
      ...real,
      [request]: async (...asked: unknown[]) => {
        reached.open()
        await goOn.wait()
        return (real[request] as (...asked: unknown[]) => unknown)(...asked)
      },
      cancelIntent: async (intentId, ...asked) => {
        await beforeCancel(intentId)
        return real.cancelIntent(intentId, ...asked)
      },
    }),
  })
  return { window, reached, goOn }
}

/** By hand, past the triggers: the rows are wrong, and no customer may pay for that. */
async function byHand(statement: string, parameters: unknown[]): Promise<void> {
  await office.sql('SET session_replication_role = replica')
  await office.sql(statement, parameters)
  await office.sql('SET session_replication_role = DEFAULT')
}

describe('a checkout', () => {
  it('books the seats, takes the money once, and publishes the change', async () => {
    const { holdId, seatIds, event } = await held()
    const booking = bookingIn(await api.checkOut(holdId))
    expect(booking).toMatchObject({ state: 'confirmed', holdId, seatIds, quantity: 2, amountMinor: 10_000, customerId })
    expect(await booksOf(holdId)).toMatchObject({ hold: 'booked', order: 'paid', charges: 1, pinned: 2, seats: 2 })
    expect(api.published.filter(({ eventId }) => eventId === event.eventId)).toEqual([
      { eventId: event.eventId, seatIds, tierId: null, quantity: 2, state: 'booked' },
    ])
  })

  it('takes at most nine round trips to PostgreSQL, and one when it is repeated', async () => {
    const watched = await openStoppable(office, 'watched')
    const roundTripsOf = async (work: () => Promise<unknown>) => {
      const before = watched.proxy.roundTrips
      await work()
      return watched.proxy.roundTrips - before
    }
    try {
      const { holdId } = await held()
      const key = randomUUID()
      // Key; claim: read, write; store the intent; settle: read, write; settle the capture: read, write.
      expect(await roundTripsOf(() => watched.window.checkOut(holdId, { key }))).toBe(8)
      expect(await roundTripsOf(() => watched.window.checkOut(holdId, { key }))).toBe(1)
      expect(await booksOf(holdId)).toMatchObject({ booking: 'confirmed', charges: 1 })
    } finally {
      await office.closeReplicas('watched')
      await watched.proxy.close()
    }
  })

  it('twenty times at once with different keys pays once, and refuses the others', async () => {
    const { holdId } = await held()
    const results = valuesOf(await raceCopies(20, (copy) => (copy % 2 ? api : worker).checkOut(holdId)))
    const answers = results.map(brief)
    expect(answers.filter((answer) => answer === 'answered 201')).toHaveLength(1)
    expect(new Set(answers)).toEqual(
      new Set(['answered 201', ...answers.filter((answer) => /refused hold-(checking-out|booked)/.test(answer))]),
    )
    expect(await booksOf(holdId)).toMatchObject({ charges: 1, booking: 'confirmed' })
  })

  it('twenty times at once with one key returns the same answer to all', async () => {
    const { holdId } = await held()
    const key = randomUUID()
    await raceCopies(20, (copy) => (copy % 2 ? api : worker).checkOut(holdId, { key }))
    const answer = bodyOf(await api.checkOut(holdId, { key }))
    expect(bodyOf(await worker.checkOut(holdId, { key }))).toEqual(answer)
    expect(await booksOf(holdId)).toMatchObject({ charges: 1, booking: 'confirmed' })
  })

  it('again with another key is refused, with the id of the booking', async () => {
    const { holdId } = await held()
    const { id: bookingId } = bookingIn(await api.checkOut(holdId))
    expect(await api.checkOut(holdId)).toEqual({ kind: 'refused', refusal: { code: 'hold-booked', holdId, bookingId } })
  })

  it('is refused for an unknown, foreign, lapsed or released hold, and changes nothing', async () => {
    const { holdId } = await held()
    const stranger = randomUUID()
    expect(brief(await api.checkOut(stranger))).toBe('refused hold-not-found')
    expect(brief(await api.checkOut(holdId, { customerId: 'customer-2' }))).toBe('refused hold-of-another-customer')
    await office.sql(`UPDATE holds SET expires_at = now() WHERE id = $1`, [holdId])
    expect(brief(await api.checkOut(holdId))).toBe('refused hold-expired')
    await office.sql(`UPDATE holds SET state = 'released' WHERE id = $1`, [holdId])
    expect(brief(await api.checkOut(holdId))).toBe('refused hold-released')
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, order: 'none' })
  })

  it('is refused if one claim was taken over, although the hold is active, and pins nothing', async () => {
    const { holdId, seatIds, event } = await held()
    await office.sql('DELETE FROM seat_claims WHERE seat_id = $1', [seatIds[0]])
    await insertHold(office, event, { seatIds: seatIds.slice(0, 1) }, { forCustomer: 'customer-2' })
    expect(brief(await api.checkOut(holdId))).toBe('refused hold-expired')
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, order: 'none', hold: 'active', claims: 1, pinned: 0 })
  })

  it('keeps its seats while the card is being checked, although their time is over', async () => {
    const { holdId } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'slow-card')
    const slow = window.checkOut(holdId)
    await reached.wait()
    await office.sql(`UPDATE seat_claims SET expires_at = now() - interval '1 hour' WHERE hold_id = $1`, [holdId])
    expect(await office.sql('SELECT FROM seat_claims WHERE hold_id = $1 AND pinned', [holdId])).toHaveLength(2)
    goOn.open()
    expect(brief(await slow)).toBe('answered 201')
  })
})

describe('a declined checkout', () => {
  it('leaves the hold the time that it had when the checkout began, and cancels its order', async () => {
    const { holdId } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'long-decline')
    const checkout = window.checkOut(holdId, { paymentMethod: declined })
    await reached.wait()
    // As if it had begun with 100 s left: whatever time passed since then is not counted.
    await byHand('UPDATE holds SET left_ms = 100000 WHERE id = $1', [holdId])
    goOn.open()
    expect(brief(await checkout)).toBe('answered 402')
    const { state, leftSeconds, claimedSeconds } = await statusOfHold(holdId)
    expect(state).toBe('active')
    expect(leftSeconds).toBeGreaterThan(90)
    expect(leftSeconds).toBeLessThanOrEqual(100.1)
    expect(claimedSeconds).toBeCloseTo(leftSeconds, 0)
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, order: 'cancelled', claims: 2, pinned: 0 })
  })

  it('may be tried with another card, and three times in all: then the seats are free', async () => {
    const { holdId, event, seatIds } = await held()
    for (const state of ['active', 'active', 'expired']) {
      expect(brief(await api.checkOut(holdId, { paymentMethod: declined }))).toBe('answered 402')
      expect((await statusOfHold(holdId)).state).toBe(state)
    }
    expect(brief(await api.checkOut(holdId))).toBe('refused hold-expired')
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, claims: 0 })
    expect(api.published.filter(({ eventId }) => eventId === event.eventId)).toEqual([
      { eventId: event.eventId, seatIds, tierId: null, quantity: 2, state: 'free' },
    ])
  })

  it('frees the places of a tier after the third decline', async () => {
    const event = await office.newEvent()
    const holdId = await insertHold(office, event, { places: 3 })
    for (const held of [3, 3, 0]) {
      await api.checkOut(holdId, { paymentMethod: declined })
      expect(await booksOf(holdId)).toMatchObject({ ...nothing, held, sold: 0 })
    }
  })

  it('does not keep the second card from booking', async () => {
    const { holdId } = await held()
    await api.checkOut(holdId, { paymentMethod: declined })
    expect(bookingIn(await api.checkOut(holdId)).state).toBe('confirmed')
    expect(await booksOf(holdId)).toMatchObject({ charges: 1, order: 'paid', seats: 2 })
  })
})

describe('seats that are gone', () => {
  it('when the money is reserved: the authorization is voided, and no customer is charged', async () => {
    const { holdId, seatIds } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'robbed')
    const key = randomUUID()
    const checkout = window.checkOut(holdId, { key })
    await reached.wait()
    await byHand('DELETE FROM seat_claims WHERE seat_id = $1', [seatIds[0]])
    goOn.open()
    expect(brief(await checkout)).toBe('answered 410')
    expect(bodyOf(await api.checkOut(holdId, { key }))).toMatchObject({ kind: 'seats-gone' })
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, hold: 'expired', order: 'cancelled', claims: 0 })
    expect(window.faults()).toHaveLength(1)
  })

  it('as places of a tier: the authorization is voided, and the counter stays within its bounds', async () => {
    const event = await office.newEvent()
    const holdId = await insertHold(office, event, { places: 3 })
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'robbed-of-places')
    const checkout = window.checkOut(holdId)
    await reached.wait()
    await office.sql('UPDATE tiers SET held = 1 WHERE id = $1', [event.tierId])
    goOn.open()
    expect(brief(await checkout)).toBe('answered 410')
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, hold: 'expired', held: 0, sold: 0 })
  })

  it('while the gateway is silent: others buy them, and the late authorization is voided', async () => {
    const { holdId, event, seatIds } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'silent')
    const key = randomUUID()
    const checkout = window.checkOut(holdId, { key })
    await reached.wait()
    expect(await endOverdueCheckout(worker.deps)).toBe(false)
    // The lease of its owner has expired, the payment is to be abandoned, and its request is still on the wire.
    await letTimePass(office, '11 minutes')
    expect(await endOverdueCheckout(worker.deps)).toBe(true)
    const other = await insertHold(office, event, { seatIds }, { forCustomer: 'customer-2' })
    expect(brief(await api.checkOut(other, { customerId: 'customer-2' }))).toBe('answered 201')
    goOn.open()
    expect(brief(await checkout)).toBe('answered 410')
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, hold: 'expired', order: 'cancelled' })
    expect(await booksOf(other)).toMatchObject({ charges: 1, seats: 2 })
  })

  it('but not if the gateway answers just before they are freed', async () => {
    const { holdId } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'just-in-time')
    const checkout = window.checkOut(holdId)
    await reached.wait()
    await letTimePass(office, '11 minutes')
    const sweeper = await openStoppable(office, 'slow-sweeper')
    try {
      const beforeLock = sweeper.stop('pg_advisory_xact_lock')
      const ending = endOverdueCheckout(sweeper.window.deps)
      await beforeLock.reached()
      goOn.open()
      expect(brief(await checkout)).toBe('answered 201')
      beforeLock.pass()
      expect(await ending).toBe(false)
    } finally {
      await office.closeReplicas('slow-sweeper')
      await sweeper.proxy.close()
    }
    expect(await booksOf(holdId)).toMatchObject({ hold: 'booked', booking: 'confirmed', charges: 1, seats: 2 })
  })

  it('of a checkout whose payment waits for an operator: nothing says to ask again soon', async () => {
    const { holdId } = await held()
    await office.faults(
      { on: 'confirm', kind: 'error-before', rate: 1 },
      { on: 'retrieve', kind: 'error-before', rate: 1 },
    )
    expect((await api.checkOut(holdId, { key: randomUUID() })).kind).toBe('unsettled')
    expect(brief(await api.checkOut(holdId, { key: randomUUID() }))).toBe('refused hold-checking-out')
    await office.sql(
      `UPDATE payments SET state = 'needs_review' WHERE order_id = (SELECT order_id FROM holds WHERE id = $1)`,
      [holdId],
    )
    expect(await api.checkOut(holdId, { key: randomUUID() })).toEqual({
      kind: 'refused',
      refusal: { code: 'hold-in-review', holdId },
    })
    await office.sql(`UPDATE payments SET state = 'processing' WHERE state = 'needs_review'`)
    await letTimePass(office, '11 minutes')
    expect(await endOverdueCheckout(worker.deps)).toBe(true)
    await office.faults()
    await recoverAll()
  })

  it('of a checkout whose process died: recovery cancels it, and its key returns the outcome', async () => {
    const { holdId } = await held()
    await office.faults(
      { on: 'confirm', kind: 'error-before', rate: 1 },
      { on: 'retrieve', kind: 'error-before', rate: 1 },
    )
    const key = randomUUID()
    expect((await api.checkOut(holdId, { key })).kind).toBe('unsettled')
    await letTimePass(office, '11 minutes')
    expect(await endOverdueCheckout(worker.deps)).toBe(true)
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, hold: 'expired', order: 'processing', claims: 0 })
    await office.faults()
    await recoverAll()
    expect(brief(await api.checkOut(holdId, { key }))).toBe('answered 402')
    expect(await booksOf(holdId)).toMatchObject({ ...nothing, hold: 'expired', order: 'cancelled' })
  })

  it('although the money was captured by hand at the gateway: it is refunded without a request', async () => {
    const { holdId, seatIds } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'captured-by-hand', {
      beforeCancel: (intentId) => captureByHand(intentId),
    })
    const checkout = window.checkOut(holdId)
    await reached.wait()
    await byHand('DELETE FROM seat_claims WHERE seat_id = ANY($1)', [seatIds])
    goOn.open()
    expect(brief(await checkout)).toBe('answered 409')
    expect(await booksOf(holdId)).toMatchObject({ booking: 'none', charges: 1, order: 'paid', refunded: 0 })
    await recoverAll()
    expect(await booksOf(holdId)).toMatchObject({ booking: 'none', charges: 1, order: 'refunded', refunded: 10_000 })
  })

  it('and the refund fails: the fault is reported', async () => {
    const { holdId, seatIds } = await held()
    const { window, reached, goOn } = await pausedBefore('confirmIntent', 'captured-and-kept', {
      beforeCancel: (intentId) => captureByHand(intentId),
    })
    const checkout = window.checkOut(holdId)
    await reached.wait()
    await byHand('DELETE FROM seat_claims WHERE seat_id = ANY($1)', [seatIds])
    goOn.open()
    await checkout
    const refusing = await office.open('refusing-refunds', {
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
    await recoverEverything(office, refusing)
    expect(refusing.faults().map(String)).toEqual([
      expect.stringMatching(/it has no booking, and its refund .* failed/),
    ])
    expect(await booksOf(holdId)).toMatchObject({ booking: 'none', charges: 1, order: 'paid', refunded: 0 })
  })
})

describe('a capture that is refused', () => {
  it('cancels the booking, frees the seats, and answers that nothing was taken', async () => {
    const { holdId, event, seatIds } = await held()
    expect(brief(await api.checkOut(holdId, { paymentMethod: captureFails }))).toBe('answered 402')
    expect(await booksOf(holdId)).toMatchObject({
      ...{ hold: 'booked', booking: 'cancelled', order: 'cancelled', charges: 0, claims: 0, seats: 0 },
    })
    const other = await insertHold(office, event, { seatIds }, { forCustomer: 'customer-2' })
    expect(brief(await api.checkOut(other, { customerId: 'customer-2' }))).toBe('answered 201')
  })

  it('frees places', async () => {
    const event = await office.newEvent()
    const holdId = await insertHold(office, event, { places: 3 })
    expect(brief(await api.checkOut(holdId, { paymentMethod: captureFails }))).toBe('answered 402')
    expect(await booksOf(holdId)).toMatchObject({ booking: 'cancelled', held: 0, sold: 0 })
  })
})

describe('an answer that is lost', () => {
  it.each(['confirm', 'capture'])(
    'of the %s: the worker finishes the checkout, and the same key returns the outcome',
    async (on) => {
      const { holdId } = await held()
      await office.faults(
        { on, kind: 'drop-after', rate: 1, times: 1 },
        { on: 'retrieve', kind: 'error-before', rate: 1 },
      )
      const key = randomUUID()
      expect((await api.checkOut(holdId, { key })).kind).toBe('unsettled')
      expect(brief(await api.checkOut(holdId))).toMatch(/refused hold-(checking-out|booked)/)
      await office.faults()
      await recoverAll()
      expect(bookingIn(await api.checkOut(holdId, { key })).state).toBe('confirmed')
      expect(await booksOf(holdId)).toMatchObject({ charges: 1, booking: 'confirmed', order: 'paid', seats: 2 })
    },
  )

  it('of the COMMIT that authorized: the same owner continues with the capture', async () => {
    const { holdId } = await held()
    let lost = 0
    const window = await office.open('lost-commit', {
      database: (real) => ({
        ...real,
        transaction: async (work) => {
          const result = await real.transaction(work)
          const kind = (result as { kind?: string } | null)?.kind
          if (kind === 'continues' && lost++ === 0) throw new CommitUnknown('the answer of COMMIT was lost', { result })
          return result
        },
      }),
    })
    expect(bookingIn(await window.checkOut(holdId)).state).toBe('confirmed')
    expect(lost).toBe(2)
    expect(await booksOf(holdId)).toMatchObject({ charges: 1, booking: 'confirmed', seats: 2 })
  })

  it('of a paused owner whose payment recovery finished: it returns the recorded answer', async () => {
    const { holdId } = await held()
    const { window, reached, goOn } = await pausedBefore('captureIntent', 'paused-owner')
    const key = randomUUID()
    const paused = window.checkOut(holdId, { key })
    await reached.wait()
    await letLeasesRunOut(office)
    await recoverAll()
    expect(await booksOf(holdId)).toMatchObject({ charges: 1, booking: 'confirmed' })
    goOn.open()
    expect(bookingIn(await paused)).toEqual(bookingIn(await api.checkOut(holdId, { key })))
    expect(await booksOf(holdId)).toMatchObject({ charges: 1, booking: 'confirmed', seats: 2 })
  })
})

describe('an event of the gateway', () => {
  it('that arrives before our own answer confirms the booking, and the owner returns the outcome', async () => {
    const { holdId } = await held()
    const { window, reached, goOn } = await pausedBefore('captureIntent', 'event-first')
    const key = randomUUID()
    const checkout = window.checkOut(holdId, { key })
    await reached.wait()
    const { paymentId } = await orderOf(holdId)
    const [row] = await office.sql<{ intent: string }>(
      'SELECT gateway_intent_id AS intent FROM payments WHERE id = $1',
      [paymentId],
    )
    const captured = await captureByHand(row?.intent ?? '')
    const event = succeeded(captured, paymentId)
    expect(await applyGatewayEvent(worker.replica.deps, event)).toBe('applied')
    expect(await booksOf(holdId)).toMatchObject({ booking: 'confirmed', order: 'paid', charges: 1, seats: 2 })
    goOn.open()
    expect(bookingIn(await checkout).state).toBe('confirmed')
    expect(await applyGatewayEvent(worker.replica.deps, event)).toBe('repeated')
  })
})

describe('the payments API', () => {
  it('cannot pay, cancel, capture or void what a checkout made', async () => {
    const { holdId } = await held()
    await api.checkOut(holdId, { paymentMethod: declined })
    const failed = await orderOf(holdId)
    const second = await held()
    await api.checkOut(second.holdId)
    const paid = await orderOf(second.holdId)
    for (const { orderId, paymentId } of [failed, paid]) {
      expect(brief(await api.replica.pay(orderId))).toBe('refused order-managed')
      expect(brief(await api.replica.cancel(orderId))).toBe('refused order-managed')
      expect(brief(await api.replica.capture(paymentId))).toBe('refused order-managed')
      expect(brief(await api.replica.void(paymentId))).toBe('refused order-managed')
    }
  })

  it('shows a payment of it as any other', async () => {
    const { holdId } = await held()
    await api.checkOut(holdId)
    const { paymentId } = await orderOf(holdId)
    const found = await createPaymentOperations(api.replica.deps).findPayment(accountId, paymentId)
    expect(found?.events.map(({ event, detail }) => `${event} ${detail}`)).toEqual([
      ...['claimed null', expect.stringMatching(/^intent-created/), 'confirm requires_capture', 'settled authorized'],
      ...['claimed capture', 'capture succeeded', 'settled succeeded'],
    ])
  })
})

async function captureByHand(intentId: string): Promise<unknown> {
  const response = await fetch(`${office.gatewayUrl}/v1/payment_intents/${intentId}/capture`, {
    method: 'POST',
    headers: { Authorization: 'Bearer sk_test_dev_only', 'Idempotency-Key': randomUUID() },
  })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}

function succeeded(intent: unknown, paymentId: string): Parameters<typeof applyGatewayEvent>[1] {
  const shown = intent as {
    id: string
    amount: number
    currency: string
    latest_charge: string
    metadata: Record<string, string>
  }
  return {
    id: `evt_${randomUUID()}`,
    type: 'payment_intent.succeeded',
    subject: {
      kind: 'intent',
      intentId: shown.id,
      named: { accountId, paymentId, refundId: null },
      shown: {
        ...{
          id: shown.id,
          status: 'succeeded',
          amountMinor: shown.amount,
          currency: 'EUR',
          receivedMinor: shown.amount,
        },
        ...{ chargeId: shown.latest_charge, declineCode: null, metadata: shown.metadata },
      },
    },
  } as unknown as Parameters<typeof applyGatewayEvent>[1]
}

const recoverAll = () => recoverEverything(office, worker)
