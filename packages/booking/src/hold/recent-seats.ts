import { type Sql, sql } from '@seatbelt/database'
import type { Refusal } from '@seatbelt/domain'
import type { Customer } from '../event/read-sale.ts'

/**
 * The seats of the holds that this customer let go without a payment, less than `pauseMs` ago, each with that moment.
 *
 * It stands in the statement that reads the claims: the commit that ends a hold also deletes its claims, so a statement
 * that sees a seat free sees why. A hold that lapsed and was not swept yet counts as well.
 */
export function recentSeats({ eventId, customerId }: Omit<Customer, 'accountId'>, pauseMs: number): Sql {
  const since = sql`statement_timestamp() - make_interval(secs => ${pauseMs / 1000}::float8)`
  return sql`
    SELECT unnest(seat_ids) AS seat_id, COALESCE(ended_at, expires_at) AS ended_at
      FROM holds WHERE event_id = ${eventId}::uuid AND customer_id = ${customerId}
       AND (ended_at > ${since} OR (state = 'active' AND expires_at > ${since}))`
}

/** A column of a statement that has `recentSeats` under the name `recent`. `seat`: the seat's id. */
export function waitSeconds(seat: Sql, pauseMs: number): Sql {
  return sql`
    (SELECT ceil(extract(epoch FROM max(ended_at) - clock_timestamp()) + ${pauseMs / 1000}::float8)::int
       FROM recent WHERE recent.seat_id = ${seat})`
}

export interface WaitingSeat {
  readonly id: string
  /** Until this customer may hold it again. Null: no hold of it ended a short time ago. */
  readonly waitSeconds: number | null
}

export function refuseRecent(customerId: string, seats: readonly WaitingSeat[]): Refusal | null {
  const waiting = seats.filter(({ waitSeconds }) => (waitSeconds ?? 0) > 0)
  if (waiting.length === 0) return null
  const retryAfterSeconds = Math.max(...waiting.map(({ waitSeconds }) => waitSeconds ?? 0))
  return { code: 'seats-held-recently', customerId, seatIds: waiting.map(({ id }) => id).sort(), retryAfterSeconds }
}
