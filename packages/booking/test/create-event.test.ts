import { randomUUID } from 'node:crypto'
import { race, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createEvent, seatNumbers } from '../src/event/create-event.ts'
import { createEventPlans, findEvent, listEvents } from '../src/event/event-queries.ts'
import { createSeatMapReader } from '../src/event/read-seat-map.ts'
import type { NewEvent } from '../src/shared/operations.ts'
import { accountId, type BoxOffice, bodyOf, brief, call, openBoxOffice, type Window } from './box-office.ts'

let office: BoxOffice
let window: Window
beforeAll(async () => {
  office = await openBoxOffice()
  window = await office.open('one')
})
afterAll(() => office.close())

const strangerId = '0192f000-0000-7000-8000-0000000000ff'

function newEvent(overrides: Partial<NewEvent> = {}): NewEvent {
  return {
    name: 'An evening of chamber music',
    currency: 'EUR',
    saleOpensAt: new Date('2026-11-20T10:00:00.000Z'),
    saleClosesAt: new Date('2026-12-20T10:00:00.000Z'),
    seatsPerCustomer: 10,
    seatsPerCustomerInAll: null,
    sections: [
      {
        name: 'Stalls',
        priceMinor: 4_500,
        rows: [
          { name: 'A', from: 1, to: 4, missing: [3], accessible: [1] },
          { name: 'B', from: 11, to: 12, missing: [], accessible: [] },
        ],
      },
      { name: 'Balcony', priceMinor: 2_500, rows: [{ name: 'A', from: 1, to: 1, missing: [], accessible: [] }] },
    ],
    tiers: [{ name: 'Standing', priceMinor: 2_000, capacity: 100 }],
    ...overrides,
  }
}

async function create(event: NewEvent, key: string = randomUUID()) {
  return createEvent(window.deps, call(key, event), event)
}

it('an event is read as it was made: sections, rows and tiers in their order, seats where they are', async () => {
  const { id: eventId } = bodyOf<{ id: string }>(await create(newEvent()))
  const { database } = window.replica
  const plans = createEventPlans(database)
  const event = await findEvent(plans, accountId, eventId)
  expect(event).toMatchObject({
    ...{
      id: eventId,
      accountId,
      name: 'An evening of chamber music',
      currency: 'EUR',
      seatsPerCustomer: 10,
      seatsPerCustomerInAll: null,
    },
    saleOpensAt: new Date('2026-11-20T10:00:00.000Z'),
    sections: [
      { name: 'Stalls', priceMinor: 4_500, seats: 5 },
      { name: 'Balcony', priceMinor: 2_500, seats: 1 },
    ],
    tiers: [{ name: 'Standing', priceMinor: 2_000, capacity: 100 }],
  })
  const sectionId = event?.sections[0]?.id ?? ''
  const map = await createSeatMapReader(database, plans)(accountId, eventId, sectionId)
  const drawn = map?.rows.map(({ name, seats }) => [name, seats.map((seat) => [seat.number, seat.accessible])])
  expect(drawn).toEqual([
    [
      'A',
      [
        [1, true],
        [2, false],
        [4, false],
      ],
    ],
    [
      'B',
      [
        [11, false],
        [12, false],
      ],
    ],
  ])
})

it('its ids are ours, in the order of the plan', async () => {
  const { id: eventId } = bodyOf<{ id: string }>(await create(newEvent()))
  const seats = await office.sql<{ id: string }>(
    `SELECT seat.id FROM seats AS seat JOIN event_sections AS section ON section.id = seat.section_id
      WHERE seat.event_id = $1 ORDER BY section.position, row_position, number`,
    [eventId],
  )
  const ids = seats.map(({ id }) => id)
  expect(ids).toEqual([...ids].sort())
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
})

it('one request sent ten times at once creates one event', async () => {
  const event = newEvent({ name: 'Once' })
  const key = randomUUID()
  const results = valuesOf(await race(Array.from({ length: 10 }, () => () => create(event, key))))
  const answers = results.filter(({ kind }) => kind === 'answered')
  expect(new Set(answers.map((answer) => bodyOf<{ id: string }>(answer).id)).size).toBe(1)
  for (const result of results) expect(['answered 201', 'refused request-in-progress']).toContain(brief(result))
  const [counted] = await office.sql<{ events: number; seats: number }>(
    `SELECT count(DISTINCT event.id)::int AS events, count(*)::int AS seats
       FROM events AS event JOIN seats AS seat ON seat.event_id = event.id WHERE name = 'Once'`,
  )
  expect(counted).toEqual({ events: 1, seats: 6 })
})

it('an event that the database rejects in part is rolled back as a whole', async () => {
  const impossible = newEvent({ name: 'Half', tiers: [{ name: 'Free', priceMinor: 0, capacity: 1 }] })
  await expect(create(impossible)).rejects.toThrow()
  expect(await office.sql(`SELECT id FROM events WHERE name = 'Half'`)).toEqual([])
})

it('a hundred thousand seats are one event', async () => {
  const rows = Array.from({ length: 100 }, (_, row) => ({
    name: `${row}`,
    from: 1,
    to: 100,
    missing: [],
    accessible: [],
  }))
  const sections = Array.from({ length: 10 }, (_, at) => ({ name: `${at}`, priceMinor: 1_000, rows }))
  const { id: eventId } = bodyOf<{ id: string }>(await create(newEvent({ sections })))
  const [counted] = await office.sql('SELECT count(*)::int AS seats FROM seats WHERE event_id = $1', [eventId])
  expect(counted).toEqual({ seats: 100_000 })
})

it("another account's events are unknown, and an unknown event is not cached as unknown", async () => {
  const { database } = window.replica
  const plans = createEventPlans(database)
  const { id: eventId } = bodyOf<{ id: string }>(await create(newEvent()))
  expect(await findEvent(plans, strangerId, eventId)).toBeNull()
  expect(await findEvent(plans, accountId, eventId)).toMatchObject({ id: eventId })
  expect(await findEvent(plans, accountId, strangerId)).toBeNull()
  expect(await listEvents(database, plans, strangerId, { limit: 10, after: null })).toEqual({ items: [], next: null })
})

it('they are listed newest first, in pages that neither repeat nor skip', async () => {
  const { database } = window.replica
  const plans = createEventPlans(database)
  const all = await listEvents(database, plans, accountId, { limit: 100, after: null })
  expect(all.items.length).toBeGreaterThan(3)
  const listed: string[] = []
  for (let after: string | null = null; ; ) {
    const page = await listEvents(database, plans, accountId, { limit: 2, after })
    listed.push(...page.items.map(({ id }) => id))
    after = page.next
    if (after === null) break
  }
  expect(listed).toEqual(all.items.map(({ id }) => id))
  expect(listed).toEqual([...listed].sort().reverse())
})

it('where a seat is missing, so is its number', () => {
  expect(seatNumbers({ from: 3, to: 7, missing: [3, 5] })).toEqual([4, 6, 7])
})
