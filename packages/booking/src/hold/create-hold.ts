import { type RollBack, sql, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import type { Refused } from '@seatbelt/safety'
import type { Customer, Sale } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { refuse } from '../shared/refuse.ts'
import { deleteClaims } from './delete-claims.ts'

export interface HoldToCreate extends Customer, Pick<Hold, 'quantity' | 'amountMinor'> {
  readonly seatIds?: readonly string[]
  readonly tierId?: string
  readonly gatewayReference: string
}

/** Writes the row of a hold. Its seats are claimed, or its places taken, in the same transaction. */
export function createHold(
  { payments, policy, publishSeatChange }: BookingDeps,
  tx: Tx,
  { now, currency }: Sale,
  wanted: HoldToCreate,
): Hold {
  const hold: Hold = {
    id: payments.runtime.newId(),
    accountId: wanted.accountId,
    eventId: wanted.eventId,
    customerId: wanted.customerId,
    state: 'active',
    seatIds: wanted.seatIds?.toSorted() ?? [],
    tierId: wanted.tierId ?? null,
    quantity: wanted.quantity,
    amountMinor: wanted.amountMinor,
    currency,
    expiresAt: new Date(now.getTime() + policy.holdMs),
    extended: false,
    checkouts: 0,
    orderId: null,
    bookingId: null,
    bookingState: null,
    createdAt: now,
  }
  const seatIds = hold.tierId === null ? hold.seatIds : null
  tx.write(sql`
    INSERT INTO holds (id, account_id, event_id, customer_id, seat_ids, tier_id, quantity, amount_minor, currency,
                       expires_at, gateway_reference, created_at)
    VALUES (${hold.id}::uuid, ${hold.accountId}::uuid, ${hold.eventId}::uuid, ${hold.customerId}, ${seatIds}::uuid[],
            ${hold.tierId}::uuid, ${hold.quantity}, ${hold.amountMinor}, ${currency}, ${hold.expiresAt}::timestamptz,
            ${wanted.gatewayReference}, ${now}::timestamptz)`)
  publishSeatChange(tx, hold, 'held')
  return hold
}

/**
 * Claims the seats of a hold in the order of their ids. If other holds have some of them, it rolls back and refuses.
 *
 * Guarantees: a seat is claimed by one hold, because the primary key of `seat_claims` decides. An insert waits for a
 * claim that is not committed yet. ON CONFLICT has no target, because it does not matter which index refuses the row.
 */
export async function claimSeats(
  tx: Tx,
  rollBack: RollBack<Refused>,
  { id, seatIds, expiresAt }: Hold,
  { someLapsed }: { readonly someLapsed: boolean },
): Promise<void> {
  if (someLapsed) {
    // The clock is read again after a wait for a claim: its owner may have extended the hold, or begun to pay for it.
    deleteClaims(tx, sql`seat_id = ANY (${seatIds}::uuid[]) AND NOT pinned AND expires_at <= clock_timestamp()`)
  }
  const claimed = await tx.writeReturning<{ seatId: string }>(sql`
    INSERT INTO seat_claims (seat_id, account_id, section_id, hold_id, expires_at)
    SELECT seats.id, account_id, section_id, ${id}::uuid, ${expiresAt}::timestamptz
      FROM seats WHERE seats.id = ANY (${seatIds}::uuid[]) ORDER BY seats.id
        ON CONFLICT DO NOTHING
    RETURNING seat_id AS "seatId"`)
  const own = new Set(claimed.map(({ seatId }) => seatId))
  const taken = seatIds.filter((seatId) => !own.has(seatId))
  if (taken.length > 0) rollBack(refuse({ code: 'seats-taken', seatIds: taken }))
}
