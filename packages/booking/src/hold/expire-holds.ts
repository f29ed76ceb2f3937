import { Prisma, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { type DeletedClaim, deleteClaims } from './delete-claims.ts'
import { seatNews, tellFree } from './free-hold.ts'

/** Of booking. The worker that sweeps has no policy for new holds. */
type SweepDeps = Pick<BookingDeps, 'layers' | 'tell'>

/** Frees many times what one request can want. */
const mostAtSoldOut = 100

/**
 * Expires holds whose time is over, the oldest first, and says how many: fewer than `limit`, and there is no more.
 *
 * Guarantees: of several at once each takes other holds, and none waits for one that somebody is deciding about. What was taken over
 * since stays with its new owner. Nothing depends on it: it tidies up, so that whoever watches sees what is free.
 * Fails with: database faults; what was not expired is next time.
 */
export function expireHolds(deps: SweepDeps, limit: number): Promise<number> {
  return expire(deps, Prisma.sql`true`, Prisma.sql`LIMIT ${limit} FOR UPDATE SKIP LOCKED`)
}

/**
 * The same for one tier, before it is called sold out. It waits for whoever is at one of them: he may be freeing it. All who wait
 * for several take them in one order.
 */
export function expireHoldsOfTier(deps: SweepDeps, tierId: string): Promise<number> {
  return expire(deps, Prisma.sql`tier_id = ${tierId}::uuid`, Prisma.sql`LIMIT ${mostAtSoldOut} FOR UPDATE`)
}

/** Holds, then claims, then tiers, as everywhere. The statement's time, because no index helps with the clock's. */
function expire(deps: SweepDeps, which: Prisma.Sql, locking: Prisma.Sql): Promise<number> {
  const news = seatNews(deps)
  return deps.layers.transaction(async (tx) => {
    const expired = await tx.$queryRaw<Expired[]>`
      UPDATE holds SET state = 'expired' WHERE id = ANY (ARRAY(
        SELECT id FROM holds WHERE ${which} AND state = 'active' AND expires_at <= statement_timestamp()
         ORDER BY expires_at, id ${locking}))
      RETURNING id, account_id AS "accountId", event_id AS "eventId", tier_id AS "tierId", quantity`
    const freed = await deleteClaimsOf(tx, expired)
    await giveBackPlaces(tx, expired)
    for (const hold of expired) {
      const seatIds = freed.filter(({ holdId }) => holdId === hold.id).map(({ seatId }) => seatId)
      tellFree(news, tx, { ...hold, seatIds })
    }
    return expired.length
  })
}

type Expired = Pick<Hold, 'id' | 'accountId' | 'eventId' | 'tierId' | 'quantity'>

/** Those of all at once, so that they are locked in one order; by hold, because a claim that was made since is another hold's. */
async function deleteClaimsOf(tx: Tx, expired: readonly Expired[]): Promise<DeletedClaim[]> {
  const holdIds = expired.filter(({ tierId }) => tierId === null).map(({ id }) => id)
  if (holdIds.length === 0) return []
  return deleteClaims(tx, Prisma.sql`hold_id = ANY (${holdIds}::uuid[]) AND NOT pinned`)
}

/** Never below nothing, whatever was done to a counter by hand: one that is wrong must not keep all that lapsed from expiring. */
async function giveBackPlaces(tx: Tx, expired: readonly Expired[]): Promise<void> {
  const tierIds = [...new Set(expired.map(({ tierId }) => tierId).filter((id) => id !== null))].sort()
  for (const tierId of tierIds) {
    const places = expired.reduce((sum, hold) => sum + (hold.tierId === tierId ? hold.quantity : 0), 0)
    await tx.$executeRaw`UPDATE tiers SET held = greatest(0, held - ${places}) WHERE id = ${tierId}::uuid`
  }
}
