import { randomUUID } from 'node:crypto'
import type { Availability, NewEvent, NewRow, SeatMap } from '@seatbelt/booking'
import type { Database } from '@seatbelt/database'
import type { Call, Event, SeatState } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'
import type { Guarded } from '@seatbelt/safety'
import type { NaiveBookingDeps } from './naive-booking.ts'
import { answered } from './naive-parts.ts'

/** What is sold. Nobody races for it: it is written by one request, before the sale. */
export async function createEventNaively(
  { payments: { database }, renderings }: NaiveBookingDeps,
  { accountId }: Call,
  { sections, tiers, ...asked }: NewEvent,
): Promise<Guarded<never>> {
  const { client } = database
  const eventId = randomUUID()
  await client.event.create({ data: { ...asked, id: eventId, accountId } })
  for (const [position, { name, priceMinor, rows }] of sections.entries()) {
    const sectionId = randomUUID()
    await client.eventSection.create({ data: { id: sectionId, accountId, eventId, position, name, priceMinor } })
    const seats = rows.flatMap((row, rowPosition) =>
      numbersOf(row).map((number) => ({
        ...{ id: randomUUID(), accountId, eventId, sectionId, rowPosition, rowName: row.name, number },
        accessible: row.accessible.includes(number),
      })),
    )
    await client.seat.createMany({ data: seats })
  }
  await client.tier.createMany({
    data: tiers.map((tier, position) => ({ ...tier, id: randomUUID(), accountId, eventId, position })),
  })
  const event = await findEvent(database, accountId, eventId)
  if (event === null) throw new Error(`event ${eventId} was written and is not there`)
  return answered(renderings.eventCreated(event))
}

function numbersOf({ from, to, missing }: NewRow): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((number) => !missing.includes(number))
}

export async function findEvent({ client }: Database, accountId: string, eventId: string): Promise<Event | null> {
  const row = await client.event.findFirst({
    where: { id: eventId, accountId },
    include: {
      sections: { orderBy: { position: 'asc' }, include: { _count: { select: { seats: true } } } },
      tiers: { orderBy: { position: 'asc' } },
    },
  })
  if (row === null) return null
  return {
    ...row,
    currency: toCurrency(row.currency),
    sections: row.sections.map(({ id, name, priceMinor, _count }) => ({ id, name, priceMinor, seats: _count.seats })),
    tiers: row.tiers.map(({ id, name, priceMinor, capacity }) => ({ id, name, priceMinor, capacity })),
  }
}

interface SectionCounts {
  readonly sectionId: string
  readonly held: number
  readonly booked: number
}

export async function readAvailability(
  database: Database,
  accountId: string,
  eventId: string,
): Promise<Availability | null> {
  const event = await findEvent(database, accountId, eventId)
  if (event === null) return null
  const counts = await database.client.$queryRaw<SectionCounts[]>`
    SELECT section_id AS "sectionId",
           count(DISTINCT seat_id) FILTER (WHERE booking_id IS NULL)::int AS held,
           count(DISTINCT seat_id) FILTER (WHERE booking_id IS NOT NULL)::int AS booked
      FROM seat_claims JOIN event_sections ON event_sections.id = section_id
     WHERE event_id = ${eventId}::uuid AND (pinned OR expires_at > clock_timestamp())
     GROUP BY section_id`
  const tiers = await database.client.tier.findMany({ where: { eventId }, orderBy: { position: 'asc' } })
  return {
    sections: event.sections.map((section) => {
      const { held = 0, booked = 0 } = counts.find(({ sectionId }) => sectionId === section.id) ?? {}
      return { ...section, free: Math.max(0, section.seats - held - booked), held, booked }
    }),
    tiers: tiers.map(({ id, name, priceMinor, capacity, sold, held }) => ({
      ...{ id, name, priceMinor, capacity, sold, held, free: Math.max(0, capacity - sold - held) },
    })),
  }
}

export async function readSeatMap(
  { client }: Database,
  accountId: string,
  eventId: string,
  sectionId: string,
): Promise<SeatMap | null> {
  const section = await client.eventSection.findFirst({
    where: { id: sectionId, eventId, event: { accountId } },
    include: { seats: { orderBy: [{ rowPosition: 'asc' }, { number: 'asc' }] } },
  })
  if (section === null) return null
  const states = new Map<string, SeatState>()
  const claims = await client.seatClaim.findMany({ where: { sectionId, ...isLive() } })
  for (const { seatId, bookingId } of claims) states.set(seatId, bookingId === null ? 'held' : 'booked')
  const rows = new Map<string, SeatMap['rows'][number]['seats'][number][]>()
  for (const { id, rowName, number, accessible } of section.seats) {
    const seat = { id, number, accessible, state: states.get(id) ?? 'free' }
    rows.set(rowName, [...(rows.get(rowName) ?? []), seat])
  }
  const { id, name, priceMinor, seats } = section
  return {
    section: { id, name, priceMinor, seats: seats.length },
    rows: [...rows].map(([rowName, seatsOfRow]) => ({ name: rowName, seats: seatsOfRow })),
  }
}

/** A seat that is booked, or whose hold has time left by this process's clock. */
export function isLive() {
  return { OR: [{ pinned: true }, { expiresAt: { gt: new Date() } }] }
}
