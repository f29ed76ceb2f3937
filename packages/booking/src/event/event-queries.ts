import { type Database, empty, sql } from '@seatbelt/database'
import type { Event } from '@seatbelt/domain'
import { type Listed, type Page, toCurrency } from '@seatbelt/payments'
import { createSnapshotCache, type SnapshotCache } from './snapshot-cache.ts'

/** An event with a hundred sections takes some 30 KB, so that all together take some 5 MB. */
const mostPartsKept = 20_000

/** Events by their id, of all accounts: kept for as long as there is room, because they never change. */
export type EventPlans = SnapshotCache<Event>

export function createEventPlans(database: Database): EventPlans {
  return createSnapshotCache({
    load: (id) => readEvent(database, id),
    maxAgeMs: Number.POSITIVE_INFINITY,
    maxSize: mostPartsKept,
    sizeOf: ({ sections, tiers }) => 1 + sections.length + tiers.length,
  })
}

/** Of this account only; another account's event is as unknown as one that never was. */
export async function findEvent(plans: EventPlans, accountId: string, eventId: string): Promise<Event | null> {
  const event = await plans.get(eventId)
  return event?.accountId === accountId ? event : null
}

/** The newest first, each from the cache: the database counts the seats of a large hall for some 20 ms. */
export async function listEvents(
  database: Database,
  plans: EventPlans,
  accountId: string,
  { limit, after }: Page,
): Promise<Listed<Event>> {
  const ids = await database.query<{ id: string }>(sql`
    SELECT id FROM events WHERE account_id = ${accountId}::uuid ${after === null ? empty : sql`AND id < ${after}::uuid`}
     ORDER BY id DESC LIMIT ${limit + 1}`)
  const items: Event[] = []
  // One after the other: events that are not in the cache must not take all connections.
  for (const { id } of ids.slice(0, limit)) {
    const event = await plans.get(id)
    if (event) items.push(event)
  }
  return { items, next: ids.length > limit ? (items.at(-1)?.id ?? null) : null }
}

async function readEvent(database: Database, eventId: string): Promise<Event | null> {
  const [row] = await database.query<Omit<Event, 'currency'> & { currency: string }>(sql`
    SELECT id, account_id AS "accountId", name, currency, sale_opens_at AS "saleOpensAt",
           sale_closes_at AS "saleClosesAt", seats_per_customer AS "seatsPerCustomer",
           seats_per_customer_in_all AS "seatsPerCustomerInAll", created_at AS "createdAt",
           ARRAY(SELECT json_build_object(
                          'id', id, 'name', name, 'priceMinor', price_minor,
                          'seats', (SELECT count(*) FROM seats WHERE section_id = section.id))
                   FROM event_sections AS section WHERE event_id = events.id ORDER BY position) AS sections,
           ARRAY(SELECT json_build_object('id', id, 'name', name, 'priceMinor', price_minor, 'capacity', capacity)
                   FROM tiers WHERE event_id = events.id ORDER BY position) AS tiers
      FROM events WHERE id = ${eventId}::uuid`)
  return row ? { ...row, currency: toCurrency(row.currency) } : null
}
