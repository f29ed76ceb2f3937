import {
  eventually,
  type FreshDatabase,
  findPgBouncer,
  freshDatabase,
  type PgBouncer,
  startLeakCheck,
  startPgBouncer,
  startTcpProxy,
  type TcpProxy,
} from '@seatbelt/testing'
import { Client, Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSessionLock, type Lease, type Lock, PooledConnection, withLock } from '../src/index.ts'

/** So long that what is gone within a test was given back. */
const ttlMs = 60_000
const commandBudgetMs = 1_000

const leakCheck = startLeakCheck()
let database: FreshDatabase
let witness: Client
let proxy: TcpProxy
let pool: Pool
let lock: Lock

beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
})
beforeEach(async () => {
  const { hostname, port } = new URL(database.url)
  proxy = await startTcpProxy({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' })
  witness = new Client({ connectionString: database.url, application_name: 'witness' })
  await witness.connect()
  pool = makePool(proxy.through(database.url))
  lock = createSessionLock({ connect: () => pool.connect(), commandBudgetMs })
})
afterEach(async () => {
  await pool.end()
  await witness.end()
  await proxy.close()
  await eventuallyFree('order:1')
})
afterAll(async () => {
  await database.close()
  await leakCheck.assertNoLeaks()
})

describe('a session lock', () => {
  it('keeps others out until it is released, and gives its connection back as it was', async () => {
    const lease = await granted()
    expect(await isHeld('order:1')).toBe(true)
    expect(await lock.acquire('order:1', { ttlMs })).toEqual({ acquired: false, reason: 'contended' })
    expect(await lease.release()).toBe('released')
    expect(await lease.release()).toBe('released')
    expect(await isHeld('order:1')).toBe(false)
    expect([pool.totalCount, pool.idleCount]).toEqual([2, 2])
    const [first, second] = [await pool.connect(), await pool.connect()]
    for (const client of [first, second]) {
      expect((await client.query('SHOW idle_session_timeout')).rows).toEqual([{ idle_session_timeout: '0' }])
      expect((await client.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }])
      expect((await client.query('SHOW client_connection_check_interval')).rows).toEqual([
        { client_connection_check_interval: '0' },
      ])
      client.release()
    }
  })

  it('waits for its holder, first come first served', async () => {
    const holder = await granted()
    const order: string[] = []
    const waiters = ['first', 'second'].map(async (name, n) => {
      if (n === 1) await eventually('the first one waits', async () => (await waiting()) === 1)
      const result = await lock.acquire('order:1', { ttlMs, waitMs: 30_000 })
      order.push(name)
      return result.acquired ? result.lease.release() : result.reason
    })
    await eventually('both wait', async () => (await waiting()) === 2)
    await holder.release()
    expect(await Promise.all(waiters)).toEqual(['released', 'released'])
    expect(order).toEqual(['first', 'second'])
  })

  it('refuses when its wait is over, and closes the connection that waited', async () => {
    const holder = await granted()
    const askedAtMs = performance.now()
    expect(await lock.acquire('order:1', { ttlMs, waitMs: 150 })).toEqual({ acquired: false, reason: 'timed-out' })
    expect(performance.now() - askedAtMs).toBeGreaterThanOrEqual(149)
    await eventually('only the holder’s connection is left', () => pool.totalCount === 1)
    await holder.release()
  })

  it('is given back when the work under it throws', async () => {
    const failure = new Error('the work failed')
    await expect(withLock(lock, { resource: 'order:1', ttlMs }, () => Promise.reject(failure))).rejects.toBe(failure)
    expect(await isHeld('order:1')).toBe(false)
    expect(pool.idleCount).toBe(1)
  })

  it('lives longer than its TTL while its holder lives', async () => {
    const short = createSessionLock({ connect: () => pool.connect(), commandBudgetMs: 200 })
    const lease = await granted(short, 900)
    const { deadline } = lease
    await eventually('two TTLs went by', () => lease.deadline > deadline + 1_800)
    expect(lease.signal.aborted).toBe(false)
    expect(await lease.release()).toBe('released')
  })

  it('excludes the lock of a transaction on the same name', async () => {
    const lease = await granted()
    const { rows } = await witness.query(`SELECT pg_try_advisory_xact_lock(hashtextextended('order:1', 0)) AS locked`)
    expect(rows).toEqual([{ locked: false }])
    await lease.release()
  })
})

describe('an aborted wait', () => {
  it('leaves nobody in the server’s queue, and no connection', async () => {
    const holder = await granted()
    const abort = new AbortController()
    const asked = lock.acquire('order:1', { ttlMs, waitMs: 60_000, signal: abort.signal })
    await eventually('it waits', async () => (await waiting()) === 1)
    abort.abort()
    expect(await asked).toEqual({ acquired: false, reason: 'aborted' })
    await eventually('nobody waits', async () => (await waiting()) === 0)
    expect(pool.totalCount).toBe(1)
    expect(await holder.release()).toBe('released')
    expect(await isHeld('order:1')).toBe(false)
  })

  it('that was granted at that moment leaves no lock', async () => {
    const abort = new AbortController()
    const answer = proxy.intercept({ matches: ({ text }) => text.includes('pg_advisory_lock'), at: 'answer' })
    const asked = lock.acquire('order:1', { ttlMs, waitMs: 60_000, signal: abort.signal })
    await answer.reached()
    await eventually('the server has granted it', () => isHeld('order:1'))
    abort.abort()
    expect(await asked).toEqual({ acquired: false, reason: 'aborted' })
    await eventuallyFree('order:1')
  })

  it('for a connection gives the connection back unused', async () => {
    const single = makePool(database.url, 1)
    const only = await single.connect()
    const abort = new AbortController()
    const asked = createSessionLock({ connect: () => single.connect(), commandBudgetMs }).acquire('order:1', {
      ttlMs,
      signal: abort.signal,
    })
    abort.abort()
    expect(await asked).toEqual({ acquired: false, reason: 'aborted' })
    only.release()
    await eventually('the connection is idle', () => single.idleCount === 1)
    await single.end()
  })
})

describe('a connection that is lost', () => {
  it('ends the lock, and the signal says so at once', async () => {
    const lease = await granted()
    const { signal } = lease
    proxy.cut()
    await eventually('the signal fires', () => signal.aborted, { boundMs: 1_000 })
    expect(signal.reason).toMatchObject({ code: 'lease-lost', why: 'not-held' })
    expect(await lease.release()).toBe('already-lost')
    await eventuallyFree('order:1')
    expect(pool.totalCount).toBe(0)
  })

  it('by the server’s doing ends the lease as well', async () => {
    const lease = await granted()
    const { signal } = lease
    await witness.query(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted`)
    await eventually('the signal fires', () => signal.aborted, { boundMs: 1_000 })
    expect(await lease.release()).toBe('already-lost')
  })

  it('with the release leaves no lock, and no error', async () => {
    const lease = await granted()
    const release = proxy.intercept({ matches: ({ text }) => text.includes('pg_advisory_unlock'), at: 'request' })
    const releasing = lease.release()
    await release.reached()
    release.cut()
    expect(await releasing).toBe('unknown')
    await eventuallyFree('order:1')
  })

  it('with the answer leaves no lock', async () => {
    const answer = proxy.intercept({ matches: ({ text }) => text.includes('pg_try_advisory_lock'), at: 'answer' })
    const asked = lock.acquire('order:1', { ttlMs })
    await answer.reached()
    answer.cut()
    expect(await asked).toMatchObject({ acquired: false, reason: 'unavailable' })
    await eventuallyFree('order:1')
  })

  it('and cannot be made again is a refusal', async () => {
    proxy.refuse()
    expect(await lock.acquire('order:1', { ttlMs })).toMatchObject({ acquired: false, reason: 'unavailable' })
    proxy.accept()
  })
})

describe('a holder that is cut off', () => {
  it('is told before the server ends its session, which it does although the connection stands', async () => {
    const short = createSessionLock({ connect: () => pool.connect(), commandBudgetMs: 200 })
    const lease = await granted(short, 900)
    const { signal } = lease
    proxy.hold('to-server')
    proxy.hold('to-client')
    const direct = makePool(database.url)
    const other = createSessionLock({ connect: () => direct.connect(), commandBudgetMs })
    const taken = await other.acquire('order:1', { ttlMs, waitMs: 10_000 })
    const wasTold = signal.aborted
    if (!taken.acquired) throw new Error(taken.reason)
    expect(wasTold).toBe(true)
    expect(signal.reason).toMatchObject({ why: 'expiring' })
    await taken.lease.release()
    await direct.end()
    proxy.flow('to-server')
    proxy.flow('to-client')
    expect(await lease.release()).toBe('already-lost')
  })

  it('is told in time also if it had waited, and the answer to its wait was long on its way', async () => {
    const short = createSessionLock({ connect: () => pool.connect(), commandBudgetMs: 300 })
    const holder = await granted()
    const answer = proxy.intercept({ matches: ({ text }) => text.includes('pg_advisory_lock'), at: 'answer' })
    const asked = short.acquire('order:1', { ttlMs: 1_200, waitMs: 20_000 })
    await eventually('it waits', async () => (await waiting()) === 1)
    await holder.release()
    await answer.reached()
    // Two thirds of the TTL: the time in which the server's session was idle already.
    await new Promise((resolve) => setTimeout(resolve, 800))
    answer.pass()
    const result = await asked
    if (!result.acquired) throw new Error(result.reason)
    const { signal } = result.lease
    proxy.hold('to-server')
    const direct = makePool(database.url)
    const other = createSessionLock({ connect: () => direct.connect(), commandBudgetMs })
    const taken = await other.acquire('order:1', { ttlMs, waitMs: 10_000 })
    const wasTold = signal.aborted
    expect(wasTold).toBe(true)
    if (taken.acquired) await taken.lease.release()
    await direct.end()
    proxy.flow('to-server')
    await result.lease.release()
  })
})

describe('behind a pooler that shares connections', () => {
  it('nothing is locked and nothing is changed on a session that is not ours: told by the process id', async () => {
    // What every pooler must do, since several clients share one server process: give the client an id of its own making.
    const pretending = createSessionLock({
      connect: async () => {
        const client = await pool.connect()
        Reflect.set(client, 'processID', 1_000_000_000)
        return client
      },
      commandBudgetMs,
    })
    for (const waitMs of [0, 1_000]) {
      const refused = await pretending.acquire('order:1', { ttlMs, waitMs })
      expect(refused).toMatchObject({ acquired: false, reason: 'unavailable' })
      expect(refused).toHaveProperty('cause.code', 'pooled-connection')
    }
    expect(await isHeld('order:1')).toBe(false)
    const client = await pool.connect()
    expect((await client.query('SHOW idle_session_timeout')).rows).toEqual([{ idle_session_timeout: '0' }])
    client.release()
  })

  const binary = findPgBouncer()
  it.skipIf(binary === null)(
    'PgBouncer in transaction mode: the plain lock is given twice, this one is refused',
    async () => {
      const bouncer: PgBouncer = await startPgBouncer(binary ?? '', database.url)
      const pooled = makePool(bouncer.url)
      const [first, second] = [await pooled.connect(), await pooled.connect()]
      try {
        // The hazard itself: both clients are told that they have it, because both ask in one server session.
        const plain = `SELECT pg_try_advisory_lock(42) AS locked`
        expect((await first.query(plain)).rows).toEqual([{ locked: true }])
        expect((await second.query(plain)).rows).toEqual([{ locked: true }])

        const refused = await createSessionLock({ connect: () => pooled.connect(), commandBudgetMs }).acquire(
          'order:1',
          {
            ttlMs,
          },
        )
        expect(refused).toMatchObject({ acquired: false, reason: 'unavailable', cause: expect.any(PooledConnection) })
        expect(await isHeld('order:1')).toBe(false)
        expect((await first.query('SHOW idle_session_timeout')).rows).toEqual([{ idle_session_timeout: '0' }])
      } finally {
        first.release(true)
        second.release(true)
        await pooled.end()
        await bouncer.close()
      }
    },
  )
})

describe('what could never work is refused with what to do', () => {
  it.each([
    ['no name', '', { ttlMs }, /empty/],
    ['a TTL that leaves no time to renew', 'order:1', { ttlMs: 2_999 }, /from 3000/],
    ['an endless wait', 'order:1', { ttlMs, waitMs: Number.POSITIVE_INFINITY }, /waitMs/],
  ])('%s', async (_what, resource, options, message) => {
    await expect(lock.acquire(resource, options)).rejects.toThrow(message)
  })

  it.each([0, 1.5])('a budget of %s ms', (budget) => {
    expect(() => createSessionLock({ connect: () => pool.connect(), commandBudgetMs: budget })).toThrow(RangeError)
  })
})

function makePool(connectionString: string, max = 4): Pool {
  const made = new Pool({ connectionString, max, application_name: 'session-lock-test' })
  made.on('error', () => {})
  return made
}

async function granted(by = lock, ttl = ttlMs): Promise<Lease> {
  const result = await by.acquire('order:1', { ttlMs: ttl })
  if (!result.acquired) throw new Error(`not granted: ${result.reason}`, { cause: result.cause })
  return result.lease
}

/** Asked by a transaction that ends at once, so that the question leaves nothing. */
async function isHeld(name: string): Promise<boolean> {
  const { rows } = await witness.query<{ is_free: boolean }>(
    'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS is_free',
    [name],
  )
  return rows[0]?.is_free === false
}

async function waiting(): Promise<number> {
  const { rows } = await witness.query(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)
  return rows.length
}

async function eventuallyFree(name: string): Promise<void> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await eventually(`${name} is free`, async () => {
    const { rows } = await client.query<{ is_free: boolean }>(
      'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS is_free',
      [name],
    )
    return rows[0]?.is_free === true
  })
  await client.end()
}
