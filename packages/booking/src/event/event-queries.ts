import type { Database, Event as EventRow, Prisma } from '@seatbelt/database'
import type { Event } from '@seatbelt/domain'
import type { Listed, Page } from '@seatbelt/payments'
import { toEvent } from './create-event.ts'
import { createPictures, type Pictures } from './snapshot-cache.ts'

/** An event with a hundred sections takes some 30 KB, so that all together take some 5 MB. */
const mostPartsKept = 20_000

/** Events by their id, of whatever account: kept for as long as there is room, because they never change. */
export function createEventPlans(database: Database): Pictures<Event> {
  return createPictures({
    take: (id) => readEvent(database, id),
    maxAgeMs: Number.POSITIVE_INFINITY,
    mostWeight: mostPartsKept,
    weigh: ({ sections, tiers }) => 1 + sections.length + tiers.length,
  })
}

/** Of this account only; another account's event is as unknown as one that never was. */
export async function findEvent(plans: Pictures<Event>, accountId: string, eventId: string): Promise<Event | null> {
  const event = await plans.get(eventId)
  return event?.accountId === accountId ? event : null
}

/**
 * The newest first, each from what is kept: the database counts the seats of a large hall for some 20 ms. Whoever asks for such a
 * list again and again must not have them counted each time.
 */
export async function listEvents(
  database: Database,
  plans: Pictures<Event>,
  accountId: string,
  { limit, after }: Page,
): Promise<Listed<Event>> {
  const ids = await database.statement((client) =>
    client.event.findMany({
      where: { accountId, ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
      select: { id: true },
    }),
  )
  const items: Event[] = []
  // One after the other: those that are not kept yet must not take all connections.
  for (const { id } of ids.slice(0, limit)) {
    const event = await plans.get(id)
    if (event) items.push(event)
  }
  return { items, next: ids.length > limit ? (items.at(-1)?.id ?? null) : null }
}

function readEvent(database: Database, eventId: string): Promise<Event | null> {
  return database.statement(async (client) => {
    const row: EventWithPlan | null = await client.event.findUnique({ where: { id: eventId }, include: plan })
    if (!row) return null
    const { sections, tiers, ...event } = row
    const counts = await client.$queryRaw<{ id: string; seats: number }[]>`
      SELECT section_id AS id, count(*)::int AS seats FROM seats
       WHERE section_id = ANY(${sections.map(({ id }) => id)}::uuid[]) GROUP BY section_id`
    const seats = new Map(counts.map((section) => [section.id, section.seats]))
    return toEvent(event, {
      sections: sections.map(({ id, name, priceMinor }) => ({ id, name, priceMinor, seats: seats.get(id) ?? 0 })),
      tiers: tiers.map(({ id, name, priceMinor, capacity }) => ({ id, name, priceMinor, capacity })),
    })
  })
}

const plan = {
  sections: { orderBy: { position: 'asc' } },
  tiers: { orderBy: { position: 'asc' } },
} as const satisfies Prisma.EventInclude

type EventWithPlan = EventRow & Prisma.EventGetPayload<{ include: typeof plan }>
