import { assertResource } from './lock.ts'
import type { LockMetrics } from './lock-metrics.ts'

/**
 * Advisory lock of PostgreSQL, transaction level: one decider at a time on one name, until COMMIT or ROLLBACK.
 *
 * **Guarantees**: nobody else is past this line for the same name in the same database until the transaction ends, and it
 * ends with the transaction whatever happens: commit, rollback, lost connection, killed process. It needs no release, so
 * none can be forgotten; and it is safe behind a pooler in transaction mode. One round trip. The wait is bounded by
 * `lockTimeoutMs`, which is set in the same statement before the lock is asked for and stays in force, as `SET LOCAL` does,
 * for row locks of the rest of the transaction. Deadlocks between such locks are found by the server.
 *
 * **Does not guarantee**: anything between two transactions. Nothing about those who do not ask for it: it guards a name, not a
 * row. What the *same* statement reads is from before the lock, so read in the next one (READ COMMITTED; at higher levels the
 * whole transaction may see what was true before). Two names can share a key: 64 bits, so with a million names in use at
 * once the odds that any two collide are 1 in 37 million (n^2 / 2^65); a collision only makes two strangers wait for each other.
 *
 * **Fails with**: `LockTimeout` when the wait was too long (SQLSTATE 55P03). PostgreSQL has then ended the transaction: it can
 * only be rolled back, which is why this refusal is thrown. Let it leave the transaction's callback, so that the wrapper
 * rolls back, and turn it into a value outside (`isLockTimeout`). Everything else that the query throws comes through as it is.
 *
 * **Source**: PostgreSQL documentation, "Advisory Locks" (13.3.5), `lock_timeout` (19.11), and `hashtextextended` (hashfn.h).
 */
export async function lockInTransaction(
  query: Query,
  name: string,
  { lockTimeoutMs, metrics }: AdvisoryLockOptions,
): Promise<void> {
  assertResource(name)
  assertLockTimeout(lockTimeoutMs)
  const askedAtMs = performance.now()
  try {
    await query(lockStatement, [name, `${lockTimeoutMs}`])
    metrics?.acquired('advisory', performance.now() - askedAtMs)
  } catch (error) {
    if (!hasSqlState(error, lockNotAvailable)) throw error
    metrics?.refused('advisory', 'timed-out')
    throw new LockTimeout(name, lockTimeoutMs, error)
  }
}

/**
 * Runs one statement with positional parameters **inside the transaction**: `(sql, params) => client.query(sql, params)` of `pg`,
 * `(sql, params) => tx.$queryRawUnsafe(sql, ...params)` of Prisma. What it resolves with is not looked at.
 */
export type Query = (sql: string, params: string[]) => Promise<unknown>

export interface AdvisoryLockOptions {
  readonly lockTimeoutMs: number
  readonly metrics?: LockMetrics
}

/** The lock was not had in time, and the transaction can only be rolled back. */
export class LockTimeout extends Error {
  readonly code = 'lock-timeout'
  readonly resource: string

  constructor(resource: string, lockTimeoutMs: number, cause: unknown) {
    super(`the lock on ${resource} was not free within ${lockTimeoutMs} ms`, { cause })
    this.name = 'LockTimeout'
    this.resource = resource
  }
}

/** For the place outside the transaction where the refusal becomes a value again. */
export function isLockTimeout(error: unknown): error is LockTimeout {
  return error instanceof LockTimeout
}

/** Longer than that a request should not hold a connection only to wait. */
export const maxLockTimeoutMs = 60_000

/**
 * The lock's argument depends on what set_config returned, and the subquery that returns it is computed on its own
 * (MATERIALIZED): the time-out is in force before the wait begins, in whatever order the planner likes to work. The cast is
 * there because Prisma cannot return `void`.
 */
const lockStatement = `
WITH bounded AS MATERIALIZED (SELECT set_config('lock_timeout', $2::text, true) AS lock_timeout)
SELECT pg_advisory_xact_lock(hashtextextended(CASE WHEN lock_timeout IS NOT NULL THEN $1::text END, 0))::text AS locked
FROM bounded`.trim()

/** SQLSTATE lock_not_available. */
const lockNotAvailable = '55P03'

/**
 * Where an error's SQLSTATE stands depends on who throws it: `code` in `pg`; in Prisma below `meta.driverAdapterError.cause`
 * as `originalCode`. The bound is deeper than either.
 */
function hasSqlState(error: unknown, state: string, depth = 5): boolean {
  if (typeof error !== 'object' || error === null || depth === 0) return false
  if ('code' in error && error.code === state) return true
  if ('originalCode' in error && error.originalCode === state) return true
  return (['cause', 'meta', 'driverAdapterError'] as const).some(
    (inner) => inner in error && hasSqlState((error as Record<string, unknown>)[inner], state, depth - 1),
  )
}

function assertLockTimeout(lockTimeoutMs: number): void {
  // 0 would mean no bound at all to PostgreSQL.
  if (!Number.isInteger(lockTimeoutMs) || lockTimeoutMs < 1 || lockTimeoutMs > maxLockTimeoutMs) {
    throw new RangeError(`lockTimeoutMs must be a whole number from 1 to ${maxLockTimeoutMs}; it is ${lockTimeoutMs}`)
  }
}
