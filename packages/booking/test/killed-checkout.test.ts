import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { bothSidesOf, createMortal } from '../../payments/test/crash-points.ts'
import { booksOfHold } from './books-of-hold.ts'
import {
  type BoxOffice,
  bookingIn,
  brief,
  insertHold,
  openBoxOffice,
  recoverEverything,
  type Window,
} from './box-office.ts'

/**
 * Kills a process just before and just after every step of a checkout and of a cancellation.
 *
 * Then a worker finishes what the process left, and the customer's retry with the same key must return the one true
 * answer. Each table is compared with what the operation really does.
 */
let office: BoxOffice
/** The process that survives. */
let api: Window

beforeAll(async () => {
  office = await openBoxOffice()
  api = await office.open('booking-api-1')
})
afterEach(() => office.closeReplicas('mortal-'))
afterAll(() => office?.close())

let processes = 0
async function mortalWindow() {
  const mortal = createMortal()
  return { mortal, window: await office.open(`mortal-${++processes}`, mortal.parts) }
}

interface Prepared {
  readonly holdId: string
  readonly bookingId: string
}

interface Scenario {
  readonly prepare: () => Promise<Prepared>
  readonly operate: (
    window: Window,
    prepared: Prepared,
    key: string,
  ) => Promise<Awaited<ReturnType<Window['checkOut']>>>
  /** Each statement, COMMIT and request of it, in order. */
  readonly steps: readonly string[]
  readonly answer: string
  readonly end: object
}

async function heldSeats(): Promise<Prepared> {
  const event = await office.newEvent()
  return { holdId: await insertHold(office, event, { seatIds: event.seatIds.slice(0, 2) }), bookingId: '' }
}

async function heldPlaces(): Promise<Prepared> {
  return { holdId: await insertHold(office, await office.newEvent(), { places: 3 }), bookingId: '' }
}

async function booked(): Promise<Prepared> {
  const { holdId } = await heldSeats()
  return { holdId, bookingId: bookingIn(await api.checkOut(holdId)).id }
}

const cancel: Scenario['operate'] = async (window, { bookingId }, key) => {
  const result = await window.cancel(bookingId, key)
  return result.kind === 'unsettled'
    ? { kind: 'unsettled', subject: { holdId: '', orderId: '', paymentId: '', isInReview: false } }
    : result
}

// Looks up the key; claims; creates, stores and confirms the intent; books and claims the capture; captures; settles.
const checkoutSteps =
  'statement 1,commit 1,createIntent 1,statement 2,confirmIntent 1,commit 2,captureIntent 1,commit 3'

const scenarios: Record<string, Scenario> = {
  'a checkout of seats': {
    prepare: heldSeats,
    operate: (window, { holdId }, key) => window.checkOut(holdId, { key }),
    steps: checkoutSteps.split(','),
    answer: 'answered 201',
    end: {
      hold: 'booked',
      booking: 'confirmed',
      order: 'paid',
      charges: 1,
      claims: 2,
      pinned: 2,
      seats: 2,
      refunded: 0,
    },
  },
  'a checkout of places': {
    prepare: heldPlaces,
    operate: (window, { holdId }, key) => window.checkOut(holdId, { key }),
    steps: checkoutSteps.split(','),
    answer: 'answered 201',
    end: { hold: 'booked', booking: 'confirmed', order: 'paid', charges: 1, held: 0, sold: 3, refunded: 0 },
  },
  'a declined checkout': {
    prepare: heldSeats,
    operate: (window, { holdId }, key) =>
      window.checkOut(holdId, { key, paymentMethod: 'pm_card_visa_chargeDeclined' }),
    steps: 'statement 1,commit 1,createIntent 1,statement 2,confirmIntent 1,statement 3,cancelIntent 1,commit 2'.split(
      ',',
    ),
    answer: 'answered 402',
    end: {
      hold: 'active',
      booking: 'none',
      order: 'cancelled',
      charges: 0,
      claims: 2,
      pinned: 0,
      seats: 0,
      refunded: 0,
    },
  },
  'a cancellation of a booking': {
    prepare: booked,
    operate: cancel,
    // Looks up the key and the order; claims; refunds; settles.
    steps: 'statement 1,statement 2,commit 1,createRefund 1,commit 2'.split(','),
    answer: 'answered 200',
    end: {
      hold: 'booked',
      booking: 'cancelled',
      order: 'refunded',
      charges: 1,
      claims: 0,
      pinned: 0,
      seats: 0,
      refunded: 10_000,
    },
  },
}

const table = Object.entries(scenarios).map(([name, scenario]) => ({ name, ...scenario }))

describe.each(table)('$name', ({ prepare, operate, steps, answer, end }) => {
  it('has exactly these points', async () => {
    const { mortal, window } = await mortalWindow()
    const prepared = await prepare()
    expect(await mortal.passedBy(() => operate(window, prepared, randomUUID()))).toEqual(bothSidesOf(...steps))
  })

  it.each(bothSidesOf(...steps))(
    'killed %s: recovery finishes it, the same key returns the one true answer, and it happened once',
    async (point) => {
      const { mortal, window } = await mortalWindow()
      const prepared = await prepare()
      const key = randomUUID()
      await mortal.dieAt(point, () => operate(window, prepared, key))
      await recoverEverything(office, api)
      const first = await operate(api, prepared, key)
      expect(brief(first)).toBe(answer)
      expect(await operate(api, prepared, key)).toEqual({ ...first, replayed: true })
      expect(await booksOfHold(office, prepared.holdId)).toMatchObject(end)
      expect(api.faults()).toEqual([])
    },
  )
})
