import { empty, type Sql, sql } from '@seatbelt/database'
import type { LeasedTable } from '../shared/leased-work.ts'
import type { Queryable } from '../shared/payment-deps.ts'

/** The row has no owner that looks at it now. */
const waitsForPerson = sql`state = 'needs_review' AND (leased_until IS NULL OR leased_until < now())`

/**
 * Makes the next look of recovery due now. False: the row waits for no person, or an owner works on it.
 *
 * The time is cut, not rounded as the column would: half a millisecond ahead of the clock, recovery finds nothing due.
 */
export async function bringForward(
  { database }: Queryable,
  { name }: LeasedTable,
  id: string,
  condition: Sql = empty,
): Promise<boolean> {
  const changed = await database.query(sql`
    UPDATE ${name} SET next_attempt_at = date_trunc('milliseconds', clock_timestamp())
     WHERE id = ${id}::uuid AND ${waitsForPerson} ${condition}
    RETURNING 1`)
  return changed.length === 1
}

/** After a look that did not happen: the row has no owner, so the gateway is away. */
export async function isWaiting({ database }: Queryable, { name }: LeasedTable, id: string): Promise<boolean> {
  const rows = await database.query(sql`SELECT 1 FROM ${name} WHERE id = ${id}::uuid AND ${waitsForPerson}`)
  return rows.length === 1
}
