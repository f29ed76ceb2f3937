import { type Database, sql } from '@seatbelt/database'

/**
 * More than an outage leaves open: while the circuit is open nothing is claimed. Rows beyond this number wait for their
 * own time, 20 s at most.
 */
const maxRows = 2_000

/**
 * By the clock as well as by `now()`: where another process has made a row due since this statement began, the row's
 * time is past by the clock, but not by `now()`.
 */
const isPostponed = sql`leased_until IS NULL AND next_attempt_at > now() AND next_attempt_at > clock_timestamp()`

/**
 * Makes the payments and refunds due that were postponed while the gateway did not answer, and returns how many they
 * were. Called when the gateway is back.
 *
 * Guarantees: it changes nothing but the time of the next attempt. Rows with an owner stay with their owner; rows that
 * wait for a person or for a bank keep their time. Any number of processes may call it at once: each skips the others'
 * rows.
 */
export async function retryPostponedNow(database: Pick<Database, 'query'>): Promise<number> {
  const rows = await database.query(sql`
    WITH due_payments AS (
      UPDATE payments SET next_attempt_at = clock_timestamp()
       WHERE id IN (
         SELECT id FROM payments
          WHERE state IN ('processing', 'capturing', 'voiding') AND ${isPostponed}
          ORDER BY next_attempt_at LIMIT ${maxRows} FOR NO KEY UPDATE SKIP LOCKED)
      RETURNING 1),
    due_refunds AS (
      UPDATE refunds SET next_attempt_at = clock_timestamp()
       WHERE id IN (
         SELECT id FROM refunds
          WHERE state = 'processing' AND ${isPostponed}
          ORDER BY next_attempt_at LIMIT ${maxRows} FOR NO KEY UPDATE SKIP LOCKED)
      RETURNING 1)
    SELECT 1 FROM due_payments UNION ALL SELECT 1 FROM due_refunds`)
  return rows.length
}
