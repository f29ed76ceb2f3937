import { randomUUID } from 'node:crypto'
import type { BookingOperations, NewEvent, NewRow, SeatMap } from '@seatbelt/booking'
import type { Call } from '@seatbelt/domain'

import type pg from 'pg'

/** An event of which half is held, and what of it can be had. */
export interface OpenHall {
  readonly shop: Shop
  readonly eventId: string
  readonly eventSeats: number
  readonly sectionIds: readonly string[]
  readonly tierId: string
  /** Free seats in pairs, side by side. */
  readonly freePairs: readonly (readonly [string, string])[]
}

/** The production operations, on a database of their own. */
export interface Shop {
  readonly operations: BookingOperations
  /** For what is held beforehand, which would take minutes through the operations. */
  readonly pool: pg.Pool
  readonly accountId: string
}

/** An event grows by more blocks, not by larger ones. */
const rowsPerBlock = 20
const seatsPerRow = 25
const seatsPerBlock = rowsPerBlock * seatsPerRow

/** Opens an event of so many seats, and has others hold half of them, ten by ten. */
export async function openHall(shop: Shop, eventSeats: number): Promise<OpenHall> {
  const { operations, pool, accountId } = shop
  const eventId = await createEvent(shop, eventSeats)
  const event = await operations.findEvent(accountId, eventId)
  if (event === null) throw new Error(`event ${eventId} was created and is not there`)
  await pool.query(holdHalf, [accountId, eventId])
  await pool.query('ANALYZE events, event_sections, seats, tiers, holds, seat_claims')
  const sectionIds = event.sections.map(({ id }) => id)
  const maps = await Promise.all(
    sectionIds.slice(0, blocksToHoldIn).map((id) => operations.readSeatMap(accountId, eventId, id)),
  )
  const [tier] = event.tiers
  if (tier === undefined) throw new Error(`event ${eventId} has no tier`)
  return { shop, eventId, eventSeats, sectionIds, tierId: tier.id, freePairs: maps.flatMap(pairsIn) }
}

/** As many as the smallest event has, so that each has the same number of seats to choose from. */
const blocksToHoldIn = 2

async function createEvent({ operations, accountId }: Shop, eventSeats: number): Promise<string> {
  const blocks = Array.from({ length: Math.ceil(eventSeats / seatsPerBlock) }, (_, block) => ({
    name: `Block ${block + 1}`,
    priceMinor: 4_900,
    rows: Array.from({ length: rowsPerBlock }, (__, row) => rowOf(row)),
  }))
  const event: NewEvent = {
    ...{
      name: `${eventSeats} seats`,
      currency: 'EUR',
      seatsPerCustomer: 10,
      seatsPerCustomerInAll: null,
      sections: blocks,
    },
    saleOpensAt: new Date(Date.now() - 60_000),
    saleClosesAt: new Date(Date.now() + 86_400_000),
    tiers: [{ name: 'Standing', priceMinor: 2_900, capacity: eventSeats }],
  }
  const result = await operations.createEvent(newCall(accountId), event)
  if (result.kind !== 'answered') throw new Error(`the event was not created: ${JSON.stringify(result)}`)
  return (JSON.parse(result.answer.body) as { id: string }).id
}

function rowOf(index: number): NewRow {
  return { name: String.fromCharCode(65 + index), from: 1, to: seatsPerRow, missing: [], accessible: [] }
}

/** A request as it never came before. */
export function newCall(accountId: string): Call {
  return { accountId, key: randomUUID(), fingerprint: new Uint8Array(32) }
}

const holdHalf = `
  WITH numbered AS (
    SELECT id, (row_number() OVER (ORDER BY section_id, row_position, number) - 1) / 10 AS ten FROM seats WHERE event_id = $2),
  tens AS (
    SELECT ten, array_agg(id ORDER BY id) AS ids FROM numbered WHERE ten % 2 = 0 GROUP BY ten HAVING count(*) = 10),
  held AS (
    INSERT INTO holds (id, account_id, event_id, customer_id, seat_ids, quantity, amount_minor, currency, expires_at)
    SELECT gen_random_uuid(), $1, $2, 'crowd-' || ten, ids, 10, 49000, 'EUR', now() + interval '1 day' FROM tens
    RETURNING *)
  INSERT INTO seat_claims (account_id, seat_id, section_id, hold_id, expires_at)
  SELECT held.account_id, seats.id, section_id, held.id, held.expires_at FROM held JOIN seats ON seats.id = ANY (held.seat_ids)`

function pairsIn(map: SeatMap | null): (readonly [string, string])[] {
  return (map?.rows ?? []).flatMap(({ seats }) => {
    const pairs: [string, string][] = []
    for (let index = 1; index < seats.length; index += 2) {
      const [one, other] = [seats[index - 1], seats[index]]
      if (one?.state === 'free' && other?.state === 'free') pairs.push([one.id, other.id])
    }
    return pairs
  })
}
