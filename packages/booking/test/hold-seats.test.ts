import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import type { WireMessage } from '@seatbelt/testing'
import { v7 as newId } from 'uuid'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findHold } from '../src/hold/hold-queries.ts'
import { accountId, type BoxOffice, brief, holdIn, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, countOf, idOf, letLapse, namedSeats, openStoppable, ownersOf } from './holding.ts'

const stranger = developmentAccounts[1].id

let office: BoxOffice
let window: Window
let counter: Counter
let event: SoldEvent
beforeAll(async () => {
  office = await openBoxOffice()
  window = await office.open('api-1')
  counter = counterOf(window)
})
beforeEach(async () => {
  event = await office.newEvent()
})
afterAll(() => office.close())

describe('a hold of seats', () => {
  it('has all of them, at the price of that moment, until its time is over', async () => {
    const [first = '', second = ''] = event.seatIds
    const hold = holdIn(await counter.seats(event, [second, first]))
    expect(hold).toMatchObject({ state: 'active', quantity: 2, amountMinor: 10_000, currency: 'EUR', tierId: null })
    expect(hold.seatIds).toEqual([first, second])
    expect(await ownersOf(office, event.seatIds)).toEqual([hold.id, hold.id, null, null])
    expect(window.published.at(-1)).toEqual({
      ...{ eventId: event.eventId, seatIds: [first, second], tierId: null, quantity: 2 },
      state: 'held',
    })
  })

  it('keeps its price when the price of the section rises', async () => {
    const holdId = idOf(await counter.seats(event, event.seatIds.slice(0, 1)))
    await office.sql('UPDATE event_sections SET price_minor = 9000 WHERE id = $1', [event.sectionId])
    const hold = await findHold(window.replica.database, accountId, holdId)
    expect(hold?.amountMinor).toBe(5_000)
    expect(holdIn(await counter.seats(event, event.seatIds.slice(1, 2))).amountMinor).toBe(9_000)
  })

  it('returns the same answer to the same key, and holds nothing twice', async () => {
    const key = randomUUID()
    const first = await counter.seats(event, event.seatIds.slice(0, 2), { key })
    const before = await countOf(office, 'holds')
    expect(await counter.seats(event, event.seatIds.slice(0, 2), { key })).toEqual({ ...first, replayed: true })
    expect(await countOf(office, 'holds')).toBe(before)
  })

  it('is shown as expired when its time is over, before the sweeper has expired it', async () => {
    const holdId = idOf(await counter.seats(event, event.seatIds.slice(0, 1)))
    await letLapse(office, holdId)
    const hold = await findHold(window.replica.database, accountId, holdId)
    expect(hold?.state).toBe('expired')
  })

  it('sends ten statements in four round trips, and one more statement if a claim has lapsed', async () => {
    const { counter: watched, proxy } = await openStoppable(office, 'watched')
    const statements: string[] = []
    const watch = ({ kind, text }: WireMessage) => {
      if (kind === 'execute' || kind === 'query') statements.push(text.trim().split(/\s+/, 3).join(' '))
      return false
    }
    const roundTripsOf = async (work: () => Promise<unknown>) => {
      statements.length = 0
      const before = proxy.roundTrips
      await work()
      return proxy.roundTrips - before
    }
    try {
      proxy.intercept({ matches: watch, at: 'request' })
      const key = randomUUID()
      let holdId = ''
      expect(await roundTripsOf(async () => (holdId = idOf(await watched.seats(event, event.seatIds, { key }))))).toBe(
        4,
      )
      expect(statements).toEqual([
        'SELECT fingerprint, step,',
        ...['BEGIN ISOLATION LEVEL', 'WITH bounded AS', 'SELECT id, currency,', 'SELECT seats.id, seats.event_id'],
        ...['SELECT gateway_reference AS', 'INSERT INTO holds', 'INSERT INTO seat_claims'],
        ...['INSERT INTO idempotency_keys', 'COMMIT'],
      ])
      expect(await roundTripsOf(() => watched.seats(event, event.seatIds, { key }))).toBe(1)
      await letLapse(office, holdId)
      const ben = { customerId: 'ben' }
      expect(await roundTripsOf(() => watched.seats(event, event.seatIds.slice(1), ben))).toBe(4)
      expect(statements).toHaveLength(11)
      expect(statements[7]).toBe('DELETE FROM seat_claims')
    } finally {
      await office.closeReplicas('watched')
      await proxy.close()
    }
  })
})

describe('holding is refused with a code, and changes nothing, for', () => {
  const state = async () => ({
    holds: await countOf(office, 'holds'),
    claims: await countOf(office, 'seat_claims'),
    keys: await countOf(office, 'idempotency_keys'),
    published: window.published.length,
  })
  let before: Awaited<ReturnType<typeof state>>
  beforeEach(async () => {
    before = await state()
  })
  afterEach(async () => expect(await state()).toEqual(before))

  it('unknown seats', async () => {
    const unknown = newId()
    const result = await counter.seats(event, [event.seatIds[0] ?? '', unknown])
    expect(brief(result)).toBe('refused seats-not-found')
    expect(namedSeats(result)).toEqual([unknown])
  })

  it("another account's seats, which are as unknown as none", async () => {
    const foreign = await office.newEvent({ accountId: stranger })
    const result = await counter.seats(event, foreign.seatIds)
    expect(brief(result)).toBe('refused seats-not-found')
    expect(namedSeats(result)).toEqual(foreign.seatIds)
  })

  it("another account's event, which is as unknown as none", async () => {
    const result = await counter.seats(event, event.seatIds, { accountId: stranger })
    expect(brief(result)).toBe('refused event-not-found')
  })

  it('seats of two events', async () => {
    const other = await office.newEvent()
    const result = await counter.seats(event, [event.seatIds[0] ?? '', other.seatIds[0] ?? ''])
    expect(brief(result)).toBe('refused seats-of-another-event')
    expect(namedSeats(result)).toEqual([other.seatIds[0]])
  })

  it('a seat that is named twice', async () => {
    const [first = '', second = ''] = event.seatIds
    const result = await counter.seats(event, [first, second, first, first])
    expect(brief(result)).toBe('refused seats-named-twice')
    expect(namedSeats(result)).toEqual([first])
  })

  it.each([0, -1])('%i places', async (quantity) => {
    expect(brief(await counter.places(event, quantity))).toBe('refused quantity-not-positive')
    expect(brief(await counter.adjacent(event, quantity))).toBe('refused quantity-not-positive')
  })

  it('no seats at all', async () => {
    expect(brief(await counter.seats(event, []))).toBe('refused quantity-not-positive')
  })

  it('more than one hold can have', async () => {
    const seatIds = Array.from({ length: 11 }, () => newId())
    expect(brief(await counter.seats(event, seatIds))).toBe('refused too-many-seats')
    expect(brief(await counter.places(event, 11))).toBe('refused too-many-seats')
    expect(brief(await counter.adjacent(event, 11))).toBe('refused too-many-seats')
  })

  it('more than the capacity of the tier', async () => {
    const small = await office.newEvent({ capacity: 3 })
    expect(await counter.places(small, 4)).toMatchObject({
      refusal: { code: 'quantity-over-capacity', tierId: small.tierId, capacity: 3 },
    })
  })

  it('an unknown tier or section, and one of another event', async () => {
    const { tierId, sectionId } = await office.newEvent()
    const { eventId } = event
    expect(brief(await counter.places({ eventId, tierId }, 1))).toBe('refused tier-not-found')
    expect(brief(await counter.adjacent({ eventId, sectionId }, 1))).toBe('refused section-not-found')
    expect(brief(await counter.places({ eventId, tierId: newId() }, 1))).toBe('refused tier-not-found')
    expect(brief(await counter.adjacent({ eventId, sectionId: newId() }, 1))).toBe('refused section-not-found')
  })

  it.each([
    ['is not yet on sale', `sale_opens_at = now() + interval '1 hour'`],
    ['is no more on sale', `sale_closes_at = now() - interval '1 hour'`],
  ])('anything of an event that %s', async (_, change) => {
    await office.sql(`UPDATE events SET ${change} WHERE id = $1`, [event.eventId])
    // Also where the seats are wrong: the event comes first.
    expect(brief(await counter.seats(event, [newId()]))).toBe('refused event-not-on-sale')
    expect(brief(await counter.places(event, 1))).toBe('refused event-not-on-sale')
    expect(brief(await counter.adjacent(event, 2))).toBe('refused event-not-on-sale')
  })

  it('more than one customer may hold', async () => {
    const strict = await office.newEvent({ seatsPerCustomer: 2 })
    expect(await counter.seats(strict, strict.seatIds.slice(0, 3))).toMatchObject({
      refusal: { code: 'customer-holds-too-many', customerId: 'customer-1', heldSeats: 0, mostSeats: 2 },
    })
  })
})

describe('the limit of a customer', () => {
  it('counts holds of all kinds, but not lapsed or released ones, nor those of another event', async () => {
    const strict = await office.newEvent({ seatsPerCustomer: 3 })
    await counter.seats(event, event.seatIds)
    const lapsed = idOf(await counter.seats(strict, strict.seatIds.slice(0, 1)))
    const released = idOf(await counter.places(strict, 1))
    await counter.places(strict, 1)
    expect(brief(await counter.seats(strict, strict.seatIds.slice(1, 2)))).toBe('refused customer-holds-too-many')
    await letLapse(office, lapsed)
    expect(brief(await counter.seats(strict, strict.seatIds.slice(1, 2)))).toBe('answered 201')
    expect(brief(await counter.adjacent(strict, 1))).toBe('refused customer-holds-too-many')
    await counter.release(released)
    expect(brief(await counter.adjacent(strict, 1))).toBe('answered 201')
    expect(brief(await counter.seats(strict, strict.seatIds.slice(3, 4), { customerId: 'customer-2' }))).toBe(
      'answered 201',
    )
  })
})
