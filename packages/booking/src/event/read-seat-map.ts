import type { Database } from '@seatbelt/database'
import type { Event, Seat, SeatState } from '@seatbelt/domain'
import type { BookingOperations, SeatMap } from '../shared/operations.ts'
import { findEvent } from './event-queries.ts'
import { pictureMaxAgeMs } from './read-availability.ts'
import { createPictures, type Pictures } from './snapshot-cache.ts'

/**
 * The chairs of the largest event, twice. One is some 150 bytes in memory here, and as many again in the picture and in the answer
 * that is made of it: some 100 MB when all of it is used.
 */
const mostSeatsKept = 200_000

/** The chairs of a section as they stand, from the stage backwards. They never change. */
type Layout = readonly { readonly name: string; readonly seats: readonly Omit<Seat, 'rowName'>[] }[]

/** The map of a section: its chairs, which are kept, and who has them, which is asked for. */
export function createSeatMapReader(database: Database, plans: Pictures<Event>): BookingOperations['readSeatMap'] {
  const layouts = createPictures<Layout>({
    take: (sectionId) => readLayout(database, sectionId),
    maxAgeMs: Number.POSITIVE_INFINITY,
    mostWeight: mostSeatsKept,
    weigh: seatsIn,
  })
  const pictures = createPictures<SeatMap>({
    take: async (path) => {
      const [eventId = '', sectionId] = path.split('/')
      const event = await plans.get(eventId)
      const section = event?.sections.find(({ id }) => id === sectionId)
      const layout = section && (await layouts.get(section.id))
      return layout ? { section, rows: draw(layout, await readTaken(database, section.id)) } : null
    },
    maxAgeMs: pictureMaxAgeMs,
    mostWeight: mostSeatsKept,
    weigh: ({ rows }) => seatsIn(rows),
  })
  return async (accountId, eventId, sectionId) => {
    const event = await findEvent(plans, accountId, eventId)
    return event ? pictures.get(`${eventId}/${sectionId}`) : null
  }
}

function seatsIn(rows: readonly { readonly seats: readonly unknown[] }[]): number {
  return rows.reduce((sum, { seats }) => sum + seats.length, 1)
}

function draw(layout: Layout, taken: ReadonlyMap<string, SeatState>): SeatMap['rows'] {
  return layout.map(({ name, seats }) => ({
    name,
    seats: seats.map(({ id, number, accessible }) => ({ id, number, accessible, state: taken.get(id) ?? 'free' })),
  }))
}

async function readLayout(database: Database, sectionId: string): Promise<Layout> {
  const seats = await database.statement((client) =>
    client.seat.findMany({ where: { sectionId }, orderBy: [{ rowPosition: 'asc' }, { number: 'asc' }] }),
  )
  const rows = new Map<number, { readonly name: string; readonly seats: Omit<Seat, 'rowName'>[] }>()
  for (const { rowPosition, rowName: name, id, number, accessible } of seats) {
    const row = rows.get(rowPosition) ?? { name, seats: [] }
    row.seats.push({ id, number, accessible })
    rows.set(rowPosition, row)
  }
  return [...rows.values()]
}

/** Who is not in it is free, also where a claim has lapsed that nobody has deleted. */
async function readTaken(database: Database, sectionId: string): Promise<ReadonlyMap<string, SeatState>> {
  const claims = await database.statement(
    (client) => client.$queryRaw<{ id: string; state: SeatState }[]>`
      SELECT seat_id AS id, CASE WHEN booking_id IS NULL THEN 'held' ELSE 'booked' END AS state FROM seat_claims
       WHERE section_id = ${sectionId}::uuid AND (pinned OR expires_at > statement_timestamp())`,
  )
  return new Map(claims.map(({ id, state }) => [id, state]))
}
