import {
  eventually,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
  startTcpProxy,
  type TcpProxy,
} from '@seatbelt/testing'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedisLock, type Lease, type Lock } from '../src/index.ts'
import { callsOf, connectRedis, isRelease } from './redis-client.ts'

/** So long that what is gone within a test was given back, and did not expire. */
const longTtlMs = 60_000

const leakCheck = startLeakCheck()
let server: RedisServer
/** Past the proxy: what is true in Redis. */
let witness: Redis
let proxy: TcpProxy
let client: Redis
let lock: Lock

beforeAll(async () => {
  server = await startRedisServer()
})
beforeEach(async () => {
  const url = new URL(server.url)
  proxy = await startTcpProxy({ target: { host: url.hostname, port: Number(url.port) }, protocol: 'redis' })
  witness = await connectRedis(server.url)
  await witness.flushall()
  // The client's own time-outs are out of the way: what ends in time here ends by the lock's budget.
  client = await connectRedis(proxy.through(server.url), { commandTimeout: 60_000, socketTimeout: 60_000 })
  lock = createRedisLock({ client, commandBudgetMs: 200 })
})
afterEach(async () => {
  server.resume()
  client.disconnect()
  witness.disconnect()
  await proxy.close()
})
afterAll(async () => {
  await server.close()
  await leakCheck.assertNoLeaks()
})

describe('a SET whose answer comes after the budget', () => {
  it('is given back when the answer was on its way', async () => {
    const answer = proxy.intercept({ matches: isSet, at: 'answer' })
    const asked = lock.acquire('order:1', { ttlMs: longTtlMs })
    await answer.reached()
    expect(await witness.exists('lock:order:1')).toBe(1)
    expect(await asked).toMatchObject({ acquired: false, reason: 'unavailable' })
    await eventually('the lock is given back', async () => (await witness.exists('lock:order:1')) === 0)
    answer.pass()
  })

  it('is given back when the request was on its way', async () => {
    const request = proxy.intercept({ matches: isSet, at: 'request' })
    const asked = lock.acquire('order:1', { ttlMs: longTtlMs })
    await request.reached()
    expect(await asked).toMatchObject({ acquired: false, reason: 'unavailable' })
    const setsBefore = await callsOf(witness, 'set')
    const evalsBefore = await callsOf(witness, 'eval')
    request.pass()
    await eventually('the SET took effect', async () => (await callsOf(witness, 'set')) === setsBefore + 1)
    await eventually('the release followed', async () => (await callsOf(witness, 'eval')) > evalsBefore)
    expect(await witness.exists('lock:order:1')).toBe(0)
  })

  it('is given back when the connection was lost with the answer', async () => {
    const answer = proxy.intercept({ matches: isSet, at: 'answer' })
    const asked = lock.acquire('order:1', { ttlMs: longTtlMs })
    await answer.reached()
    answer.cut()
    expect(await asked).toMatchObject({ acquired: false, reason: 'unavailable' })
    await eventually('the lock is given back', async () => (await witness.exists('lock:order:1')) === 0)
  })

  it('is given back when its caller stopped waiting', async () => {
    const abort = new AbortController()
    const answer = proxy.intercept({ matches: isSet, at: 'answer' })
    const asked = lock.acquire('order:1', { ttlMs: longTtlMs, waitMs: 30_000, signal: abort.signal })
    await answer.reached()
    abort.abort()
    expect(await asked).toEqual({ acquired: false, reason: 'aborted' })
    await eventually('the lock is given back', async () => (await witness.exists('lock:order:1')) === 0)
    answer.pass()
  })
})

describe('a Redis that is away', () => {
  it('refuses at once, and the lock works again when it is back', async () => {
    proxy.refuse()
    await eventually('the client has noticed', () => client.status !== 'ready')
    expect(await lock.acquire('order:1', { ttlMs: longTtlMs })).toMatchObject({
      acquired: false,
      reason: 'unavailable',
    })
    proxy.accept()
    await eventually('the client is back', () => client.status === 'ready')
    const lease = await granted('order:1', longTtlMs)
    expect(await lease.release()).toBe('released')
  })

  it('that hangs holds up neither the asking nor the release, which takes effect later', async () => {
    const lease = await granted('order:1', longTtlMs)
    const restored = stopRedis()
    expect(await lock.acquire('order:2', { ttlMs: longTtlMs })).toMatchObject({
      acquired: false,
      reason: 'unavailable',
    })
    expect(await lease.release()).toBe('unknown')
    restored()
    await eventually('both are given back', async () => (await witness.dbsize()) === 0)
  })

  it('that is lost with a release gets it again on the next connection', async () => {
    const lease = await granted('order:1', longTtlMs)
    const release = proxy.intercept({ matches: isRelease, at: 'request' })
    const releasing = lease.release()
    await release.reached()
    release.cut()
    expect(await releasing).toBe('unknown')
    await eventually('the lock is given back', async () => (await witness.exists('lock:order:1')) === 0)
  })

  it('that hangs ends a wait with a refusal and not with the wait', async () => {
    const holder = await granted('order:1', longTtlMs)
    const restored = stopRedis()
    const result = await lock.acquire('order:1', { ttlMs: longTtlMs, waitMs: 60_000 })
    expect(result).toMatchObject({ acquired: false, reason: 'unavailable' })
    restored()
    await holder.release()
    await eventually('it is given back', async () => (await witness.dbsize()) === 0)
  })

  it('that was restarted empty is used with scripts that it does not know', async () => {
    const before = await granted('order:1', longTtlMs)
    await server.restart()
    await eventually('both clients are back', () => client.status === 'ready' && witness.status === 'ready')
    const after = await granted('order:1', longTtlMs)
    expect(await before.release()).toBe('already-lost')
    expect(await witness.get('lock:order:1')).toBe(after.token)
    expect(await after.release()).toBe('released')
  })
})

describe('the heartbeat', () => {
  it('keeps the lock longer than its TTL, and a contender out', async () => {
    const lease = await granted('order:1', 1_200)
    const firstDeadline = lease.deadline
    await eventually('two TTLs went by', () => lease.deadline > firstDeadline + 2_400)
    expect(lease.signal.aborted).toBe(false)
    expect(await witness.get('lock:order:1')).toBe(lease.token)
    const contender = createRedisLock({ client: witness, commandBudgetMs: 400 })
    expect(await contender.acquire('order:1', { ttlMs: 1_200 })).toMatchObject({ reason: 'contended' })
    expect(await lease.release()).toBe('released')
  })

  it('notices at its next beat that Redis was flushed', async () => {
    const lease = await granted('order:1', 3_000)
    const { signal } = lease
    await witness.flushall()
    await eventually('the signal fires', () => signal.aborted, { boundMs: 2_000 })
    expect(signal.reason).toMatchObject({ code: 'lease-lost', why: 'not-held' })
    expect(await lease.release()).toBe('already-lost')
  })

  it('never renews a lock that is somebody else’s by now', async () => {
    const lease = await granted('order:1', 900)
    const { signal } = lease
    await witness.set('lock:order:1', 'somebody else', 'PX', longTtlMs)
    await eventually('the signal fires', () => signal.aborted)
    expect(await witness.pttl('lock:order:1')).toBeGreaterThan(longTtlMs - 10_000)
    expect(await lease.release()).toBe('already-lost')
    expect(await witness.get('lock:order:1')).toBe('somebody else')
  })

  it('survives a lost answer and a lost connection, because it tries again in time', async () => {
    const lease = await granted('order:1', 1_200)
    const firstDeadline = lease.deadline
    const answer = proxy.intercept({ matches: ({ kind }) => kind.startsWith('EVAL'), at: 'answer' })
    await answer.reached()
    answer.cut()
    await eventually('it is renewed all the same', () => lease.deadline > firstDeadline + 600)
    expect(lease.signal.aborted).toBe(false)
    expect(await lease.release()).toBe('released')
  })

  it('stops renewing a lease that is held too long', async () => {
    const bounded = createRedisLock({ client, commandBudgetMs: 100, maxHeldMs: 400 })
    const result = await bounded.acquire('order:1', { ttlMs: 600 })
    if (!result.acquired) throw new Error(result.reason)
    const { signal } = result.lease
    await eventually('the signal fires', () => signal.aborted)
    expect(signal.reason).toMatchObject({ why: 'expiring' })
    await result.lease.release()
  })
})

describe('the signal fires before somebody else can have the lock', () => {
  const faults = {
    'requests are held': () => heldUntilCalled('to-server'),
    'answers are held': () => heldUntilCalled('to-client'),
    'the connection is cut and refused': () => {
      proxy.refuse()
      return () => proxy.accept()
    },
    'answers take longer than the TTL': () => {
      proxy.delay('to-client', 2_000)
      return () => proxy.delay('to-client', 0)
    },
  }

  it.each(Object.keys(faults) as (keyof typeof faults)[])('when %s: 40 losses', async (fault) => {
    const leases = await Promise.all(ttlsMs.map((ttlMs, n) => granted(`order:${n}`, ttlMs)))
    // The raw signals: what is read from the lease looks at the clock itself, and that is not what is asked here.
    const signals = leases.map(({ signal }) => signal)
    await new Promise((resolve) => setTimeout(resolve, startOfFaultMs))

    const contender = createRedisLock({ client: witness, commandBudgetMs: 300 })
    const heal = faults[fault]()
    const takenOver = await Promise.all(signals.map((signal, n) => takeOver(contender, n, signal)))
    expect(takenOver).toEqual(signals.map(() => 'lost before it was taken over'))
    heal()
    await Promise.all(leases.map((lease) => lease.release()))
  })

  it('when Redis is stopped: 40 losses', async () => {
    const leases = await Promise.all(ttlsMs.map((ttlMs, n) => granted(`order:${n}`, ttlMs)))
    const signals = leases.map(({ signal }) => signal)
    await new Promise((resolve) => setTimeout(resolve, startOfFaultMs))

    // No renewal reaches Redis from here on; then it says how long each key still has, and is stopped.
    proxy.hold('to-server')
    await witness.ping()
    const expiriesMs = await Promise.all(leases.map((_, n) => expiryMs(`lock:order:${n}`)))
    server.pause()
    const wasInTime = await Promise.all(signals.map((signal, n) => isAbortedAt(expiriesMs[n] ?? 0, signal)))
    expect(wasInTime).toEqual(signals.map(() => true))

    server.resume()
    proxy.flow('to-server')
    await Promise.all(leases.map((lease) => lease.release()))
  })

  /** TTLs from 0.6 to 1.2 s and when the fault begins; the same in each run, so that a failure can be repeated. */
  const [ttlsMs, startOfFaultMs] = fc.sample(
    fc.tuple(
      fc.array(fc.integer({ min: 600, max: 1_200 }), { minLength: 40, maxLength: 40 }),
      fc.integer({ min: 0, max: 600 }),
    ),
    { numRuns: 1, seed: 7 },
  )[0] as [number[], number]

  async function takeOver(contender: Lock, n: number, signal: AbortSignal): Promise<string> {
    const taken = await contender.acquire(`order:${n}`, { ttlMs: longTtlMs, waitMs: 10_000 })
    const wasLost = signal.aborted
    if (!taken.acquired) return `not taken over: ${taken.reason}`
    await taken.lease.release()
    return wasLost ? 'lost before it was taken over' : 'TAKEN OVER WHILE THE SIGNAL WAS SILENT'
  }

  /** The key cannot end before this: counted from before the question. */
  async function expiryMs(key: string): Promise<number> {
    const askedAtMs = performance.now()
    return askedAtMs + (await witness.pttl(key))
  }

  /** Whether it has fired when a timer for that very moment has, however late a busy machine lets both of them run. */
  async function isAbortedAt(momentMs: number, signal: AbortSignal): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, momentMs - performance.now()))
    await new Promise((resolve) => setImmediate(resolve))
    return signal.aborted
  }
})

function isSet({ kind }: { kind: string }): boolean {
  return kind === 'SET'
}

/** Arranges; so a machine that is too busy for the budget is asked again, for as long as that may take. */
function granted(resource: string, ttlMs: number): Promise<Lease> {
  return eventually(`the lock on ${resource}`, async () => {
    const result = await lock.acquire(resource, { ttlMs })
    return result.acquired && result.lease
  })
}

function stopRedis(): () => void {
  server.pause()
  return () => server.resume()
}

function heldUntilCalled(direction: 'to-server' | 'to-client'): () => void {
  proxy.hold(direction)
  return () => proxy.flow(direction)
}
