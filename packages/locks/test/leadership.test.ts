import {
  createLatch,
  eventually,
  type FreshDatabase,
  freshDatabase,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
  startTcpProxy,
  type TcpProxy,
} from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  admitFence,
  createRedisLock,
  drawFence,
  type FenceQuery,
  fenceTable,
  type LeadershipEvent,
  type Lock,
  lead,
  type Term,
} from '../src/index.ts'
import { connectRedis } from './redis-client.ts'

const leakCheck = startLeakCheck()
let database: FreshDatabase
let pool: Pool
let server: RedisServer
let witness: Redis
let proxy: TcpProxy
let client: Redis
/** Through the proxy: the leader that is cut off. */
let lock: Lock
let otherLock: Lock

beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
  pool = new Pool({ connectionString: database.url, max: 8 })
  await pool.query(fenceTable)
  await pool.query('CREATE TABLE reports (fence bigint NOT NULL)')
  server = await startRedisServer()
})
beforeEach(async () => {
  proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'redis' })
  witness = await connectRedis(server.url)
  await witness.flushall()
  await pool.query('TRUNCATE reports, lock_fences')
  client = await connectRedis(proxy.through(server.url))
  lock = createRedisLock({ client, commandBudgetMs: 200 })
  otherLock = createRedisLock({ client: witness, commandBudgetMs: 200 })
})
afterEach(async () => {
  client.disconnect()
  witness.disconnect()
  await proxy.close()
})
afterAll(async () => {
  await server.close()
  await pool.end()
  await database.close()
  await leakCheck.assertNoLeaks()
})

describe('one of several', () => {
  it('leads at a time, and when it is stopped the next one does, long before the TTL, with a greater fence', async () => {
    const fences: bigint[] = []
    let leading = 0
    let mostLeading = 0
    const candidates = Array.from({ length: 3 }, () => {
      const stop = new AbortController()
      const isLeading = createLatch('it leads', { boundMs: 10_000 })
      const end = lead(
        { lock, draw, resource: 'billing', ttlMs: 1_500, signal: stop.signal },
        async ({ fence, signal }) => {
          fences.push(fence)
          mostLeading = Math.max(mostLeading, ++leading)
          isLeading.open()
          await until(signal)
          leading--
        },
      )
      return { stop, isLeading, end }
    })
    for (let left = 3; left > 0; left--) {
      const leader = await eventually('somebody leads', () =>
        candidates.find(({ isLeading, stop }) => isLeading.isOpen && !stop.signal.aborted),
      )
      leader.stop.abort()
      expect(await leader.end).toBe('stopped')
    }
    expect(fences).toEqual([1n, 2n, 3n])
    expect(mostLeading).toBe(1)
    expect(await witness.exists('lock:billing')).toBe(0)
  })

  it('that is killed is followed by another within a TTL and a third', async () => {
    // What a killed process leaves: its lock, for what is left of its TTL.
    await witness.set('lock:billing', 'a process that was killed', 'PX', 900)
    const killedAtMs = performance.now()
    await leadOnce(lock, async () => {})
    const tookMs = performance.now() - killedAtMs
    expect(tookMs).toBeGreaterThanOrEqual(898)
    expect(tookMs).toBeLessThan(900 + 300 + 400)
  })

  it('has a rest between two campaigns', async () => {
    await witness.set('lock:billing', 'a leader')
    const stop = new AbortController()
    const events: LeadershipEvent[] = []
    const onEvent = (event: LeadershipEvent) => {
      events.push(event)
      if (events.length === 3) stop.abort()
    }
    const startedAtMs = performance.now()
    const end = lead(
      { lock, draw, resource: 'billing', ttlMs: 900, signal: stop.signal, onEvent, random: () => 0 },
      never,
    )
    expect(await end).toBe('stopped')
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(298)
    expect(events).toEqual(
      events.map(() => ({ kind: 'not-elected', refusal: { acquired: false, reason: 'contended' } })),
    )
  })
})

describe('a leader that was deposed', () => {
  it('is told, its writes are refused although it goes on, and it is a candidate again', async () => {
    const events: LeadershipEvent[] = []
    const stop = new AbortController()
    const terms: Term[] = []
    const began = createLatch('it leads')
    const mayWrite = createLatch('it may write', { boundMs: 10_000 })
    const end = lead(
      { lock, draw, resource: 'billing', ttlMs: 900, signal: stop.signal, onEvent: (event) => events.push(event) },
      async (term) => {
        terms.push(term)
        began.open()
        await mayWrite.wait()
        await report(term.fence)
      },
    )
    await began.wait()
    proxy.hold('to-server')
    await leadOnce(otherLock, async ({ fence }) => {
      // The next one leads: the first has been told before, and does not listen.
      expect(terms[0]?.signal.aborted).toBe(true)
      expect(fence).toBeGreaterThan(terms[0]?.fence ?? 0n)
      mayWrite.open()
      await eventually('the first term has ended', () => events.some(({ kind }) => kind === 'ended'))
      await report(fence)
    })
    expect(await reports()).toEqual([2n])
    expect(events).toContainEqual({
      kind: 'ended',
      fence: 1n,
      release: 'already-lost',
      error: expect.objectContaining({ code: 'stale-fence' }),
    })
    proxy.flow('to-server')
    expect(await end).toBe('done')
    expect(await reports()).toEqual([2n, 3n])
  })

  it('by a flushed Redis notices it by the fence at the latest, and stands again', async () => {
    const stop = new AbortController()
    const fences: bigint[] = []
    const end = lead(
      { lock, draw, resource: 'billing', ttlMs: 60_000, signal: stop.signal, random: () => 0 },
      async ({ fence }) => {
        fences.push(fence)
        if (fences.length > 1) return
        await witness.flushall()
        await leadOnce(otherLock, async (next) => report(next.fence))
        await report(fence)
      },
    )
    expect(await end).toBe('done')
    expect(fences).toEqual([1n, 3n])
    expect(await reports()).toEqual([2n])
  })
})

describe('work', () => {
  it('that fails resigns, and its error comes through', async () => {
    const failure = new Error('the work failed')
    await expect(leadOnce(lock, () => Promise.reject(failure))).rejects.toBe(failure)
    expect(await witness.exists('lock:billing')).toBe(0)
  })

  it('that is done ends the candidacy', async () => {
    expect(await leadOnce(lock, async () => {})).toBe('done')
    expect(await witness.exists('lock:billing')).toBe(0)
  })

  it('waits for a Redis that is away, and for a counter that is away', async () => {
    proxy.refuse()
    await eventually('the client has noticed', () => client.status !== 'ready')
    let draws = 0
    const shaky = (resource: string) => (++draws === 1 ? Promise.reject(new Error('no database')) : draw(resource))
    const stop = new AbortController()
    const reasons: string[] = []
    const onEvent = (event: LeadershipEvent) => {
      if (event.kind !== 'not-elected') return
      reasons.push(event.refusal.reason)
      proxy.accept()
    }
    const end = lead(
      { lock, draw: shaky, resource: 'billing', ttlMs: 900, signal: stop.signal, onEvent },
      async () => {},
    )
    expect(await end).toBe('done')
    expect(new Set(reasons)).toEqual(new Set(['unavailable']))
    expect(draws).toBe(2)
  })

  it('does not begin when it is stopped before', async () => {
    const end = lead({ lock, draw, resource: 'billing', ttlMs: 900, signal: AbortSignal.abort() }, never)
    expect(await end).toBe('stopped')
  })
})

const query: FenceQuery = async (sql, params) => (await pool.query(sql, params)).rows
const draw = (resource: string) => drawFence(query, resource)
const never = () => Promise.reject(new Error('nobody was to lead'))

function leadOnce(by: Lock, work: (term: Term) => Promise<void>): Promise<'done' | 'stopped'> {
  return lead({ lock: by, draw, resource: 'billing', ttlMs: 900, signal: new AbortController().signal }, work)
}

async function report(fence: bigint): Promise<void> {
  const connection = await pool.connect()
  try {
    await connection.query('BEGIN')
    await admitFence(async (sql, params) => (await connection.query(sql, params)).rows, 'billing', fence)
    await connection.query('INSERT INTO reports VALUES ($1)', [`${fence}`])
    await connection.query('COMMIT')
  } catch (error) {
    await connection.query('ROLLBACK')
    throw error
  } finally {
    connection.release()
  }
}

async function reports(): Promise<bigint[]> {
  const { rows } = await pool.query<{ fence: string }>('SELECT fence FROM reports ORDER BY fence')
  return rows.map(({ fence }) => BigInt(fence))
}

function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
