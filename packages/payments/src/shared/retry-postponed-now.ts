import { type Database, Prisma } from '@seatbelt/database'

/**
 * More than an outage leaves open: while the circuit is open nothing is claimed. What is beyond it waits for its own time,
 * 20 s at most.
 */
const maxRows = 2_000

/**
 * By the clock as well: a process that began at the same moment, and comes to a row after another one made it due, finds a time
 * that is past by now but not when it began.
 */
const isPutOff = Prisma.sql`look_at > now() AND look_at > clock_timestamp()`

/**
 * Has recovery look at once at the payments and refunds that were put off while the gateway did not answer. Called when it
 * is back. Gives how many that were.
 *
 * Guarantees: nothing but the time of the next look is changed. What is owned is left to its owner; what waits for a person,
 * or for a bank, keeps its hour. Any number of processes may call it at once: what one has, the others skip.
 */
export async function makePutOffDue(database: Database): Promise<number> {
  const payments = await database.statement(
    (client) => client.$executeRaw`
    UPDATE payments SET look_at = clock_timestamp()
     WHERE id IN (
       SELECT id FROM payments
        WHERE state IN ('processing', 'capturing', 'voiding') AND leased_until IS NULL AND ${isPutOff}
        ORDER BY look_at LIMIT ${maxRows} FOR NO KEY UPDATE SKIP LOCKED)`,
  )
  const refunds = await database.statement(
    (client) => client.$executeRaw`
    UPDATE refunds SET look_at = clock_timestamp()
     WHERE id IN (
       SELECT id FROM refunds
        WHERE state = 'processing' AND leased_until IS NULL AND ${isPutOff}
        ORDER BY look_at LIMIT ${maxRows} FOR NO KEY UPDATE SKIP LOCKED)`,
  )
  return payments + refunds
}
