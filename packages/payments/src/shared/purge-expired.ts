import { type Database, type Sql, sql } from '@seatbelt/database'
import { keyLifetimeHours } from '@seatbelt/domain'

/** Rows that grow with every request and have no use after a time. */
export const purgeables = ['idempotency-keys', 'outbox', 'gateway-events'] as const
export type Purgeable = (typeof purgeables)[number]

/** A few milliseconds of work, and locks on rows that no other process needs. */
export const purgeBatchSize = 500

/**
 * Deletes one batch of what is old enough, and returns the number of rows. Fewer than `purgeBatchSize`: there are no
 * more.
 *
 * Guarantees: of several calls at once each takes other rows (SKIP LOCKED), and none waits for another or for a
 * request.
 * Fails with: database errors. What was not deleted is deleted next time.
 */
export async function purgeExpired(database: Pick<Database, 'query'>, what: Purgeable): Promise<number> {
  return (await database.query(statements[what])).length
}

/**
 * Keys live for `keyLifetimeHours` after their answer, which is how long a client may retry with one. A key without an
 * answer stays. So does a key whose payment or refund is not final, although its step was answered: repeated without
 * its key, a refund that waits for the bank (201, `pending`) would be a second refund, and an authorization (201,
 * `authorized`) a refused payment.
 *
 * Messages live for a week after they were sent, for inquiries. What was given up stays until a person has handled it.
 *
 * The gateway delivers its events for 3 days and lists them for 30 (Stripe: "Process undelivered webhook events").
 * Until then an event may come again, and must be known.
 *
 * By ctid, which does not change while the row is locked, so that the delete looks nothing up a second time.
 */
const statements: Readonly<Record<Purgeable, Sql>> = {
  'idempotency-keys': sql`
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM idempotency_keys AS old
       WHERE answered_at < now() - make_interval(hours => ${keyLifetimeHours}::int)
         AND NOT EXISTS (SELECT 1 FROM payments WHERE payments.id = old.payment_id AND settled_at IS NULL)
         AND NOT EXISTS (SELECT 1 FROM refunds WHERE refunds.id = old.refund_id AND settled_at IS NULL)
       ORDER BY answered_at LIMIT ${purgeBatchSize} FOR UPDATE SKIP LOCKED))
    RETURNING 1`,
  outbox: sql`
    DELETE FROM outbox WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM outbox WHERE published_at < now() - interval '7 days'
       ORDER BY published_at LIMIT ${purgeBatchSize} FOR UPDATE SKIP LOCKED))
    RETURNING 1`,
  'gateway-events': sql`
    DELETE FROM gateway_events WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM gateway_events WHERE received_at < now() - interval '35 days'
       ORDER BY received_at LIMIT ${purgeBatchSize} FOR UPDATE SKIP LOCKED))
    RETURNING 1`,
}
