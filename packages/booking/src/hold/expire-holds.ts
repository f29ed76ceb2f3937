import { type Sql, sql } from '@seatbelt/database'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { freeHolds, type HoldToFree } from './free-holds.ts'
import { lockClaims } from './hold-queries.ts'

/** The worker that sweeps has no policy for new holds. */
type SweepDeps = Pick<BookingDeps, 'payments' | 'publishSeatChange'>

/** Frees many times what one request can want. */
const mostAtSoldOut = 100

/**
 * Expires at most `limit` holds whose time is over, the oldest first, and returns how many.
 *
 * Guarantees: sweeps at the same time expire different holds, and none waits for a hold that is locked. Seats that were
 * taken over stay with their new owner. No operation depends on the sweep: it shows what is free.
 * Fails with: database errors; the next sweep expires the rest.
 */
export function expireHolds(deps: SweepDeps, limit: number): Promise<number> {
  return expire(deps, sql`true`, sql`LIMIT ${limit} FOR UPDATE SKIP LOCKED`)
}

/**
 * Expires the lapsed holds of one tier, before the tier is called sold out.
 *
 * It waits for a hold that is locked, because its owner may be freeing it. Holds are locked in one order.
 */
export function expireHoldsOfTier(deps: SweepDeps, tierId: string): Promise<number> {
  return expire(deps, sql`tier_id = ${tierId}::uuid`, sql`LIMIT ${mostAtSoldOut} FOR UPDATE`)
}

/**
 * No advisory lock: the rows of the holds are locked, then claims, then tiers, as everywhere.
 *
 * By the statement's time, because no index helps with the clock's.
 */
function expire(deps: SweepDeps, which: Sql, locking: Sql): Promise<number> {
  return deps.payments.layers.transaction(async (tx) => {
    const lapsed = await tx.read<Omit<HoldToFree, 'claimedIds'>>(sql`
      SELECT id, account_id AS "accountId", event_id AS "eventId", tier_id AS "tierId", quantity
        FROM holds WHERE ${which} AND state = 'active' AND expires_at <= statement_timestamp()
       ORDER BY expires_at, id ${locking}`)
    if (lapsed.length === 0) return 0
    const claims = await lockClaims(tx, sql`SELECT unnest(${lapsed.map(({ id }) => id)}::uuid[])`)
    const toFree = lapsed.map((hold) => ({
      ...hold,
      claimedIds: claims.filter(({ holdId }) => holdId === hold.id).map(({ seatId }) => seatId),
    }))
    freeHolds(deps, tx, toFree, 'expired')
    return lapsed.length
  })
}
