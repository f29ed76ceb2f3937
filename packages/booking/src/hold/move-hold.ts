import { type Sql, sql, type Tx } from '@seatbelt/database'
import { changedOne, type GuardName } from '@seatbelt/safety'
import type { LockedHold } from './hold-queries.ts'

/** Layer 4 for holds: changes the row, if it is in the state that was read, and all claims that were read with it. */
export function moveHold(
  tx: Tx,
  { id, state, claimedIds }: LockedHold,
  { hold, claims }: { readonly hold: Sql; readonly claims: Sql },
): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE holds SET ${hold} WHERE id = ${id}::uuid AND state = ${state}::hold_state RETURNING id)
    SELECT ${changedOne['hold-state']}`)
  if (claimedIds.length > 0)
    tx.write(sql`
      WITH changed AS (
        UPDATE seat_claims SET ${claims} WHERE hold_id = ${id}::uuid AND booking_id IS NULL RETURNING seat_id)
      SELECT ${changedAll(claimedIds.length, 'seats-claimed')}`)
}

/** Layer 4 for several rows: as `changedOne`, for a statement that must change so many. */
export function changedAll(rows: number, guard: GuardName): Sql {
  return sql`guard((SELECT count(*) FROM changed) = ${rows}, ${guard})`
}
