import { sql, type Tx } from '@seatbelt/database'

/** The database's time, which all processes agree on. Several calls in one step need one read. */
export async function readClock(tx: Tx): Promise<Date> {
  const [row] = await tx.read<{ now: Date }>(sql`SELECT clock_timestamp() AS now`)
  if (!row) throw new Error('the database did not tell its time')
  return row.now
}
