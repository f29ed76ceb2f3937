import { type Sql, sql, type Tx } from '@seatbelt/database'
import { type Call, type Event, inProgressRetryAfterSeconds } from '@seatbelt/domain'
import { readClock } from '@seatbelt/payments'
import { type Guarded, guardTransaction } from '@seatbelt/safety'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { NewEvent, NewRow } from '../shared/operations.ts'

/** The limits of one event. */
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
 * A statement of so many takes PostgreSQL some 30 ms, and this process some 20 ms to make. It serves other requests
 * between two statements, so more would delay them. Fewer would cost more round trips.
 */
const seatsPerStatement = 2_000

/**
 * Creates an event with its sections, seats and tiers, once per key.
 *
 * No lock: nothing exists yet that two requests could decide about. The caller checks that the plan is within
 * `mostOfEvent` and makes sense; the constraints of the tables reject what must never be wrong.
 */
export function createEvent(deps: BookingDeps, call: Call, planned: NewEvent): Promise<Guarded<never>> {
  const { runtime } = deps.payments
  return guardTransaction(deps.payments.layers, call, {
    lockOn: {
      resource: null,
      contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
    },
    work: async (tx) => {
      const { sections: plannedSections, tiers, ...about } = planned
      const sections = plannedSections.map(({ name, priceMinor, rows }) => {
        return { id: runtime.newId(), name, priceMinor, seats: rows.flatMap(seatsOfRow) }
      })
      const event: Event = {
        ...about,
        id: runtime.newId(),
        accountId: call.accountId,
        createdAt: await readClock(tx),
        sections: sections.map((section) => ({ ...section, seats: section.seats.length })),
        tiers: tiers.map((tier) => ({ ...tier, id: runtime.newId() })),
      }
      insertEvent(tx, event)
      const seats = sections.flatMap((section) => section.seats.map((seat) => ({ ...seat, sectionId: section.id })))
      for (let from = 0; from < seats.length; from += seatsPerStatement) {
        const batch = seats.slice(from, from + seatsPerStatement).map((seat) => ({ ...seat, id: runtime.newId() }))
        await tx.writeReturning(insertSeats(event, batch))
      }
      return { kind: 'done', answer: deps.renderings.eventCreated(event) }
    },
  })
}

/** Where a chair is missing, so is its number. */
export function seatNumbers({ from, to, missing }: Pick<NewRow, 'from' | 'to' | 'missing'>): number[] {
  const gaps = new Set(missing)
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((number) => !gaps.has(number))
}

function seatsOfRow({ name: rowName, accessible, ...row }: NewRow, rowPosition: number) {
  const forWheelchairs = new Set(accessible)
  return seatNumbers(row).map((number) => ({ rowPosition, rowName, number, accessible: forWheelchairs.has(number) }))
}

/** JSON, and not parameters for each row: one text for every number of rows, which is prepared once. */
function insertEvent(tx: Tx, { id, accountId, sections, tiers, ...event }: Event): void {
  tx.write(sql`
    INSERT INTO events (id, account_id, name, currency, sale_opens_at, sale_closes_at, seats_per_customer,
                        seats_per_customer_in_all, created_at)
    VALUES (${id}::uuid, ${accountId}::uuid, ${event.name}, ${event.currency}, ${event.saleOpensAt}::timestamptz,
            ${event.saleClosesAt}::timestamptz, ${event.seatsPerCustomer}, ${event.seatsPerCustomerInAll},
            ${event.createdAt}::timestamptz)`)
  tx.write(sql`
    INSERT INTO event_sections (id, account_id, event_id, position, name, price_minor)
    SELECT (section->>'id')::uuid, ${accountId}::uuid, ${id}::uuid, place - 1, section->>'name',
           (section->>'priceMinor')::int
      FROM json_array_elements(${JSON.stringify(sections)}::json) WITH ORDINALITY AS section (section, place)`)
  tx.write(sql`
    INSERT INTO tiers (id, account_id, event_id, position, name, price_minor, capacity)
    SELECT (tier->>'id')::uuid, ${accountId}::uuid, ${id}::uuid, place - 1, tier->>'name', (tier->>'priceMinor')::int,
           (tier->>'capacity')::int
      FROM json_array_elements(${JSON.stringify(tiers)}::json) WITH ORDINALITY AS tier (tier, place)`)
}

function insertSeats({ id: eventId, accountId }: Event, seats: readonly object[]): Sql {
  return sql`
    INSERT INTO seats (id, account_id, event_id, section_id, row_position, row_name, number, accessible)
    SELECT id, ${accountId}::uuid, ${eventId}::uuid, "sectionId", "rowPosition", "rowName", number, accessible
      FROM json_to_recordset(${JSON.stringify(seats)}::json)
           AS seat (id uuid, "sectionId" uuid, "rowPosition" int, "rowName" text, number int, accessible boolean)`
}
