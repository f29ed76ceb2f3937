import { type Database, sql } from '@seatbelt/database'
import type { Event } from '@seatbelt/domain'
import type { Availability, BookingOperations, SectionAvailability, TierAvailability } from '../shared/operations.ts'
import { type EventPlans, findEvent } from './event-queries.ts'
import { createSnapshotCache } from './snapshot-cache.ts'

/**
 * How old a snapshot of the seats may be when it is requested. In an on-sale all customers look all the time: with
 * this, a replica queries the database twice a second for an event, however many look. A snapshot promises no seat.
 */
export const snapshotMaxAgeMs = 500
/** Of events, with their sections and tiers: some 10 MB. */
const mostPartsKept = 50_000

/** How much is left of an event, by section and by tier. */
export function createAvailabilityReader(database: Database, plans: EventPlans): BookingOperations['readAvailability'] {
  const snapshots = createSnapshotCache<Availability>({
    load: async (eventId) => {
      const event = await plans.get(eventId)
      return event && { sections: await countSections(database, event), tiers: await countTiers(database, event) }
    },
    maxAgeMs: snapshotMaxAgeMs,
    maxSize: mostPartsKept,
    sizeOf: ({ sections, tiers }) => 1 + sections.length + tiers.length,
  })
  return async (accountId, eventId) => ((await findEvent(plans, accountId, eventId)) ? snapshots.get(eventId) : null)
}

/** What is held and booked are the live claims, by the statement's time: the clock would be read for each of them. */
async function countSections(database: Database, { sections }: Event): Promise<SectionAvailability[]> {
  const counts = await database.query<{ id: string; held: number; booked: number }>(sql`
    SELECT section_id AS id, count(*) FILTER (WHERE booking_id IS NULL)::int AS held, count(booking_id)::int AS booked
      FROM seat_claims
     WHERE section_id = ANY (${sections.map(({ id }) => id)}::uuid[]) AND (pinned OR expires_at > statement_timestamp())
     GROUP BY section_id`)
  const taken = new Map(counts.map((section) => [section.id, section]))
  return sections.map((section) => {
    const { held, booked } = taken.get(section.id) ?? { held: 0, booked: 0 }
    return { ...section, free: section.seats - held - booked, held, booked }
  })
}

/**
 * Places of lapsed holds are free, although the tier still counts them as held: the next request for them expires those
 * holds first. By the statement's time, so that the index can be searched for it.
 */
async function countTiers(database: Database, { tiers }: Event): Promise<TierAvailability[]> {
  const counts = await database.query<{ id: string; held: number; sold: number }>(sql`
    SELECT id, sold,
           held - (SELECT coalesce(sum(quantity), 0) FROM holds
                    WHERE tier_id = tiers.id AND state = 'active' AND expires_at <= statement_timestamp())::int AS held
      FROM tiers WHERE id = ANY (${tiers.map(({ id }) => id)}::uuid[])`)
  const taken = new Map(counts.map((tier) => [tier.id, tier]))
  return tiers.map((tier) => {
    const { held, sold } = taken.get(tier.id) ?? { held: 0, sold: 0 }
    return { ...tier, free: tier.capacity - held - sold, held, sold }
  })
}
