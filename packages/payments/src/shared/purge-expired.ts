import { type Database, Prisma } from '@seatbelt/database'

/** What grows with every request and is worth nothing after a time. */
export const purgeables = ['idempotency-keys', 'outbox', 'gateway-events'] as const
export type Purgeable = (typeof purgeables)[number]

/** A few milliseconds of work, and locks on rows that nobody else asks for. */
export const purgeBatchSize = 500

/**
 * Deletes one batch of what is old enough, and says how many rows that were: fewer than `purgeBatchSize`, and there is no more.
 *
 * Guarantees: of several at once each takes other rows (SKIP LOCKED), and none waits for another or for a request.
 * Fails with: database faults; what was not deleted is deleted next time.
 */
export function purgeExpired(database: Database, what: Purgeable): Promise<number> {
  return database.statement((client) => client.$executeRaw(statements[what]))
}

/**
 * Keys: a day after their answer, which is how long a client may go on asking with one. Never one without an answer; and never
 * one whose intent is not final, although its step was answered: asked again without its key, a refund that waits for the bank
 * (201, `pending`) would be a second refund, and a hold (201, `authorized`) a refused payment where the client expects its hold.
 *
 * Messages: a week after they were sent, for whoever looks for one. What was given up stays until a person has seen to it.
 *
 * The gateway's events: it delivers for 3 days and lists them for 30 (Stripe: "Process undelivered webhook events"). Until then
 * one may come again, and must be known.
 *
 * By ctid, which a locked row keeps, so that the delete looks nothing up a second time.
 */
const statements: Readonly<Record<Purgeable, Prisma.Sql>> = {
  'idempotency-keys': Prisma.sql`
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM idempotency_keys AS old
       WHERE answered_at < now() - interval '24 hours'
         AND NOT EXISTS (SELECT 1 FROM payments WHERE payments.id = old.payment_id AND settled_at IS NULL)
         AND NOT EXISTS (SELECT 1 FROM refunds WHERE refunds.id = old.refund_id AND settled_at IS NULL)
       ORDER BY answered_at LIMIT ${purgeBatchSize} FOR UPDATE SKIP LOCKED))`,
  outbox: Prisma.sql`
    DELETE FROM outbox WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM outbox WHERE published_at < now() - interval '7 days'
       ORDER BY published_at LIMIT ${purgeBatchSize} FOR UPDATE SKIP LOCKED))`,
  'gateway-events': Prisma.sql`
    DELETE FROM gateway_events WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM gateway_events WHERE received_at < now() - interval '35 days'
       ORDER BY received_at LIMIT ${purgeBatchSize} FOR UPDATE SKIP LOCKED))`,
}
