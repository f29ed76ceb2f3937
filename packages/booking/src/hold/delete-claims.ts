import { type Sql, sql, type Tx } from '@seatbelt/database'

/**
 * Deletes claims, and locks them in the order of their seats before that, as all transactions do that lock several.
 *
 * A claim that was waited for is read again: if `which` no longer holds, it stays.
 */
export function deleteClaims(tx: Tx, which: Sql): void {
  tx.write(sql`
    DELETE FROM seat_claims WHERE seat_id = ANY (ARRAY(
      SELECT seat_id FROM seat_claims WHERE ${which} ORDER BY seat_id FOR UPDATE))`)
}
