import { sql, type Tx } from '@seatbelt/database'
import type { SeatsOrPlaces } from '../live/seat-change.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { changedAll } from './move-hold.ts'

/** A hold whose row is locked, with the seats whose locked claims are still its own. */
export interface HoldToFree extends Omit<SeatsOrPlaces, 'seatIds'> {
  readonly id: string
  readonly claimedIds: readonly string[]
}

/**
 * Ends holds and frees what they held. Seats that another customer has taken over stay with that customer.
 *
 * The holds before their claims: the trigger that keeps pinned claims reads the hold.
 */
export function freeHolds(
  { publishSeatChange }: Pick<BookingDeps, 'publishSeatChange'>,
  tx: Tx,
  holds: readonly HoldToFree[],
  state: 'released' | 'expired',
): void {
  const ids = holds.map(({ id }) => id)
  tx.write(sql`
    WITH changed AS (
      UPDATE holds
         SET state = ${state}::hold_state, left_ms = NULL,
             ended_at = CASE WHEN state = 'active' THEN LEAST(expires_at, clock_timestamp()) ELSE clock_timestamp() END
       WHERE id = ANY (${ids}::uuid[]) AND state IN ('active', 'checking_out')
      RETURNING id)
    SELECT ${changedAll(ids.length, 'hold-state')}`)
  if (holds.some(({ claimedIds }) => claimedIds.length > 0))
    tx.write(sql`DELETE FROM seat_claims WHERE hold_id = ANY (${ids}::uuid[]) AND booking_id IS NULL`)
  freePlaces(tx, holds)
  for (const { claimedIds, ...hold } of holds) {
    const quantity = hold.tierId === null ? claimedIds.length : hold.quantity
    if (quantity > 0) publishSeatChange(tx, { ...hold, seatIds: claimedIds, quantity }, 'free')
  }
}

/**
 * Tiers in the order of their ids, as all transactions do that change several.
 *
 * A counter never falls below zero, whatever was done to it by hand: a hold may end with its payment, which must end in
 * any case. The auditor compares the counters with the rows.
 */
function freePlaces(tx: Tx, holds: readonly HoldToFree[]): void {
  const tierIds = [...new Set(holds.map(({ tierId }) => tierId).filter((id) => id !== null))].sort()
  for (const tierId of tierIds) {
    const places = holds.reduce((sum, hold) => sum + (hold.tierId === tierId ? hold.quantity : 0), 0)
    tx.write(sql`UPDATE tiers SET held = greatest(0, held - ${places}) WHERE id = ${tierId}::uuid`)
  }
}
