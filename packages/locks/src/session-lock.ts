import { randomUUID } from 'node:crypto'
import { Heartbeat } from './heartbeat.ts'
import { HeldLease } from './held-lease.ts'
import {
  type AcquireOptions,
  type Acquisition,
  assertResource,
  assertTimes,
  type Lease,
  type Lock,
  type LockRefusal,
  type ReleaseOutcome,
} from './lock.ts'
import { type Budgeted, withinBudget } from './within-budget.ts'

/**
 * Advisory lock of PostgreSQL, session level: held by a connection of its own, across any number of transactions on
 * others.
 *
 * **Guarantees**: at most one holder at a time for a name in one database, without Redis. It ends with its connection,
 * so a killed process leaves none behind. A holder that is paused or cut off for a TTL loses it: the server itself ends
 * a session that was idle for `ttlMs` (`idle_session_timeout`), and the heartbeat is what keeps it from being idle; so
 * the lease's signal fires before that. Whoever waits stands in the server's queue, first come first served, bounded by
 * `lock_timeout`. A connection goes back to its pool only when the server has said that the lock is off; in every other
 * case it is closed. Behind a pooler that shares server connections (PgBouncer in transaction mode) nothing is locked:
 * the statement compares the server process it runs in with the one that the connection was promised, and locks only if
 * they are the same.
 *
 * **Does not guarantee**: that the signal comes first when the server ends the session by itself (an administrator, a
 * crash, a fail-over): then it comes when the connection's end is noticed. That a paused holder has stopped when its
 * lock ends: fence what it writes. It leaves one setting on a connection that waited
 * (`client_connection_check_interval`, which does no harm), and it pins a connection as long as it is held *and waited
 * for*, so it is for few and long holders (a migration, a leader), not for one lock a request. A deadlock that runs
 * through its holder's other connections is not seen by the server; the bound of the wait ends it. Poolers in session
 * mode are refused as well: they also name another process than the server's. Names share 64-bit keys with
 * `advisory-lock.ts` (there also the odds of a collision), and the two exclude each other.
 *
 * **Fails with**: a refusal `contended`, `timed-out`, `aborted` or `unavailable` (no connection, an error, no answer in
 * time, a pooler: see `cause`). Throws only a `RangeError` for arguments that could never work.
 *
 * **Source**: PostgreSQL documentation, "Advisory Locks" (13.3.5), `idle_session_timeout` and
 * `client_connection_check_interval` (both since 14), protocol message BackendKeyData; PgBouncer, "Feature matrix for
 * pooling modes".
 */
export function createSessionLock(options: SessionLockOptions): Lock {
  const { connect, commandBudgetMs, maxHeldMs = defaultMaxHeldMs } = options
  if (!Number.isInteger(commandBudgetMs) || commandBudgetMs < 1) {
    throw new RangeError(`commandBudgetMs must be a whole number of at least 1; it is ${commandBudgetMs}`)
  }

  return {
    strategy: 'advisory-session',
    async acquire(resource, acquireOptions) {
      assertResource(resource)
      assertTimes(acquireOptions, 3 * commandBudgetMs)
      const { signal } = acquireOptions
      if (signal?.aborted) return aborted
      const connecting = connect()
      const connected = await withinBudget(connecting, commandBudgetMs, signal)
      if (connected.kind === 'answered') return lockOn(connected.value, resource, acquireOptions)
      // Nothing was asked on it: whoever is next may have it.
      connecting.then(
        (client) => client.release(),
        () => {},
      )
      return refusalOf(connected, 'a connection')
    },
  }

  async function lockOn(client: PinnedClient, resource: string, acquireOptions: AcquireOptions): Promise<Acquisition> {
    const { ttlMs, waitMs = 0, signal } = acquireOptions
    const pinned = pin(client)
    const asked = { resource, ttlMs, waitMs, processId: client.processID }
    if (waitMs > 0) {
      // A statement of its own: the server reads this setting when a statement begins.
      const watched = await withinBudget(client.query(watchStatement, [asked.processId]), commandBudgetMs, signal)
      if (watched.kind !== 'answered') {
        pinned.giveBack('close')
        return refusalOf(watched, 'the lock')
      }
    }
    const sentAtMs = performance.now()
    const sent = client.query<LockAnswer>(waitMs === 0 ? tryStatement : waitStatement, parametersOf(asked))
    const answer = await withinBudget(sent, waitMs + commandBudgetMs, signal)

    if (answer.kind !== 'answered') {
      // The session may hold the lock, or be about to.
      pinned.giveBack('close')
      const isTimedOut = answer.kind === 'failed' && sqlStateOf(answer.error) === lockNotAvailable
      return isTimedOut ? { acquired: false, reason: 'timed-out' } : refusalOf(answer, 'the lock')
    }
    const [row] = answer.value.rows
    if (row?.is_ours !== true || row.locked !== true) {
      pinned.giveBack('clean')
      if (row?.is_ours === true) return { acquired: false, reason: 'contended' }
      return { acquired: false, reason: 'unavailable', cause: new PooledConnection() }
    }
    // When a wait ended, the server knows, and we do not: from this question on it has been idle for less than we count.
    const confirmedAtMs = waitMs === 0 ? sentAtMs : performance.now()
    const confirmed = waitMs === 0 ? answer : await withinBudget(client.query('SELECT 1'), commandBudgetMs, signal)
    if (confirmed.kind === 'answered' && performance.now() - confirmedAtMs <= ttlMs / 2) {
      return { acquired: true, lease: hold(pinned, row, asked, confirmedAtMs) }
    }
    pinned.giveBack('close')
    if (confirmed.kind !== 'answered') return refusalOf(confirmed, 'the lock')
    return {
      acquired: false,
      reason: 'unavailable',
      cause: new Error('half of the TTL was over when the answer was read'),
    }
  }

  function hold(pinned: Pinned, { idle_before }: LockAnswer, { resource, ttlMs }: Asked, sentAtMs: number): Lease {
    const { client } = pinned
    const heartbeat = new Heartbeat(
      resource,
      { ttlMs, sentAtMs, attemptTimeoutMs: commandBudgetMs, maxHeldMs },
      async () => {
        await client.query('SELECT 1')
        return true
      },
    ).start()
    pinned.onEnd(() => heartbeat.deny())
    return new HeldLease(resource, randomUUID(), heartbeat, async (): Promise<ReleaseOutcome> => {
      const wasLost = heartbeat.isLost()
      heartbeat.stop()
      if (pinned.hasEnded()) {
        pinned.giveBack('close')
        return 'already-lost'
      }
      const sent = client.query<{ unlocked: boolean }>(unlockStatement, [resource, idle_before])
      const answer = await withinBudget(sent, commandBudgetMs)
      const isUnlocked = answer.kind === 'answered' && answer.value.rows[0]?.unlocked === true
      pinned.giveBack(isUnlocked ? 'clean' : 'close')
      if (wasLost || (answer.kind === 'answered' && !isUnlocked)) return 'already-lost'
      return isUnlocked ? 'released' : 'unknown'
    })
  }
}

export interface SessionLockOptions {
  /**
   * A connection for the lock alone, straight to the server: `() => pool.connect()` of `pg`. Of a pool of its own, or
   * those who wait for locks leave no connections to those who hold them and work.
   */
  readonly connect: () => Promise<PinnedClient>
  /** No connection and no answer is waited for longer (besides the wait for the lock itself). */
  readonly commandBudgetMs: number
  /** A lease is not kept alive longer than this; 10 minutes by default. */
  readonly maxHeldMs?: number
}

/** What is used of a `PoolClient` of `pg`. */
export interface PinnedClient {
  /** The server process that the connection was promised at its start (BackendKeyData). */
  readonly processID?: number | null
  query<Row>(sql: string, parameters?: unknown[]): Promise<{ rows: Row[] }>
  /** `true`: it is closed and not used again. */
  release(destroy?: boolean): void
  on(event: 'error' | 'end', listener: () => void): unknown
  off(event: 'error' | 'end', listener: () => void): unknown
}

/** The connection runs through a pooler, behind which the lock would be on a session that others use. */
export class PooledConnection extends Error {
  readonly code = 'pooled-connection'

  constructor() {
    super(
      'a session lock needs a connection straight to PostgreSQL: this one runs through a pooler, or its client has no processID. Give the lock the address of the server itself, or use a transaction-level lock',
    )
    this.name = 'PooledConnection'
  }
}

/** As for the other locks: what holds longer hangs. */
const defaultMaxHeldMs = 10 * 60_000
/** A waiter whose connection was closed leaves the server's queue within this; each look is one system call. */
const connectionCheckMs = 250

const aborted = { acquired: false, reason: 'aborted' } as const

/** SQLSTATE lock_not_available. */
const lockNotAvailable = '55P03'

interface LockAnswer {
  readonly is_ours: boolean
  readonly locked: boolean | null
  readonly idle_before: string
}

interface Asked {
  readonly resource: string
  readonly ttlMs: number
  readonly waitMs: number
  readonly processId: number | null | undefined
}

/**
 * One statement: whether the session is ours, then the bound of the wait (for this statement only), then the lock, then
 * the session's end when it is idle. Each step needs the result of the one before, so that behind a pooler nothing at
 * all is left on a session that is not ours, and no planner can change the order.
 */
const lockStatement = (lock: string) =>
  `
WITH session AS MATERIALIZED (
  SELECT pg_backend_pid() = $2::int AS is_ours, current_setting('idle_session_timeout') AS idle_before
), bounded AS MATERIALIZED (
  SELECT is_ours, idle_before,
         CASE WHEN is_ours THEN set_config('lock_timeout', $3::text, true) END AS bound
  FROM session
), granted AS MATERIALIZED (
  SELECT is_ours, idle_before, CASE WHEN bound IS NOT NULL THEN ${lock} END AS locked FROM bounded
)
SELECT is_ours IS TRUE AS is_ours, idle_before, locked,
       CASE WHEN locked THEN set_config('idle_session_timeout', $4::text, false) END AS idle_now
FROM granted`.trim()

const tryStatement = lockStatement('pg_try_advisory_lock(hashtextextended($1::text, 0))')
const waitStatement = lockStatement('pg_advisory_lock(hashtextextended($1::text, 0))::text IS NOT NULL')
/** What is told to the session for a wait: to look whether its client is still there. */
const watchStatement = `SELECT CASE WHEN pg_backend_pid() = $1::int THEN set_config('client_connection_check_interval', '${connectionCheckMs}', false) END`
const unlockStatement =
  "SELECT pg_advisory_unlock(hashtextextended($1::text, 0)) AS unlocked, set_config('idle_session_timeout', $2::text, false) AS idle"

function parametersOf({ resource, ttlMs, waitMs, processId }: Asked): unknown[] {
  // 0 would mean no bound at all to PostgreSQL.
  return [resource, processId ?? null, `${Math.max(1, Math.ceil(waitMs))}`, `${ttlMs}`]
}

interface Pinned {
  readonly client: PinnedClient
  hasEnded(): boolean
  onEnd(listener: () => void): void
  giveBack(how: 'clean' | 'close'): void
}

/** Listens to the connection as long as it is ours: an `error` that nobody hears would end the process. */
function pin(client: PinnedClient): Pinned {
  let hasEnded = false
  let tell = () => {}
  const end = () => {
    hasEnded = true
    tell()
  }
  client.on('error', end)
  client.on('end', end)
  return {
    client,
    hasEnded: () => hasEnded,
    onEnd(listener) {
      tell = listener
      if (hasEnded) listener()
    },
    giveBack(how) {
      client.off('end', end)
      // A connection that is being closed may still fail; its last words are for nobody.
      if (how === 'clean' && !hasEnded) client.off('error', end)
      client.release(how === 'close' || hasEnded)
    },
  }
}

function refusalOf(answer: Exclude<Budgeted<unknown>, { kind: 'answered' }>, what: string): LockRefusal {
  if (answer.kind === 'aborted') return aborted
  const cause = answer.kind === 'failed' ? answer.error : new Error(`PostgreSQL took too long to give ${what}`)
  return { acquired: false, reason: 'unavailable', cause }
}

function sqlStateOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
