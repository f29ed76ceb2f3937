import { randomUUID } from 'node:crypto'
import {
  backoffMs,
  isLockTimeout,
  type Lock,
  lockInTransaction,
  pause,
  updateOptimistically,
  withLock,
} from '@seatbelt/locks'
import type { Redis } from 'ioredis'
import type pg from 'pg'
import type { PackageRedlock } from './redlock-packages.ts'

/** One way to let one contender at a time do its work. */
export interface Strategy {
  readonly name: string
  /** Asks, works, gives back. */
  bracket(resource: string, work: () => Promise<void>): Promise<Bracket>
  /** How often it has asked so far, where the servers count that and the bracket cannot know. */
  readonly countTries?: () => Promise<number>
}

export interface Bracket {
  /** False: the wait was too long, or a server's budget was used up. */
  readonly isDone: boolean
  /** Tries after the first; null: `countTries` knows. */
  readonly retries: number | null
  /** How often the work was done for nothing. */
  readonly wastedWorks: number
}

/** Long enough for a bracket of the longest queue here (32 contenders with 50 ms each) to have its turn a few times over. */
const waitMs = 10_000
export const ttlMs = 4_000
/** The pauses between two tries are those of the package's own locks, for all that poll. */
const pollPauses = { baseMs: 10, maxMs: 50 }
/** The least that a loser against 32 others needs. */
const optimisticAttempts = 100

const done = (retries: number | null, wastedWorks = 0): Bracket => ({ isDone: true, retries, wastedWorks })
const refused = (retries: number | null, wastedWorks = 0): Bracket => ({ isDone: false, retries, wastedWorks })

/** A lock of the house on these Redis; each try is one SET on each of them. */
export function houseLock(name: string, lock: Lock, nodes: readonly Redis[]): Strategy {
  return {
    name,
    async bracket(resource, work) {
      const held = await withLock(lock, { resource, ttlMs, waitMs }, work)
      return held.acquired ? done(null) : refused(null)
    },
    async countTries() {
      const counts = await Promise.all(nodes.map(countSets))
      return counts.reduce((sum, count) => sum + count, 0) / nodes.length
    },
  }
}

/** Waits in the server's queue: it tries once. */
export function sessionLock(lock: Lock): Strategy {
  return {
    name: 'advisory-session',
    async bracket(resource, work) {
      const held = await withLock(lock, { resource, ttlMs, waitMs }, work)
      return held.acquired ? done(0) : refused(0)
    },
  }
}

const release = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

/** What a lock on one Redis cannot be faster than: the two commands, no budget, no heartbeat, no lease. */
export function bareCommands(client: Redis): Strategy {
  return bare('bare-set-eval', client, (key, token) => client.eval(release, 1, key, token))
}

/** The same with the script's hash, as a careful hand would write it. */
export async function bareCommandsByHash(client: Redis): Promise<Strategy> {
  const sha = String(await client.script('LOAD', release))
  return bare('bare-set-evalsha', client, (key, token) => client.evalsha(sha, 1, key, token))
}

function bare(name: string, client: Redis, give: (key: string, token: string) => Promise<unknown>): Strategy {
  return {
    name,
    async bracket(resource, work) {
      const token = randomUUID()
      const untilMs = performance.now() + waitMs
      for (let retries = 0; ; retries++) {
        if ((await client.set(resource, token, 'PX', ttlMs, 'NX')) !== null) {
          await work()
          await give(resource, token)
          return done(retries)
        }
        if (performance.now() > untilMs) return refused(retries)
        await pause(backoffMs(retries, pollPauses))
      }
    },
  }
}

/** `redlock` and `@sesamecare-oss/redlock`, with about the same pauses; with their own (200 ms) they would mostly wait. */
export const packageSettings = { retryCount: 400, retryDelay: 25, retryJitter: 25 }

export function packageLock(name: string, redlock: PackageRedlock): Strategy {
  return {
    name,
    async bracket(resource, work) {
      const lock = await redlock.acquire([resource], ttlMs).catch(() => null)
      if (lock === null) return refused(packageSettings.retryCount)
      await work()
      // It throws when the lock has expired meanwhile, and the work is done all the same.
      await lock.release().catch(() => undefined)
      return done(lock.attempts.length - 1)
    },
  }
}

/** The lock alone: BEGIN, lock, work, COMMIT. Nothing is written, so nobody waits for the disk. */
export function transactionLock(pool: pg.Pool): Strategy {
  return { name: 'advisory-transaction', bracket: (resource, work) => inLockedTransaction(pool, resource, work) }
}

/** The same with the read and the write of a version in it: what `optimistic` does, done under a lock. */
export function transactionLockWithWrite(pool: pg.Pool): Strategy {
  return {
    name: 'advisory-transaction-and-write',
    bracket: (resource, work) =>
      inLockedTransaction(pool, resource, async (client) => {
        const id = rowOf(resource)
        const { rows } = await client.query<{ version: number }>(readVersion, [id])
        await work()
        await client.query(writeVersion, [id, rows[0]?.version])
      }),
  }
}

async function inLockedTransaction(
  pool: pg.Pool,
  resource: string,
  work: (client: pg.PoolClient) => Promise<void>,
): Promise<Bracket> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await lockInTransaction((sql, params) => client.query(sql, params), resource, { lockTimeoutMs: waitMs })
    await work(client)
    await client.query('COMMIT')
    return done(0)
  } catch (error) {
    await client.query('ROLLBACK')
    if (!isLockTimeout(error)) throw error
    return refused(0)
  } finally {
    client.release()
  }
}

/** Reads, works, writes if the version is still the one that was read. The work is part of every try. */
export function optimistic(pool: pg.Pool): Strategy {
  return {
    name: 'optimistic',
    async bracket(resource, work) {
      const id = rowOf(resource)
      const outcome = await updateOptimistically(
        {
          async read() {
            const { rows } = await pool.query<{ version: number }>(readVersion, [id])
            await work()
            return rows[0] ?? null
          },
          decide: () => ({ change: null }),
          write: async (_change, version) => (await pool.query(writeVersion, [id, version])).rowCount ?? 0,
        },
        { maxAttempts: optimisticAttempts },
      )
      if (outcome.kind === 'updated') return done(outcome.attempts - 1, outcome.attempts - 1)
      return refused(optimisticAttempts - 1, optimisticAttempts)
    },
  }
}

const readVersion = 'SELECT version::int AS version FROM bench_rows WHERE id = $1'
const writeVersion = 'UPDATE bench_rows SET version = version + 1 WHERE id = $1 AND version = $2'

/** Rows with room for new versions beside the old ones, as a table that is updated should have. */
export async function createRows(pool: pg.Pool, count: number): Promise<void> {
  await pool.query('CREATE TABLE bench_rows (id text PRIMARY KEY, version bigint NOT NULL) WITH (fillfactor = 50)')
  await pool.query('INSERT INTO bench_rows SELECT n::text, 0 FROM generate_series(0, $1 - 1) AS n', [count])
}

/** Resources are called `STRATEGY:NUMBER`; rows, which only two strategies write, and never at the same time, `NUMBER`. */
function rowOf(resource: string): string {
  return resource.slice(resource.indexOf(':') + 1)
}

async function countSets(client: Redis): Promise<number> {
  const stats = await client.info('commandstats')
  return Number(/^cmdstat_set:calls=(\d+)/m.exec(stats)?.[1] ?? 0)
}
