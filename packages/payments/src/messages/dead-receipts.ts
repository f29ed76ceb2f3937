import { empty, type Sql, sql } from '@seatbelt/database'
import type { Queryable } from '../shared/payment-deps.ts'

/** A receipt that was given up: the mail server refused it for good, or took none for a day. */
export interface DeadReceipt {
  readonly id: string
  readonly accountId: string
  readonly topic: string
  readonly recipient: string
  readonly createdAt: Date
  readonly deadAt: Date
  readonly attempts: number
  readonly lastError: string | null
}

/** A person reads them. Of more, the cause is one, and all are sent again together. */
const maxListed = 100
/** Locks that a relay does not wait for, because it skips rows that are locked. */
const batchSize = 500

const isDead = sql`channel = 'receipt' AND dead_at IS NOT NULL`

/** Over all accounts, the oldest first. */
export async function listDeadReceipts({
  database,
}: Queryable): Promise<{ readonly receipts: readonly DeadReceipt[]; readonly inAll: number }> {
  const receipts = await database.query<DeadReceipt>(sql`
    SELECT id, account_id, topic, recipient, created_at, dead_at, attempts, last_error
      FROM outbox WHERE ${isDead} ORDER BY id LIMIT ${maxListed}`)
  const [row] = await database.query<{ count: number }>(sql`
    SELECT count(*)::int AS count FROM outbox WHERE ${isDead}`)
  return { receipts, inAll: row?.count ?? 0 }
}

/**
 * Makes dead receipts due again, one or all, and returns how many they were. A receipt keeps its id, by which the
 * receiver recognizes a copy, and is tried as often as a new one. One that dies again meanwhile stays dead.
 */
export async function sendReceiptsAgain({ database }: Queryable, id: string | null): Promise<number> {
  const [began] = await database.query<{ at: Date }>(sql`SELECT clock_timestamp()::timestamptz(3) AS at`)
  const which = sql`AND dead_at <= ${began?.at ?? null}::timestamptz ${id === null ? empty : sql`AND id = ${id}::uuid`}`
  let sent = 0
  for (;;) {
    const batch = await database.query(sendAgain(which))
    sent += batch.length
    if (batch.length < batchSize) return sent
  }
}

function sendAgain(which: Sql): Sql {
  return sql`
    UPDATE outbox
       SET dead_at = NULL, attempts = 0, generation = generation + 1,
           next_attempt_at = date_trunc('milliseconds', clock_timestamp())
     WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM outbox WHERE ${isDead} ${which} ORDER BY id LIMIT ${batchSize} FOR NO KEY UPDATE))
    RETURNING 1`
}

/** Deletes a dead receipt whose address will never take one. False: there is no such receipt. */
export async function dismissReceipt({ database }: Queryable, id: string): Promise<boolean> {
  const dismissed = await database.query(sql`DELETE FROM outbox WHERE ${isDead} AND id = ${id}::uuid RETURNING 1`)
  return dismissed.length === 1
}
