import { type Database, sql } from '@seatbelt/database'
import type { Seat, SeatState } from '@seatbelt/domain'
import type { BookingOperations, SeatMap } from '../shared/operations.ts'
import { type EventPlans, findEvent } from './event-queries.ts'
import { snapshotMaxAgeMs } from './read-availability.ts'
import { createSnapshotCache } from './snapshot-cache.ts'

/**
 * The seats of the largest event, twice. A seat takes some 150 bytes here, and as many again in the snapshot and in the
 * answer that is made of it: some 100 MB if all of it is used.
 */
const mostSeatsKept = 200_000

/** The seats of a section, from the stage backwards. They never change. */
type Layout = readonly { readonly name: string; readonly seats: readonly Omit<Seat, 'rowName'>[] }[]

/** The map of a section: its seats, which are cached, and their states, which are queried. */
export function createSeatMapReader(database: Database, plans: EventPlans): BookingOperations['readSeatMap'] {
  const layouts = createSnapshotCache<Layout>({
    load: (sectionId) => readLayout(database, sectionId),
    maxAgeMs: Number.POSITIVE_INFINITY,
    maxSize: mostSeatsKept,
    sizeOf: seatsIn,
  })
  const maps = createSnapshotCache<SeatMap>({
    load: async (path) => {
      const [eventId = '', sectionId] = path.split('/')
      const event = await plans.get(eventId)
      const section = event?.sections.find(({ id }) => id === sectionId)
      const layout = section && (await layouts.get(section.id))
      return layout ? { section, rows: withStates(layout, await readTaken(database, section.id)) } : null
    },
    maxAgeMs: snapshotMaxAgeMs,
    maxSize: mostSeatsKept,
    sizeOf: ({ rows }) => seatsIn(rows),
  })
  return async (accountId, eventId, sectionId) => {
    const event = await findEvent(plans, accountId, eventId)
    return event ? maps.get(`${eventId}/${sectionId}`) : null
  }
}

function seatsIn(rows: readonly { readonly seats: readonly unknown[] }[]): number {
  return rows.reduce((sum, { seats }) => sum + seats.length, 1)
}

function withStates(layout: Layout, taken: ReadonlyMap<string, SeatState>): SeatMap['rows'] {
  return layout.map(({ name, seats }) => ({
    name,
    seats: seats.map((seat) => ({ ...seat, state: taken.get(seat.id) ?? 'free' })),
  }))
}

function readLayout(database: Database, sectionId: string): Promise<Layout> {
  return database.query(sql`
    SELECT row_name AS name,
           json_agg(json_build_object('id', id, 'number', number, 'accessible', accessible) ORDER BY number) AS seats
      FROM seats WHERE section_id = ${sectionId}::uuid GROUP BY row_position, row_name ORDER BY row_position`)
}

/** A seat that is not in it is free, also if it has a lapsed claim that was not deleted yet. */
async function readTaken(database: Database, sectionId: string): Promise<ReadonlyMap<string, SeatState>> {
  const claims = await database.query<{ id: string; state: SeatState }>(sql`
    SELECT seat_id AS id, CASE WHEN booking_id IS NULL THEN 'held' ELSE 'booked' END AS state FROM seat_claims
     WHERE section_id = ${sectionId}::uuid AND (pinned OR expires_at > statement_timestamp())`)
  return new Map(claims.map(({ id, state }) => [id, state]))
}
