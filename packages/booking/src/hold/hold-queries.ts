import { type Database, type Sql, sql, type Tx } from '@seatbelt/database'
import { type BookingState, type Hold, holdStateShown } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'

/** A hold as a client sees it: also expired once its time is over, before the sweeper has written that. */
export async function findHold(database: Database, accountId: string, holdId: string): Promise<Hold | null> {
  const [row] = await database.query<Omit<Hold, 'currency'> & { currency: string; lapsed: boolean }>(sql`
    SELECT ${holdColumns}, bookings.id AS "bookingId", bookings.state::text AS "bookingState",
           hold.expires_at <= clock_timestamp() AS lapsed
      FROM holds AS hold LEFT JOIN bookings ON bookings.hold_id = hold.id
     WHERE hold.id = ${holdId}::uuid AND hold.account_id = ${accountId}::uuid`)
  if (!row) return null
  const { lapsed, ...hold } = row
  return { ...hold, currency: toCurrency(hold.currency), state: holdStateShown(row) }
}

/** A hold whose row is locked, with the claims that it still has, locked as well. */
export interface LockedHold extends Hold {
  /** The database's time after the lock was granted. */
  readonly now: Date
  /** Its time is over, by the clock alone: a hold that is being checked out does not lapse. */
  readonly lapsed: boolean
  /** Never negative. Of a hold that is being checked out: what it had left when the checkout began. */
  readonly leftMs: number
  readonly claimedIds: readonly string[]
  /** The source of the gateway references of its checkouts' orders. */
  readonly name: string
  /** The payment of its checkout waits for an operator. */
  readonly isInReview: boolean
  /** All that it is of is still its own. False: a lapsed claim was taken over, or a row was changed by hand. */
  readonly isWhole: boolean
}

export function holdOfAccount(accountId: string, holdId: string): Sql {
  return sql`id = ${holdId}::uuid AND account_id = ${accountId}::uuid`
}

/** The hold whose latest checkout made this order. */
export function holdOfOrder({ accountId, orderId }: { readonly accountId: string; readonly orderId: string }): Sql {
  return sql`order_id = ${orderId}::uuid AND account_id = ${accountId}::uuid`
}

/**
 * Locks a hold's row and then its claims in the order of their seats, as all transactions do that lock several.
 *
 * Issues all its reads before it awaits any. The clock is read outside of the locking query, and the booking in a
 * statement of its own: a query that waited for a lock sees everything else as it was before.
 */
export async function lockHold(tx: Tx, which: Sql): Promise<LockedHold | null> {
  const [[row], claims, [booking]] = await Promise.all([
    tx.read<LockedRow>(sql`
      SELECT ${holdColumns}, hold.left_ms AS "leftMs", clock_timestamp() AS now,
             COALESCE(hold.gateway_reference, hold.id::text) AS name,
             EXISTS (SELECT FROM payments WHERE payments.order_id = hold.order_id AND payments.state = 'needs_review')
               AS "isInReview",
             (SELECT held FROM tiers WHERE tiers.id = hold.tier_id) AS "tierHeld"
        FROM (SELECT * FROM holds WHERE ${which} FOR UPDATE) AS hold`),
    lockClaims(tx, sql`SELECT id FROM holds WHERE ${which}`),
    tx.read<{ id: string; state: BookingState }>(sql`
      SELECT id, state::text FROM bookings WHERE hold_id IN (SELECT id FROM holds WHERE ${which})`),
  ])
  if (!row) return null
  const { leftMs, tierHeld, ...hold } = row
  const isWholeInSeats = claims.length === hold.quantity && !claims.some(({ isSold }) => isSold)
  return {
    ...hold,
    currency: toCurrency(hold.currency),
    bookingId: booking?.id ?? null,
    bookingState: booking?.state ?? null,
    lapsed: hold.expiresAt <= hold.now,
    leftMs: leftMs ?? Math.max(0, hold.expiresAt.getTime() - hold.now.getTime()),
    claimedIds: claims.map(({ seatId }) => seatId),
    isWhole: tierHeld === null ? isWholeInSeats : tierHeld >= hold.quantity,
  }
}

interface LockedRow extends HoldRow {
  readonly name: string
  readonly isInReview: boolean
  readonly leftMs: number | null
  readonly now: Date
  /** Of the hold's tier, if it is of places. */
  readonly tierHeld: number | null
}

export interface Claim {
  readonly seatId: string
  readonly holdId: string
  /** The seat has a booking. Of a hold that is not booked, only a change by hand can have made one. */
  readonly isSold: boolean
}

/** The claims of these holds that no booking has, sorted by seat. */
export function lockClaims(tx: Tx, holdIds: Sql): Promise<Claim[]> {
  return tx.read(sql`
    SELECT seat_id AS "seatId", hold_id AS "holdId",
           EXISTS (SELECT FROM booked_seats
                    WHERE booked_seats.seat_id = claim.seat_id AND released_at IS NULL) AS "isSold"
      FROM (SELECT * FROM seat_claims WHERE hold_id IN (${holdIds}) AND booking_id IS NULL ORDER BY seat_id FOR UPDATE) AS claim`)
}

/** What is read of a hold under the name `hold`. */
const holdColumns = sql`
  hold.id, hold.account_id AS "accountId", hold.event_id AS "eventId", hold.customer_id AS "customerId",
  hold.state::text, coalesce(hold.seat_ids, '{}') AS "seatIds", hold.tier_id AS "tierId", hold.quantity,
  hold.amount_minor AS "amountMinor", hold.currency, hold.expires_at AS "expiresAt", hold.extended, hold.checkouts,
  hold.order_id AS "orderId", hold.created_at AS "createdAt"`

interface HoldRow extends Omit<Hold, 'currency' | 'bookingId' | 'bookingState'> {
  readonly currency: string
}
