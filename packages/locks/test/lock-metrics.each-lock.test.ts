import {
  createLatch,
  eventually,
  type FreshDatabase,
  freshDatabase,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
} from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { Client, Pool } from 'pg'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  acquireMany,
  createLockMetrics,
  createRedisLock,
  createRedlock,
  createSessionLock,
  isLockTimeout,
  type Lease,
  type Lock,
  type LockMetrics,
  lead,
  lockInTransaction,
  measureLock,
  updateOptimistically,
} from '../src/index.ts'
import { connectRedis } from './redis-client.ts'

const ttlMs = 1_200
const commandBudgetMs = 300

const leakCheck = startLeakCheck()
let servers: RedisServer[]
let database: FreshDatabase
let witnesses: Redis[]
let clients: Redis[]
let pool: Pool
let registry: Registry
let metrics: LockMetrics

beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: 3 }, () => startRedisServer()))
  witnesses = await Promise.all(servers.map(({ url }) => connectRedis(url)))
  database = await freshDatabase({ template: 'template0' })
  // By then each client that asks finds them up for longer than the TTL, whatever part of a second it does not see.
  await eventually('the nodes vote', async () => (await upForSeconds()).every((seconds) => seconds >= 3), {
    boundMs: 8_000,
  })
})
beforeEach(async () => {
  for (const witness of witnesses) await witness.flushall()
  clients = await Promise.all(servers.map(({ url }) => connectRedis(url)))
  pool = new Pool({ connectionString: database.url, max: 4 })
  pool.on('error', () => {})
  registry = new Registry()
  metrics = createLockMetrics(registry)
})
afterEach(async () => {
  for (const client of clients) client.disconnect()
  await pool.end()
})
afterAll(async () => {
  for (const witness of witnesses) witness.disconnect()
  await Promise.all(servers.map((server) => server.close()))
  await database.close()
  await leakCheck.assertNoLeaks()
})

/** How each of the locks that keep the contract is made, and how it is taken from its holder or from everybody. */
const locks = {
  redis: {
    create: () => createRedisLock({ client: first(clients), commandBudgetMs }),
    createAway: () => {
      first(clients).disconnect()
      return createRedisLock({ client: first(clients), commandBudgetMs })
    },
    takeAway: (resource: string) => deleteOnAll(resource),
  },
  redlock: {
    create: () => createRedlock({ nodes: clients, commandBudgetMs, longestTtlMs: ttlMs }),
    createAway: () => {
      for (const client of clients) client.disconnect()
      return createRedlock({ nodes: clients, commandBudgetMs, longestTtlMs: ttlMs })
    },
    takeAway: (resource: string) => deleteOnAll(resource),
  },
  'advisory-session': {
    create: () => createSessionLock({ connect: () => pool.connect(), commandBudgetMs }),
    createAway: () => createSessionLock({ connect: () => Promise.reject(new Error('no server')), commandBudgetMs }),
    takeAway: () => endSessionsWithLocks(),
  },
} as const

describe.each(Object.keys(locks) as (keyof typeof locks)[])('the metrics of %s', (strategy) => {
  it('count what was acquired, and what was held when it is given back, and nothing else', async () => {
    const lease = await granted(create())
    expect(await counts(strategy)).toEqual({ acquired: 1 })
    await lease.release()
    expect(await counts(strategy)).toEqual({ acquired: 1, held: 1 })
  })

  it('count a refusal as contended, as timed out after a wait, as aborted; and none of them as acquired', async () => {
    const holder = await granted(create())
    const measured = create()
    expect(await measured.acquire('order:1', { ttlMs })).toMatchObject({ reason: 'contended' })
    expect(await counts(strategy)).toEqual({ acquired: 1, contended: 1 })
    expect(await measured.acquire('order:1', { ttlMs, waitMs: 40 })).toMatchObject({ reason: 'timed-out' })
    expect(await counts(strategy)).toEqual({ acquired: 1, contended: 1, timedOut: 1 })
    expect(await measured.acquire('order:1', { ttlMs, signal: AbortSignal.abort() })).toMatchObject({
      reason: 'aborted',
    })
    expect(await counts(strategy)).toEqual({ acquired: 1, contended: 1, timedOut: 1, aborted: 1 })
    await holder.release()
  })

  it('count an unavailable server; who goes on without the lock says so, the lock cannot know', async () => {
    const away = measureLock(locks[strategy].createAway(), metrics)
    expect(await away.acquire('order:1', { ttlMs })).toMatchObject({ reason: 'unavailable' })
    expect(await counts(strategy)).toEqual({ unavailable: 1 })
    metrics.bypassed(away.strategy)
    expect(await counts(strategy)).toEqual({ unavailable: 1, bypassed: 1 })
  })

  it('count a loss once and when it happens, although nobody looks at the signal', async () => {
    const lease = await granted(create())
    await locks[strategy].takeAway('order:1')
    await eventually('the loss is counted', async () => (await counts(strategy)).lost === 1)
    expect(await counts(strategy)).toEqual({ acquired: 1, held: 1, lost: 1 })
    expect(await lease.release()).toBe('already-lost')
    expect(lease.signal.aborted).toBe(true)
    expect(await counts(strategy)).toEqual({ acquired: 1, held: 1, lost: 1 })
  })

  function create(): Lock {
    return measureLock(locks[strategy].create(), metrics)
  }
})

// Not of a session: that it has ended is told by its connection, and a release that meets the end does not know.
it.each(['redis', 'redlock'] as const)(
  'the metrics of %s count a loss that only the release finds',
  async (strategy) => {
    const lease = await granted(measureLock(locks[strategy].create(), metrics))
    await locks[strategy].takeAway('order:1')
    // Before the next beat.
    expect(await lease.release()).toBe('already-lost')
    expect(await counts(strategy)).toEqual({ acquired: 1, held: 1, lost: 1 })
  },
)

describe('the metrics of several locks at once', () => {
  it('count each of them, and those that were given back because of another as held and not as lost', async () => {
    const measured = measureLock(locks.redis.create(), metrics)
    const all = await acquireMany(measured, ['seat:1', 'seat:2'], { ttlMs })
    if (!all.acquired) throw new Error(all.reason)
    expect(await counts('redis')).toEqual({ acquired: 2 })
    await all.lease.release()
    expect(await counts('redis')).toEqual({ acquired: 2, held: 2 })

    await first(witnesses).set('lock:seat:2', 'somebody else')
    expect(await acquireMany(measured, ['seat:1', 'seat:2'], { ttlMs })).toMatchObject({ reason: 'contended' })
    expect(await counts('redis')).toEqual({ acquired: 3, held: 3, contended: 1 })
  })

  it('count the one that was lost, and not its companions', async () => {
    const all = await acquireMany(measureLock(locks.redis.create(), metrics), ['seat:1', 'seat:2'], { ttlMs })
    if (!all.acquired) throw new Error(all.reason)
    await deleteOnAll('seat:1')
    await eventually('the loss is told', () => all.lease.signal.aborted)
    await all.lease.release()
    expect(await counts('redis')).toEqual({ acquired: 2, held: 2, lost: 1 })
  })
})

it('the metrics of leadership are those of its lock: a lost term is a lost lease, a campaign that fails is contended', async () => {
  const stop = new AbortController()
  const secondTerm = createLatch('it leads again', { boundMs: 8_000 })
  let terms = 0
  await first(witnesses).set('lock:billing', 'another leader')
  let campaigns = 0
  const leading = lead(
    {
      ...{ lock: measureLock(locks.redis.create(), metrics), draw: async () => BigInt(terms + 1), ttlMs },
      ...{ resource: 'billing', signal: stop.signal, random: () => 0 },
      onEvent: (event) => {
        if (event.kind === 'not-elected' && ++campaigns === 1) void first(witnesses).del('lock:billing')
      },
    },
    async ({ signal }) => {
      if (++terms === 1) await deleteOnAll('billing')
      else secondTerm.open()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  )
  await secondTerm.wait()
  expect(await counts('redis')).toEqual({ acquired: 2, held: 1, lost: 1, contended: 1 })
  stop.abort()
  expect(await leading).toBe('stopped')
  expect(await counts('redis')).toEqual({ acquired: 2, held: 2, lost: 1, contended: 1 })
})

it('the metrics of the transaction’s lock: had, or timed out. Its end is the transaction’s, so it is not seen to be held or lost', async () => {
  const [holder, other] = [await pool.connect(), await pool.connect()]
  const lock = (client: typeof holder, lockTimeoutMs: number) =>
    lockInTransaction((sql, params) => client.query(sql, params), 'order:1', { lockTimeoutMs, metrics })
  await holder.query('BEGIN')
  await lock(holder, 1_000)
  await other.query('BEGIN')
  expect(isLockTimeout(await lock(other, 20).catch((error: unknown) => error))).toBe(true)
  await other.query('ROLLBACK')
  await holder.query('COMMIT')
  expect(await counts('advisory')).toEqual({ acquired: 1, timedOut: 1 })
  for (const client of [holder, other]) client.release()
})

it('the metrics of optimistic writes: written, contended, aborted. Nothing is held, waited for or lost', async () => {
  const write = (changedRows: number) => ({
    read: async () => ({ version: 1 }),
    decide: () => ({ change: null }),
    write: async () => changedRows,
  })
  await updateOptimistically(write(1), { metrics })
  expect(await counts('optimistic')).toEqual({ acquired: 1 })
  await updateOptimistically(write(0), { metrics, maxAttempts: 2, pauses: { baseMs: 1, maxMs: 1 } })
  await updateOptimistically(write(1), { metrics, signal: AbortSignal.abort() })
  // The choice to give up, or a row that is not there, is no matter of locks.
  await updateOptimistically({ ...write(1), decide: () => ({ giveUp: 'sold out' }) }, { metrics })
  await updateOptimistically({ ...write(1), read: async () => null }, { metrics })
  expect(await counts('optimistic')).toEqual({ acquired: 1, contended: 1, aborted: 1 })
})

async function granted(by: Lock): Promise<Lease> {
  const result = await by.acquire('order:1', { ttlMs })
  if (!result.acquired) throw new Error(`not granted: ${result.reason}`, { cause: result.cause })
  return result.lease
}

const samples = {
  acquired: 'lock_acquire_seconds_count',
  held: 'lock_held_seconds_count',
  contended: 'lock_contended_total',
  timedOut: 'lock_timed_out_total',
  lost: 'lock_lost_total',
  bypassed: 'lock_bypassed_total',
  unavailable: 'lock_unavailable_total',
  aborted: 'lock_aborted_total',
} as const

/** What has been counted of a strategy; what has not is not there. Fails if anything was counted of another one. */
async function counts(strategy: string): Promise<Partial<Record<keyof typeof samples, number>>> {
  const text = await registry.metrics()
  const labels = [...text.matchAll(/[{,]lock="([^"]*)"/g)].map(([, label]) => label)
  expect(labels.every((label) => label === strategy)).toBe(true)
  return Object.fromEntries(
    Object.entries(samples).flatMap(([name, sample]) => {
      const found = new RegExp(`^${sample}\\{[^}]*\\} (\\d+)$`, 'm').exec(text)
      return found === null ? [] : [[name, Number(found[1])]]
    }),
  )
}

async function upForSeconds(): Promise<number[]> {
  const infos = await Promise.all(witnesses.map((witness) => witness.info('server')))
  return infos.map((info) => Number(/^uptime_in_seconds:(\d+)/m.exec(info)?.[1]))
}

async function deleteOnAll(resource: string): Promise<void> {
  // Also where the vote of a slow node is still on its way.
  await Promise.all(clients.map((client) => client.ping()))
  await Promise.all(witnesses.map((witness) => witness.del(`lock:${resource}`)))
}

/** As an administrator does it. */
async function endSessionsWithLocks(): Promise<void> {
  const admin = new Client({ connectionString: database.url })
  await admin.connect()
  await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()`,
  )
  await admin.end()
}

function first<T>(all: readonly T[]): T {
  const [one] = all
  if (one === undefined) throw new Error('there is none')
  return one
}
