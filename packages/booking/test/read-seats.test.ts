import type { SeatState } from '@seatbelt/domain'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createEventPlans } from '../src/event/event-queries.ts'
import { createAvailabilityReader } from '../src/event/read-availability.ts'
import { createSeatMapReader } from '../src/event/read-seat-map.ts'
import { accountId, type BoxOffice, insertHold, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'

let office: BoxOffice
let window: Window
beforeAll(async () => {
  office = await openBoxOffice()
  window = await office.open('one')
})
afterAll(() => office.close())

const strangerId = '0192f000-0000-7000-8000-0000000000ff'

/** The readers, with empty caches. */
function newReaders() {
  const { database } = window.replica
  const plans = createEventPlans(database)
  return { availability: createAvailabilityReader(database, plans), map: createSeatMapReader(database, plans) }
}

/** The kinds of claims, and the state of the seat. */
const claims = {
  none: 'free',
  held: 'held',
  lapsed: 'free',
  pinned: 'held',
  'pinned, and its time over': 'held',
  booked: 'booked',
  'booked, and its time over': 'booked',
} as const satisfies Record<string, SeatState>
type Claim = keyof typeof claims

/** Straight into the table, without bookings: the map reads the claims alone. */
async function insertClaims({ sectionId, seatIds }: SoldEvent, of: readonly Claim[]): Promise<void> {
  const rows = of.flatMap((claim, at) => {
    if (claim === 'none') return []
    const over = claim === 'lapsed' || claim.includes('over')
    const isBooked = claim.startsWith('booked')
    const isPinned = isBooked || claim.startsWith('pinned')
    const bookingId = isBooked ? 'gen_random_uuid()' : 'NULL'
    return [
      `('${seatIds[at]}', '${accountId}', '${sectionId}', gen_random_uuid(),
        now() ${over ? '-' : '+'} interval '1 minute', ${isPinned}, ${bookingId}::uuid)`,
    ]
  })
  const insert =
    rows.length === 0
      ? ''
      : `INSERT INTO seat_claims (seat_id, account_id, section_id, hold_id, expires_at, pinned, booking_id)
         VALUES ${rows.join(', ')};`
  await office.sql(
    `BEGIN; SET LOCAL session_replication_role = replica;
     DELETE FROM seat_claims WHERE section_id = '${sectionId}'; ${insert} COMMIT`,
  )
}

it('the map and the counts agree with the claims, whatever these are', async () => {
  const event = await office.newEvent({
    rows: [
      [1, 2, 4],
      [5, 6, 7],
    ],
  })
  const anyClaim = fc.constantFrom(...(Object.keys(claims) as Claim[]))
  await fc.assert(
    fc.asyncProperty(fc.array(anyClaim, { minLength: 6, maxLength: 6 }), async (of) => {
      await insertClaims(event, of)
      const expected = of.map((claim) => claims[claim])
      const { availability, map } = newReaders()
      const drawn = (await map(accountId, event.eventId, event.sectionId))?.rows.flatMap(({ seats }) => seats) ?? []
      expect(drawn.map(({ id }) => id)).toEqual(event.seatIds)
      expect(drawn.map(({ state }) => state)).toEqual(expected)
      const left = await availability(accountId, event.eventId)
      const count = (state: SeatState) => expected.filter((one) => one === state).length
      const counted = { seats: 6, free: count('free'), held: count('held'), booked: count('booked') }
      expect(left?.sections).toEqual([expect.objectContaining(counted)])
    }),
    { numRuns: 40 },
  )
})

it('the map shows seats that the operations hold and book', async () => {
  const event = await office.newEvent({ rows: [[1, 2, 3]] })
  const [first = '', second = ''] = event.seatIds
  const holdId = await insertHold(office, event, { seatIds: [first] })
  await insertHold(office, event, { seatIds: [second] })
  await window.checkOut(holdId)
  const { availability, map } = newReaders()
  const drawn = await map(accountId, event.eventId, event.sectionId)
  expect(drawn?.rows.flatMap(({ seats }) => seats.map(({ state }) => state))).toEqual(['booked', 'held', 'free'])
  expect((await availability(accountId, event.eventId))?.sections).toMatchObject([{ free: 1, held: 1, booked: 1 }])
})

it('places of lapsed holds are free, although their tier still counts them', async () => {
  const event = await office.newEvent({ rows: [], capacity: 10 })
  await insertHold(office, event, { places: 3 })
  await insertHold(office, event, { places: 4 }, { lastsMs: -1_000 })
  const left = await newReaders().availability(accountId, event.eventId)
  expect(left?.tiers).toEqual([
    { id: event.tierId, name: 'Standing', priceMinor: 2_000, capacity: 10, free: 7, held: 3, sold: 0 },
  ])
})

it("another account's event, an unknown event, and a section of another event have no snapshot", async () => {
  const [event, other] = [await office.newEvent(), await office.newEvent()]
  const { availability, map } = newReaders()
  expect(await availability(strangerId, event.eventId)).toBeNull()
  expect(await availability(accountId, strangerId)).toBeNull()
  expect(await map(strangerId, event.eventId, event.sectionId)).toBeNull()
  expect(await map(accountId, event.eventId, other.sectionId)).toBeNull()
  // Also if another account has read it, so that a snapshot is cached.
  expect(await map(accountId, event.eventId, event.sectionId)).not.toBeNull()
  expect(await map(strangerId, event.eventId, event.sectionId)).toBeNull()
})

it('however many read at once, one query runs', async () => {
  const event = await office.newEvent()
  const { availability, map } = newReaders()
  const looks = await Promise.all(Array.from({ length: 50 }, () => availability(accountId, event.eventId)))
  expect(new Set(looks).size).toBe(1)
  const maps = await Promise.all(Array.from({ length: 50 }, () => map(accountId, event.eventId, event.sectionId)))
  expect(new Set(maps).size).toBe(1)
})
