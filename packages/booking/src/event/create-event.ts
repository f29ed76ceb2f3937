import type { Event as EventRow, Tx } from '@seatbelt/database'
import { type Event, inProgressRetryAfterSeconds, type Section, type Tier } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'
import { type Call, type Guarded, guardTransaction } from '@seatbelt/safety'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { NewEvent, NewRow, NewSection } from '../shared/operations.ts'

/** What one event can have. */
export const mostOfEvent = {
  /** The largest halls; a transaction of some two seconds. */
  seats: 100_000,
  /** The map of one is one answer, of some 1 MB. */
  seatsPerSection: 10_000,
  sections: 200,
  rowsPerSection: 200,
  tiers: 50,
}

/**
 * A statement of so many takes some 30 ms, far from the time that one may take, and making it some 20 ms of this process: what
 * others ask of it is answered in between.
 */
const seatsPerStatement = 2_000

/**
 * Creates an event with its sections, seats and tiers, once per key.
 *
 * Nothing exists yet at which two requests could meet, so that no lock is taken. That a plan is within `mostOfEvent` and makes
 * sense is for the caller to check; what must never be wrong the constraints hold.
 */
export function createEvent(deps: BookingDeps, call: Call, event: NewEvent): Promise<Guarded<never>> {
  const { newId } = deps.payments
  return guardTransaction(deps.layers, call, {
    resource: null,
    contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
    work: async (tx) => {
      const { name, currency, saleOpensAt, saleClosesAt, seatsPerCustomer } = event
      const row = await tx.event.create({
        data: { id: newId(), accountId: call.accountId, name, currency, saleOpensAt, saleClosesAt, seatsPerCustomer },
      })
      const sections = await insertSections(tx, newId, row.id, event.sections)
      const tiers = await insertTiers(tx, newId, row.id, event.tiers)
      return { kind: 'done', answer: deps.renderings.eventCreated(toEvent(row, { sections, tiers })) }
    },
  })
}

/** An event's row with its plan. */
export function toEvent(row: EventRow, plan: Pick<Event, 'sections' | 'tiers'>): Event {
  return {
    id: row.id,
    accountId: row.accountId,
    name: row.name,
    currency: toCurrency(row.currency),
    saleOpensAt: row.saleOpensAt,
    saleClosesAt: row.saleClosesAt,
    seatsPerCustomer: row.seatsPerCustomer,
    createdAt: row.createdAt,
    ...plan,
  }
}

/** Where a chair is missing, so is its number. */
export function seatNumbers({ from, to, missing }: Pick<NewRow, 'from' | 'to' | 'missing'>): number[] {
  const gaps = new Set(missing)
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((number) => !gaps.has(number))
}

type NewId = () => string

async function insertSections(
  tx: Tx,
  newId: NewId,
  eventId: string,
  planned: readonly NewSection[],
): Promise<Section[]> {
  const sections = planned.map(({ name, priceMinor, rows }, position) => {
    const seats = rows.flatMap((row, rowPosition) => seatsOfRow(row, rowPosition))
    return { id: newId(), position, name, priceMinor, seats }
  })
  await tx.eventSection.createMany({ data: sections.map(({ seats: _, ...section }) => ({ ...section, eventId })) })
  for (const { id: sectionId, seats } of sections)
    for (let from = 0; from < seats.length; from += seatsPerStatement)
      await insertSeats(tx, newId, { eventId, sectionId }, seats.slice(from, from + seatsPerStatement))
  return sections.map(({ id, name, priceMinor, seats }) => ({ id, name, priceMinor, seats: seats.length }))
}

interface NewSeat {
  readonly rowPosition: number
  readonly rowName: string
  readonly number: number
  readonly accessible: boolean
}

function seatsOfRow(row: NewRow, rowPosition: number): NewSeat[] {
  const accessible = new Set(row.accessible)
  return seatNumbers(row).map((number) => ({
    rowPosition,
    rowName: row.name,
    number,
    accessible: accessible.has(number),
  }))
}

/** Arrays, and not a row of parameters for each: one text for every number of seats, which is prepared once. */
async function insertSeats(
  tx: Tx,
  newId: NewId,
  { eventId, sectionId }: { readonly eventId: string; readonly sectionId: string },
  seats: readonly NewSeat[],
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO seats (id, event_id, section_id, row_position, row_name, number, accessible)
    SELECT id, ${eventId}::uuid, ${sectionId}::uuid, row_position, row_name, number, accessible
      FROM unnest(${seats.map(() => newId())}::uuid[],
                  ${seats.map((seat) => seat.rowPosition)}::int[],
                  ${seats.map((seat) => seat.rowName)}::text[],
                  ${seats.map((seat) => seat.number)}::int[],
                  ${seats.map((seat) => seat.accessible)}::boolean[])
        AS seat (id, row_position, row_name, number, accessible)`
}

async function insertTiers(tx: Tx, newId: NewId, eventId: string, planned: NewEvent['tiers']): Promise<Tier[]> {
  const tiers = planned.map(({ name, priceMinor, capacity }) => ({ id: newId(), name, priceMinor, capacity }))
  await tx.tier.createMany({ data: tiers.map((tier, position) => ({ ...tier, eventId, position })) })
  return tiers
}
