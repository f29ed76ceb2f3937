import { randomUUID } from 'node:crypto'
import type { Guarded } from '@seatbelt/safety'
import { eventually, startTcpProxy, type TcpProxy } from '@seatbelt/testing'
import { extendHold } from '../src/hold/extend-hold.ts'
import { holdSeats } from '../src/hold/hold-seats.ts'
import { releaseHold } from '../src/hold/release-hold.ts'
import type { HoldRequest } from '../src/shared/operations.ts'
import {
  type BoxOffice,
  type BoxOfficeParts,
  bodyOf,
  brief,
  call,
  customerId as defaultCustomer,
  type SoldEvent,
  type Window,
} from './box-office.ts'

export interface Asking {
  readonly customerId?: string
  readonly key?: string
  readonly accountId?: string
}

type Result = Promise<Guarded<never>>

/** The operations of customers at a window before they pay. */
export interface Counter {
  seats(event: Pick<SoldEvent, 'eventId'>, seatIds: readonly string[], asking?: Asking): Result
  places(event: Pick<SoldEvent, 'eventId' | 'tierId'>, quantity: number, asking?: Asking): Result
  adjacent(event: Pick<SoldEvent, 'eventId' | 'sectionId'>, quantity: number, asking?: Asking): Result
  extend(holdId: string, asking?: Asking): Result
  release(holdId: string, asking?: Asking): Result
}

export function counterOf({ deps }: Window): Counter {
  const hold = (eventId: string, of: HoldRequest, { customerId = defaultCustomer, key, accountId }: Asking = {}) => {
    const request = { eventId, customerId, of }
    return holdSeats(deps, call(key ?? randomUUID(), request, accountId), request)
  }
  const own = (holdId: string, { customerId = defaultCustomer, key, accountId }: Asking = {}) => {
    const request = { holdId, customerId }
    return [deps, call(key ?? randomUUID(), request, accountId), request] as const
  }
  return {
    seats: ({ eventId }, seatIds, asking) => hold(eventId, { kind: 'seats', seatIds }, asking),
    places: ({ eventId, tierId }, quantity, asking) => hold(eventId, { kind: 'places', tierId, quantity }, asking),
    adjacent: ({ eventId, sectionId }, quantity, asking) =>
      hold(eventId, { kind: 'adjacent', sectionId, quantity }, asking),
    extend: (holdId, asking) => extendHold(...own(holdId, asking)),
    release: (holdId, asking) => releaseHold(...own(holdId, asking)),
  }
}

/** A window whose every statement can be stopped on its way to PostgreSQL. */
export async function openStoppable(office: BoxOffice, by: string, parts: BoxOfficeParts = {}) {
  const { hostname: host, port } = new URL(office.databaseUrl)
  const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
  const window = await office.open(by, { ...parts, databaseUrl: proxy.through(office.databaseUrl) })
  return { window, counter: counterOf(window), proxy, stop: (sql: string) => stopBefore(proxy, sql) }
}

/**
 * Stops the next statement with this text before PostgreSQL sees it. BEGIN names a level that has COMMIT in its name.
 */
function stopBefore(proxy: TcpProxy, sql: string) {
  return proxy.intercept({
    matches: ({ kind, text }) =>
      (kind === 'bind' || kind === 'query') && text.includes(sql) && !text.startsWith('BEGIN'),
    at: 'request',
  })
}

/** Waits until a transaction of this window waits for a lock. */
export async function waitsForLock(office: BoxOffice, by: string): Promise<void> {
  await eventually(`${by} waits for a lock`, async () => {
    const waiting = await office.sql(
      `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
      [by],
    )
    return waiting.length > 0
  })
}

/** As if the time of the hold had passed. */
export async function letLapse(office: BoxOffice, holdId: string): Promise<void> {
  await office.sql(`UPDATE holds SET expires_at = now() - interval '1 second' WHERE id = $1`, [holdId])
  await letClaimsLapse(office, holdId)
}

/** The claims alone: as if the time passed just after the owner had read the hold. */
export async function letClaimsLapse(office: BoxOffice, holdId: string): Promise<void> {
  await office.sql(`UPDATE seat_claims SET expires_at = now() - interval '1 second' WHERE hold_id = $1`, [holdId])
}

/** The holds that have these seats, by the claims. */
export async function ownersOf(office: BoxOffice, seatIds: readonly string[]): Promise<(string | null)[]> {
  const rows = await office.sql<{ seatId: string; holdId: string }>(
    `SELECT seat_id AS "seatId", hold_id AS "holdId" FROM seat_claims WHERE pinned OR expires_at > clock_timestamp()`,
  )
  return seatIds.map((id) => rows.find(({ seatId }) => seatId === id)?.holdId ?? null)
}

export function idOf(result: Guarded<unknown>): string {
  return bodyOf<{ id: string }>(result).id
}

/** The seats that a refusal names. */
export function namedSeats(result: Guarded<unknown>): readonly string[] {
  if (result.kind !== 'refused' || !('seatIds' in result.refusal))
    throw new Error(`no seats are named: ${brief(result)}`)
  return result.refusal.seatIds
}

export async function countOf(office: BoxOffice, table: 'holds' | 'seat_claims' | 'idempotency_keys'): Promise<number> {
  const [row] = await office.sql<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)
  return row?.count ?? 0
}

export async function placesOf(office: BoxOffice, { tierId }: SoldEvent) {
  const [tier] = await office.sql<{ sold: number; held: number }>('SELECT sold, held FROM tiers WHERE id = $1', [
    tierId,
  ])
  return tier
}
