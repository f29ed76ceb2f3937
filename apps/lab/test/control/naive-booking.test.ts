import type { BookingOperations, HoldRequest } from '@seatbelt/booking'
import { createDatabase, type Database, developmentAccounts } from '@seatbelt/database'
import { bookingRenderings, renderings } from '@seatbelt/http'
import type { Guarded } from '@seatbelt/safety'
import { createLatch, eventually, type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNaiveBookingOperations } from '../../src/control/naive-booking.ts'
import { prepareUnprotectedDatabase } from '../../src/control/unprotected-database.ts'
import { fakeGateway } from './fake-gateway.ts'

const [{ id: accountId }] = developmentAccounts
const call = { accountId, key: 'one-key', fingerprint: new Uint8Array(32) }

let fresh: FreshDatabase
let database: Database
let other: pg.Client

beforeEach(async () => {
  fresh = await freshDatabase({ template: 'template1' })
  await prepareUnprotectedDatabase(fresh.url)
  database = createDatabase({ url: fresh.url, poolSize: 4, applicationName: 'control-test' })
  other = new pg.Client({ connectionString: fresh.url })
  await other.connect()
})

afterEach(async () => {
  await other.end()
  await database.close()
  await fresh.close()
})

describe("the control's booking API sells to those who come one after the other: it is a tutorial that works", () => {
  it('holds seats for one, refuses them to the next, and lets them go', async () => {
    const { operations, hold, seatIds } = await openSale()
    const { id: holdId } = await hold('ann', { kind: 'seats', seatIds: seatIds.slice(0, 2) })
    const late = await operations.holdSeats(call, wish('bob', { kind: 'seats', seatIds: seatIds.slice(1, 3) }))
    expect(late).toMatchObject({ refusal: { code: 'seats-taken', seatIds: [seatIds[1]] } })
    expect(await operations.releaseHold(call, { holdId, customerId: 'ann' })).toMatchObject({ kind: 'answered' })
    expect(await hold('bob', { kind: 'seats', seatIds: seatIds.slice(1, 3) })).toMatchObject({ state: 'active' })
  })

  it('chooses seats side by side, and none over a gap', async () => {
    const { hold, seatIds } = await openSale()
    await hold('ann', { kind: 'seats', seatIds: [String(seatIds[1])] })
    const sectionId = await onlySection()
    expect(await hold('bob', { kind: 'adjacent', sectionId, quantity: 2 })).toMatchObject({
      seatIds: seatIds.slice(2, 4).sort(),
    })
  })

  it('books what is paid for, and keeps what was declined', async () => {
    const { operations, hold, seatIds } = await openSale({ declinesFirst: true })
    const { id: holdId } = await hold('ann', { kind: 'seats', seatIds: seatIds.slice(0, 1) })
    const checkout = { holdId, customerId: 'ann', paymentMethod: 'pm_card_visa', receiptEmail: null }
    expect(await operations.checkOut(call, checkout)).toMatchObject({ answer: { status: 402 } })
    expect(await operations.checkOut(call, checkout)).toMatchObject({ answer: { status: 201 } })
    expect(await operations.checkOut(call, checkout)).toMatchObject({ refusal: { code: 'hold-booked' } })
    expect(await operations.readAvailability(accountId, await onlyEvent())).toMatchObject({
      sections: [{ free: 3, held: 0, booked: 1 }],
    })
  })

  it('sells as many places as there are, takes lapsed ones back, and gives a cancelled booking its money', async () => {
    const { operations, hold, book, givenBack } = await openSale()
    const tierId = await onlyTier()
    const { id: lapsing } = await hold('ann', { kind: 'places', tierId, quantity: 3 })
    const asked = wish('bob', { kind: 'places', tierId, quantity: 2 })
    expect(await operations.holdSeats(call, asked)).toMatchObject({ refusal: { code: 'sold-out' } })
    await other.query(`UPDATE holds SET expires_at = now() - interval '1 second' WHERE id = $1`, [lapsing])
    const bookingId = await book(await hold('bob', { kind: 'places', tierId, quantity: 2 }))
    expect(await tier()).toEqual({ sold: 2, held: 0 })
    expect(await operations.cancelBooking(call, bookingId)).toMatchObject({ answer: { status: 200 } })
    expect(await operations.cancelBooking(call, bookingId)).toMatchObject({ refusal: { code: 'booking-cancelled' } })
    expect([await tier(), givenBack()]).toEqual([{ sold: 0, held: 0 }, [2_000]])
  })
})

describe("the control's booking API", () => {
  it('gives one seat to two who read before either has written', async () => {
    const { operations, seatIds } = await openSale()
    const both = await whileNobodyCanWrite('seat_claims', 2, () =>
      ['ann', 'bob'].map((name) =>
        operations.holdSeats(call, wish(name, { kind: 'seats', seatIds: [String(seatIds[0])] })),
      ),
    )
    expect(both.map(({ kind }) => kind)).toEqual(['answered', 'answered'])
    expect(await database.client.seatClaim.count()).toBe(2)
  })

  it('sells more places than there are to two who read before either has written', async () => {
    const { operations } = await openSale()
    const tierId = await onlyTier()
    const both = await whileNobodyCanWrite('tiers', 2, () =>
      ['ann', 'bob'].map((name) => operations.holdSeats(call, wish(name, { kind: 'places', tierId, quantity: 3 }))),
    )
    expect(both.map(({ kind }) => kind)).toEqual(['answered', 'answered'])
    expect(await tier()).toEqual({ sold: 0, held: 6 })
  })

  it('books a seat twice when its hold lapses while the gateway is asked', async () => {
    const asked = createLatch('the gateway is asked')
    const thinks = createLatch('the gateway has thought')
    let charges = 0
    const { hold, book, seatIds } = await openSale({
      beforeCharge: async () => {
        charges += 1
        if (charges > 1) return
        asked.open()
        await thinks.wait()
      },
    })
    const of: HoldRequest = { kind: 'seats', seatIds: [String(seatIds[0])] }
    const slow = book(await hold('ann', of))
    await asked.wait()
    await other.query(`UPDATE seat_claims SET expires_at = now() - interval '1 second'`)
    await book(await hold('bob', of))
    thinks.open()
    await slow
    expect(await database.client.bookedSeat.count({ where: { seatId: String(seatIds[0]), releasedAt: null } })).toBe(2)
  })

  it('gives places back twice when a booking is cancelled twice at the same moment', async () => {
    const { operations, hold, book } = await openSale()
    const bookingId = await book(await hold('ann', { kind: 'places', tierId: await onlyTier(), quantity: 2 }))
    await whileNobodyCanWrite('bookings', 2, () => [1, 2].map(() => operations.cancelBooking(call, bookingId)))
    expect(await tier()).toEqual({ sold: -2, held: 0 })
  })
})

/** Four seats in a row, and four places. */
async function openSale(options: Parameters<typeof fakeGateway>[0] = {}) {
  const { gateway, givenBack } = fakeGateway(options)
  const operations = createNaiveBookingOperations({
    payments: { database, gateway, renderings, bookedBy: 'request' },
    renderings: bookingRenderings,
    holdMs: 60_000,
  })
  await operations.createEvent(call, {
    ...{ name: 'A night at the opera', currency: 'EUR', seatsPerCustomer: 10, seatsPerCustomerInAll: null },
    ...{ saleOpensAt: new Date(Date.now() - 60_000), saleClosesAt: new Date(Date.now() + 60_000) },
    sections: [
      { name: 'Stalls', priceMinor: 5_000, rows: [{ name: 'A', from: 1, to: 4, missing: [], accessible: [] }] },
    ],
    tiers: [{ name: 'Standing', priceMinor: 1_000, capacity: 4 }],
  })
  eventId = await onlyEvent()
  const seats = await database.client.seat.findMany({ orderBy: { number: 'asc' } })
  return {
    ...{ operations, givenBack, seatIds: seats.map(({ id }) => id) },
    hold: async (customerId: string, of: HoldRequest) => bodyOf(await operations.holdSeats(call, wish(customerId, of))),
    book: async ({ id: holdId, customerId }: Body) =>
      bodyOf(await operations.checkOut(call, { holdId, customerId, paymentMethod: 'pm_card_visa', receiptEmail: null }))
        .id,
  }
}

let eventId: string

function wish(customerId: string, of: HoldRequest): Parameters<BookingOperations['holdSeats']>[1] {
  return { eventId, customerId, of }
}

interface Body {
  readonly id: string
  readonly customerId: string
}

function bodyOf(result: Guarded<unknown>): Body {
  if (result.kind !== 'answered') throw new Error(`no answer: ${JSON.stringify(result)}`)
  return JSON.parse(result.answer.body) as Body
}

/** Begins what may read this table and cannot write it yet, until so many wait; then lets all of it go on. */
async function whileNobodyCanWrite<T>(table: string, waiting: number, begin: () => Promise<T>[]): Promise<T[]> {
  await other.query(`BEGIN; LOCK TABLE ${table} IN EXCLUSIVE MODE`)
  const begun = Promise.all(begin())
  await eventually(`${waiting} wait to write ${table}`, async () => {
    const { rows } = await other.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_locks WHERE NOT granted AND relation = $1::regclass`,
      [table],
    )
    return rows[0]?.waiting === waiting
  })
  await other.query('COMMIT')
  return begun
}

async function onlyEvent(): Promise<string> {
  return (await database.client.event.findFirstOrThrow()).id
}

async function onlySection(): Promise<string> {
  return (await database.client.eventSection.findFirstOrThrow()).id
}

async function onlyTier(): Promise<string> {
  return (await database.client.tier.findFirstOrThrow()).id
}

async function tier() {
  const { sold, held } = await database.client.tier.findFirstOrThrow()
  return { sold, held }
}
