import {
  createLatch,
  eventually,
  type FreshDatabase,
  freshDatabase,
  type RedisServer,
  raceCopies,
  startLeakCheck,
  startRedisServer,
  valuesOf,
} from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { Client, Pool, type PoolClient } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  admitFence,
  createRedisLock,
  drawFence,
  type FencedLease,
  type FenceQuery,
  fencedLock,
  fenceTable,
  type Lease,
  type Lock,
  StaleFence,
  withLock,
} from '../src/index.ts'
import { connectRedis } from './redis-client.ts'

const ttlMs = 60_000
const leakCheck = startLeakCheck()
let database: FreshDatabase
let pool: Pool
let server: RedisServer
let redis: Redis
let lock: Lock
const leases: Lease[] = []

beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
  pool = new Pool({ connectionString: database.url, max: 8 })
  await pool.query(fenceTable)
  await pool.query('CREATE TABLE notes (id int PRIMARY KEY, written_by text NOT NULL)')
  server = await startRedisServer()
  redis = await connectRedis(server.url)
  lock = createRedisLock({ client: redis, commandBudgetMs: 500 })
})
afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.release()
})
beforeEach(async () => {
  await redis.flushall()
  await pool.query('TRUNCATE notes, lock_fences')
  await pool.query(`INSERT INTO notes VALUES (1, 'nobody')`)
})
afterAll(async () => {
  redis.disconnect()
  await server.close()
  await pool.end()
  await database.close()
  await leakCheck.assertNoLeaks()
})

describe('fences', () => {
  it('grow, each drawn once, among many at once', async () => {
    const tokens = valuesOf(await raceCopies(20, () => draw('order:1')))
    expect([...tokens].sort((a, b) => Number(a - b))).toEqual(Array.from({ length: 20 }, (_, n) => BigInt(n + 1)))
    expect(await draw('order:1')).toBe(21n)
    expect(await draw('order:2')).toBe(1n)
  })

  it('go on where they were when Redis lost its data, where a counter in Redis begins again', async () => {
    const first = await fenced()
    expect(await redis.incr('counter')).toBe(1)
    await server.restart()
    await eventually('the client is back', () => redis.status === 'ready')
    const second = await fenced()
    expect(second.fence).toBeGreaterThan(first.fence)
    // The hazard: the second holder has the same number as the first.
    expect(await redis.incr('counter')).toBe(1)
    await first.release()
    await second.release()
  })
})

describe('two holders at once, because Redis was flushed', () => {
  it('the lock alone lets both write', async () => {
    await fenced()
    await redis.flushall()
    await fenced()
    await write('second')
    await write('first')
    expect(await writer()).toBe('first')
  })

  it('the fence keeps the first one out as soon as the second has drawn, before that has written anything', async () => {
    const first = await fenced()
    await redis.flushall()
    const second = await fenced()
    await expect(guardedWrite('first', first.fence)).rejects.toThrow(StaleFence)
    expect(await writer()).toBe('nobody')
    await guardedWrite('second', second.fence)
    expect(await writer()).toBe('second')
    await expect(guardedWrite('first', first.fence)).rejects.toMatchObject({ code: 'stale-fence', resource: 'order:1' })
    expect(await writer()).toBe('second')
  })

  it('what was let through before is committed before the second can draw: it reads it', async () => {
    const first = await fenced()
    await redis.flushall()
    const admitted = createLatch('the first is let through')
    const mayCommit = createLatch('the first may commit')
    const writing = inTransaction(async (client) => {
      await admitFence(rowsOf(client), 'order:1', first.fence)
      admitted.open()
      await mayCommit.wait()
      await client.query(`UPDATE notes SET written_by = 'first' WHERE id = 1`)
    })
    await admitted.wait()
    const seen: string[] = []
    const second = fenced().then(async ({ fence }) => {
      seen.push(await writer())
      return fence
    })
    await eventually('the second waits to draw', isAnybodyWaiting)
    expect(seen).toEqual([])
    mayCommit.open()
    await writing
    expect(await second).toBe(first.fence + 1n)
    expect(seen).toEqual(['first'])
  })

  it('several writes of one holder do not wait for each other', async () => {
    const { fence } = await fenced()
    await inTransaction(async (one) => {
      await admitFence(rowsOf(one), 'order:1', fence)
      await inTransaction(async (other) => {
        await other.query(`SET LOCAL lock_timeout = '2s'`)
        await admitFence(rowsOf(other), 'order:1', fence)
      })
    })
  })
})

describe('a lock with a fence keeps the contract of all locks', () => {
  it('its lease is that of the lock, and has the fence in it; brackets take it', async () => {
    const bracketed = await withLock(fencedLock(lock, draw), { resource: 'order:1', ttlMs }, async (lease) => {
      expect(await redis.get('lock:order:1')).toBe(lease.token)
      expect(lease.resource).toBe('order:1')
      expect(lease.deadline).toBeGreaterThan(performance.now() + ttlMs / 2)
      expect(lease.signal.aborted).toBe(false)
      await guardedWrite('the bracket', lease.fence)
      return lease.fence
    })
    expect(bracketed).toEqual({ acquired: true, value: 1n, release: 'released' })
    expect(await writer()).toBe('the bracket')
  })

  it('also its loss is that of the lock, and `await using` gives it back', async () => {
    const short = await fencedLock(lock, draw).acquire('order:1', { ttlMs: 1_500 })
    if (!short.acquired) throw new Error(short.reason)
    const { signal } = short.lease
    await redis.flushall()
    await eventually('the signal fires', () => signal.aborted)
    expect(await short.lease.release()).toBe('already-lost')
    {
      await using lease = await fenced()
      expect(await redis.exists('lock:order:1')).toBe(1)
      expect(lease.fence).toBe(2n)
    }
    expect(await redis.exists('lock:order:1')).toBe(0)
  })
})

describe('a fence that cannot be had', () => {
  it('gives the lock back', async () => {
    const failure = new Error('no database')
    const refused = await fencedLock(lock, () => Promise.reject(failure)).acquire('order:1', { ttlMs })
    expect(refused).toEqual({ acquired: false, reason: 'unavailable', cause: failure })
    expect(await redis.exists('lock:order:1')).toBe(0)
  })

  it('is not asked for when the lock is refused', async () => {
    const lease = await fenced()
    let draws = 0
    const counting = async () => BigInt(++draws)
    expect(await fencedLock(lock, counting).acquire('order:1', { ttlMs })).toMatchObject({ reason: 'contended' })
    expect(draws).toBe(0)
    await lease.release()
  })

  it('that was never drawn lets nobody through', async () => {
    await expect(guardedWrite('a guess', 1n)).rejects.toThrow(/never drawn|ever drawn/)
  })
})

async function fenced(): Promise<FencedLease> {
  const result = await fencedLock(lock, draw).acquire('order:1', { ttlMs })
  if (!result.acquired) throw new Error(result.reason, { cause: result.cause })
  leases.push(result.lease)
  return result.lease
}

const draw = (resource: string) => drawFence(rowsOf(pool), resource)

function rowsOf(queryable: Pick<Pool | PoolClient, 'query'>): FenceQuery {
  return async (sql, params) => (await (queryable as Pool).query(sql, params)).rows
}

function guardedWrite(by: string, fence: bigint): Promise<void> {
  return inTransaction(async (client) => {
    await admitFence(rowsOf(client), 'order:1', fence)
    await client.query('UPDATE notes SET written_by = $1 WHERE id = 1', [by])
  })
}

async function inTransaction(work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await work(client)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

async function write(by: string): Promise<void> {
  await pool.query('UPDATE notes SET written_by = $1 WHERE id = 1', [by])
}

async function writer(): Promise<string> {
  const { rows } = await pool.query<{ written_by: string }>('SELECT written_by FROM notes WHERE id = 1')
  return rows[0]?.written_by ?? 'no row'
}

async function isAnybodyWaiting(): Promise<boolean> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query(
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  await client.end()
  return rows.length > 0
}
