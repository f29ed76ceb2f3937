import type { Database } from '@seatbelt/database'
import type { Event } from '@seatbelt/domain'
import type { Availability, BookingOperations, SectionAvailability, TierAvailability } from '../shared/operations.ts'
import { findEvent } from './event-queries.ts'
import { createPictures, type Pictures } from './snapshot-cache.ts'

/**
 * How old a look at the seats may be when it is asked for. In an on-sale everybody looks all the time: with this, a replica asks the
 * database twice a second for an event, however many look. Nobody is promised a seat by it.
 */
export const pictureMaxAgeMs = 500
/** Of events, with their sections and tiers: some 10 MB. */
const mostPartsKept = 50_000

/** How much is left of an event, by section and by tier. */
export function createAvailabilityReader(
  database: Database,
  plans: Pictures<Event>,
): BookingOperations['readAvailability'] {
  const pictures = createPictures<Availability>({
    take: async (eventId) => {
      const event = await plans.get(eventId)
      return event && count(database, event)
    },
    maxAgeMs: pictureMaxAgeMs,
    mostWeight: mostPartsKept,
    weigh: ({ sections, tiers }) => 1 + sections.length + tiers.length,
  })
  return async (accountId, eventId) => ((await findEvent(plans, accountId, eventId)) ? pictures.get(eventId) : null)
}

async function count(database: Database, event: Event): Promise<Availability> {
  const sections = await countSections(database, event)
  return { sections, tiers: await countTiers(database, event) }
}

/** What is held and booked are the claims that are alive, at the statement's time: the clock's would be asked for every one. */
async function countSections(database: Database, { sections }: Event): Promise<SectionAvailability[]> {
  const counts = await database.statement(
    (client) => client.$queryRaw<{ id: string; held: number; booked: number }[]>`
      SELECT section_id AS id, count(*) FILTER (WHERE booking_id IS NULL)::int AS held, count(booking_id)::int AS booked
        FROM seat_claims
       WHERE section_id = ANY(${sections.map(({ id }) => id)}::uuid[]) AND (pinned OR expires_at > statement_timestamp())
       GROUP BY section_id`,
  )
  const taken = new Map(counts.map((section) => [section.id, section]))
  return sections.map((section) => {
    const { held, booked } = taken.get(section.id) ?? { held: 0, booked: 0 }
    return { ...section, free: section.seats - held - booked, held, booked }
  })
}

/**
 * What has lapsed and is still counted as held is free: whoever wants it takes it back first. The time is the statement's, so that
 * an index can be searched for it.
 */
async function countTiers(database: Database, { tiers }: Event): Promise<TierAvailability[]> {
  const counts = await database.statement(
    (client) => client.$queryRaw<{ id: string; held: number; sold: number }[]>`
      SELECT id, sold, held - (SELECT coalesce(sum(quantity), 0) FROM holds
                                WHERE tier_id = tiers.id AND state = 'active' AND expires_at <= statement_timestamp())::int AS held
        FROM tiers WHERE id = ANY(${tiers.map(({ id }) => id)}::uuid[])`,
  )
  const taken = new Map(counts.map((tier) => [tier.id, tier]))
  return tiers.map((tier) => {
    const { held, sold } = taken.get(tier.id) ?? { held: 0, sold: 0 }
    return { ...tier, free: tier.capacity - held - sold, held, sold }
  })
}
