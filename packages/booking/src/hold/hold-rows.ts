import { Prisma, type Tx } from '@seatbelt/database'
import type { Hold, HoldState } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'

/** A hold as it was read under its row's lock, at the database's time of that moment. */
export interface LockedHold extends Hold {
  /** Its time was over. Said of the clock alone: one that is being paid for does not lapse. */
  readonly lapsed: boolean
  /** Never negative. Of a hold that is being checked out: what it had left when that began. */
  readonly leftMs: number
}

/** What is read of a hold under the name `hold`, as `toHold` takes it. Holds of places have no array of seats. */
export const holdColumns = Prisma.sql`
  hold.id, hold.account_id AS "accountId", hold.event_id AS "eventId", hold.customer_id AS "customerId",
  hold.state::text AS state, hold.seat_ids AS "seatIds", hold.tier_id AS "tierId", hold.quantity,
  hold.amount_minor AS "amountMinor", hold.currency, hold.expires_at AS "expiresAt", hold.extended, hold.checkouts,
  hold.order_id AS "orderId", hold.created_at AS "createdAt"`

export interface HoldRow extends Omit<Hold, 'seatIds' | 'currency' | 'bookingId'> {
  readonly seatIds: readonly string[] | null
  readonly currency: string
}

/** A hold as the domain knows it. What it became stands in another table. */
export function toHold(row: HoldRow, bookingId: string | null): Hold {
  return {
    id: row.id,
    accountId: row.accountId,
    eventId: row.eventId,
    customerId: row.customerId,
    state: row.state,
    seatIds: row.seatIds ?? [],
    tierId: row.tierId,
    quantity: row.quantity,
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    expiresAt: row.expiresAt,
    extended: row.extended,
    checkouts: row.checkouts,
    orderId: row.orderId,
    bookingId,
    createdAt: row.createdAt,
  }
}

/** As a client sees it: one whose time is over has expired, whether or not somebody wrote that down. */
export async function findHold(client: Tx, accountId: string, holdId: string): Promise<Hold | null> {
  const [row] = await client.$queryRaw<(HoldRow & { bookingId: string | null; lapsed: boolean })[]>`
    SELECT ${holdColumns}, booking.id AS "bookingId", hold.expires_at <= clock_timestamp() AS lapsed
      FROM holds AS hold LEFT JOIN bookings AS booking ON booking.hold_id = hold.id
     WHERE hold.id = ${holdId}::uuid AND hold.account_id = ${accountId}::uuid`
  if (!row) return null
  const state: HoldState = row.state === 'active' && row.lapsed ? 'expired' : row.state
  return { ...toHold(row, row.bookingId), state }
}

/**
 * Locks the hold's row, and reads what it says then. The first row lock of all that decide about a hold, but for its order's.
 *
 * The clock is read outside of the locking query, and so after a wait for the lock. So is the booking, in a statement of its own:
 * one that waits sees what else was true before.
 */
export function lockHold(tx: Tx, accountId: string, holdId: string): Promise<LockedHold | null> {
  return lockOne(tx, Prisma.sql`id = ${holdId}::uuid AND account_id = ${accountId}::uuid`)
}

/** The hold whose latest checkout made this order. Every order of a checkout has one until its payment has ended. */
export async function lockHoldOfOrder(
  tx: Tx,
  { accountId, orderId }: { readonly accountId: string; readonly orderId: string },
): Promise<LockedHold> {
  const hold = await lockOne(tx, Prisma.sql`order_id = ${orderId}::uuid AND account_id = ${accountId}::uuid`)
  if (!hold) throw new Error(`order ${orderId} is of a checkout, and no hold names it`)
  return hold
}

async function lockOne(tx: Tx, which: Prisma.Sql): Promise<LockedHold | null> {
  const [row] = await tx.$queryRaw<(HoldRow & Pick<LockedHold, 'lapsed' | 'leftMs'>)[]>`
    SELECT ${holdColumns}, hold.expires_at <= clock_timestamp() AS lapsed,
           coalesce(hold.left_ms, greatest(0, floor(1000 * extract(epoch FROM hold.expires_at - clock_timestamp()))))::int AS "leftMs"
      FROM (SELECT * FROM holds WHERE ${which} FOR UPDATE) AS hold`
  if (!row) return null
  const bookingId = row.state === 'booked' ? await findBookingOf(tx, row.id) : null
  return { ...toHold(row, bookingId), lapsed: row.lapsed, leftMs: row.leftMs }
}

async function findBookingOf(tx: Tx, holdId: string): Promise<string | null> {
  const booking = await tx.booking.findUnique({ where: { holdId }, select: { id: true } })
  return booking?.id ?? null
}
