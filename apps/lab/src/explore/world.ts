import { createHash } from 'node:crypto'
import type { Call } from '@seatbelt/domain'
import type pg from 'pg'
import type { Attempt } from '../auditor/attempt.ts'
import type { SeatAttempt } from '../auditor/seat-attempt.ts'

/** The rows of one schedule: an account of its own, with an order, or with an event whose seats are on sale. */
export interface World {
  readonly accountId: string
  readonly orderId: string
  /** Of the hold that is checked out, or the seats that are held. */
  readonly eventId: string
  readonly seatIds: readonly string[]
  readonly holdId: string
  /** The requests of clients and their answers, for the auditor's invariants. */
  readonly attempts: Attempt[]
  readonly seatAttempts: SeatAttempt[]
  /** Replicas report these to their operators. */
  readonly faults: { readonly actor: string; readonly fault: unknown }[]
  /** Whether the scheduler put a fault into this schedule. */
  isDisturbed: boolean
}

export const amountMinor = 4_200
export const priceMinor = 5_000
export const customerId = 'customer-1'

/** The nth id of a schedule: a UUIDv7 whose time is the schedule's number. */
function idOf(schedule: number, nth: number): string {
  const time = schedule.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${nth.toString(16).padStart(12, '0')}`
}

export function callOf({ accountId }: World, key: string, request: object): Call {
  return { accountId, key, fingerprint: createHash('sha256').update(JSON.stringify(request)).digest() }
}

function emptyWorld(schedule: number): World {
  const ids = Array.from({ length: 6 }, (_, nth) => idOf(schedule, nth))
  const [accountId = '', orderId = '', eventId = '', holdId = '', ...seatIds] = ids
  return {
    accountId,
    orderId,
    eventId,
    holdId,
    seatIds,
    attempts: [],
    seatAttempts: [],
    faults: [],
    isDisturbed: false,
  }
}

/** An account with an order that is open. */
export async function prepareOrder(admin: pg.Client, schedule: number): Promise<World> {
  const world = emptyWorld(schedule)
  await admin.query({
    name: 'prepare-order',
    text: `WITH account AS (INSERT INTO accounts (id, name) VALUES ($1, 'explored') RETURNING id)
           INSERT INTO orders (id, account_id, customer_id, amount_minor, currency)
           SELECT $2, id, '${customerId}', ${amountMinor}, 'EUR' FROM account`,
    values: [world.accountId, world.orderId],
  })
  return world
}

/** An account with an event, two seats, and, if it is wanted, a hold of both. */
export async function prepareEvent(
  admin: pg.Client,
  schedule: number,
  { isHeld }: { isHeld: boolean },
): Promise<World> {
  const world = emptyWorld(schedule)
  const [first = '', second = ''] = world.seatIds
  const sectionId = idOf(schedule, 6)
  // The sweep of this schedule must find none of another one.
  await admin.query(
    "UPDATE holds SET expires_at = now() + interval '1 year' WHERE state = 'active' AND expires_at < now()",
  )
  await admin.query(
    `WITH account AS (INSERT INTO accounts (id, name) VALUES ('${world.accountId}', 'explored') RETURNING id),
     event AS (
       INSERT INTO events (id, account_id, name, currency, sale_opens_at, sale_closes_at, seats_per_customer)
       SELECT '${world.eventId}', id, 'A night', 'EUR', now() - interval '1 day', now() + interval '1 day', 10
         FROM account RETURNING id, account_id)
     INSERT INTO event_sections (id, account_id, event_id, position, name, price_minor)
     SELECT '${sectionId}', account_id, id, 1, 'Stalls', ${priceMinor} FROM event;
     INSERT INTO seats (id, account_id, event_id, section_id, row_position, row_name, number)
     VALUES ('${first}', '${world.accountId}', '${world.eventId}', '${sectionId}', 1, 'A', 1),
            ('${second}', '${world.accountId}', '${world.eventId}', '${sectionId}', 1, 'A', 2);
     ${isHeld ? holdOf(world, sectionId) : ''}`,
  )
  return world
}

function holdOf({ accountId, eventId, holdId, seatIds }: World, sectionId: string): string {
  const [first, second] = seatIds
  return `
     INSERT INTO holds (id, account_id, event_id, customer_id, seat_ids, quantity, amount_minor, currency, expires_at)
     VALUES ('${holdId}', '${accountId}', '${eventId}', '${customerId}', '{${first},${second}}', 2, ${2 * priceMinor},
             'EUR', now() + interval '1 hour');
     INSERT INTO seat_claims (seat_id, account_id, section_id, hold_id, expires_at)
     SELECT seat, '${accountId}', '${sectionId}', '${holdId}', now() + interval '1 hour'
       FROM unnest('{${first},${second}}'::uuid[]) AS seat`
}
