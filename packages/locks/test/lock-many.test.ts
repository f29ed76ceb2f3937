import {
  createLatch,
  eventually,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
  startTcpProxy,
  type TcpProxy,
} from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AcquireOptions, acquireMany, createRedisLock, type Lock } from '../src/index.ts'
import { connectRedis } from './redis-client.ts'

/** So long that what is gone within a test was given back. */
const ttlMs = 120_000
/** No command fails for want of processor time. The test of a silent server has a short one. */
const unhurriedMs = 30_000
const seats = ['seat:1', 'seat:2', 'seat:3']

const leakCheck = startLeakCheck()
let server: RedisServer
let witness: Redis
let proxy: TcpProxy
let client: Redis
let lock: Lock

beforeAll(async () => {
  server = await startRedisServer()
})
beforeEach(async () => {
  proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'redis' })
  witness = await connectRedis(server.url)
  await witness.flushall()
  client = await connectRedis(proxy.through(server.url), {
    commandTimeout: 2 * unhurriedMs,
    socketTimeout: 2 * unhurriedMs,
  })
  lock = createRedisLock({ client, commandBudgetMs: unhurriedMs })
})
afterEach(async () => {
  client.disconnect()
  witness.disconnect()
  await proxy.close()
})
afterAll(async () => {
  await server.close()
  await leakCheck.assertNoLeaks()
})

describe('several locks at once', () => {
  it('are taken in one order, each once, however they are named, and all given back', async () => {
    const { recording, asked } = recordingLock()
    const result = await acquireMany(recording, ['seat:2', 'seat:10', 'Seat:3', 'seat:2'], { ttlMs })
    if (!result.acquired) throw new Error(result.reason)
    expect(asked).toEqual(['Seat:3', 'seat:10', 'seat:2'])
    expect(await witness.dbsize()).toBe(3)
    expect(result.lease.deadline).toBe(Math.min(...result.lease.leases.map(({ deadline }) => deadline)))
    expect(await result.lease.release()).toBe('released')
    expect(await witness.dbsize()).toBe(0)
  })

  it('do not deadlock with those who name them the other way round', async () => {
    // Both have their first one before either asks for its second: in the order of their naming, both would wait to the end.
    const bothBegan = createLatch('both have asked for their first')
    let began = 0
    const meeting: Lock = {
      strategy: lock.strategy,
      async acquire(resource, options) {
        if (began < 2) {
          if (++began === 2) bothBegan.open()
          const granted = lock.acquire(resource, options)
          await bothBegan.wait()
          return granted
        }
        return lock.acquire(resource, options)
      },
    }
    const take = async (names: string[]) => {
      const result = await acquireMany(meeting, names, { ttlMs, waitMs: unhurriedMs })
      return result.acquired ? result.lease.release() : result.reason
    }
    expect(await Promise.all([take(['seat:1', 'seat:2']), take(['seat:2', 'seat:1'])])).toEqual([
      'released',
      'released',
    ])
  })

  it('are all given back when one of them is refused, and the refusal names it', async () => {
    await witness.set('lock:seat:3', 'somebody else')
    expect(await acquireMany(lock, seats, { ttlMs })).toEqual({
      acquired: false,
      reason: 'contended',
      resource: 'seat:3',
    })
    expect(await witness.keys('*')).toEqual(['lock:seat:3'])
  })

  it('are all given back when the wait is over, which is one wait for all of them', async () => {
    await witness.set('lock:seat:2', 'somebody else', 'PX', 150)
    const waits: { readonly waitMs: number; readonly askedAtMs: number; readonly answeredAtMs: number }[] = []
    const watched: Lock = {
      strategy: lock.strategy,
      acquire: async (resource, options) => {
        const [waitMs, askedAtMs] = [options.waitMs ?? 0, performance.now()]
        const result = await (resource === 'seat:3' ? timedOut : lock.acquire(resource, options))
        waits.push({ waitMs, askedAtMs, answeredAtMs: performance.now() })
        return result
      },
    }
    expect(await acquireMany(watched, seats, { ttlMs, waitMs: unhurriedMs })).toMatchObject({
      reason: 'timed-out',
      resource: 'seat:3',
    })
    // Were it a wait for each, the third would be let wait as long as the first, though the second has used some of it.
    expect(waits).toHaveLength(3)
    const [first, second, third] = waits
    const untilMs = at(first).askedAtMs + at(first).waitMs
    expect(at(third).waitMs).toBeLessThanOrEqual(untilMs - at(second).answeredAtMs)
    expect(await witness.keys('*')).toEqual([])
  })

  it('are all given back when the wait is aborted', async () => {
    await witness.set('lock:seat:3', 'somebody else')
    const abort = new AbortController()
    const asked = acquireMany(lock, seats, { ttlMs, waitMs: 30_000, signal: abort.signal })
    await eventually('two are held', async () => (await witness.dbsize()) === 3)
    abort.abort()
    expect(await asked).toMatchObject({ acquired: false, reason: 'aborted', resource: 'seat:3' })
    await eventually('nothing is left', async () => (await witness.dbsize()) === 1)
  })

  it('are all given back when the server does not answer for one of them', async () => {
    const answer = proxy.intercept({ matches: ({ kind }) => kind === 'SET', nth: 2, at: 'answer' })
    const hurried = createRedisLock({ client, commandBudgetMs: 2_000 })
    const silentForOne: Lock = {
      strategy: lock.strategy,
      acquire: (resource, options) => (resource === 'seat:2' ? hurried : lock).acquire(resource, options),
    }
    const asked = acquireMany(silentForOne, seats, { ttlMs })
    await answer.reached()
    expect(await asked).toMatchObject({ acquired: false, reason: 'unavailable', resource: 'seat:2' })
    answer.pass()
    await eventually('nothing is left', async () => (await witness.dbsize()) === 0)
  })

  it('are all given back when the lock throws', async () => {
    const { recording } = recordingLock((resource) => {
      if (resource === 'seat:2') throw new Error('a mistake')
    })
    await expect(acquireMany(recording, seats, { ttlMs })).rejects.toThrow('a mistake')
    expect(await witness.dbsize()).toBe(0)
  })

  it('are refused when one of them was lost while the others were asked for', async () => {
    const abort = new AbortController()
    const forgetful: Lock = {
      strategy: lock.strategy,
      async acquire(resource, options) {
        const result = await lock.acquire(resource, options)
        if (resource === 'seat:3') abort.abort(new Error('lost'))
        if (!result.acquired || resource !== 'seat:1') return result
        return { acquired: true, lease: Object.defineProperty(result.lease, 'signal', { value: abort.signal }) }
      },
    }
    expect(await acquireMany(forgetful, seats, { ttlMs })).toMatchObject({ reason: 'unavailable', resource: 'seat:1' })
    expect(await witness.dbsize()).toBe(0)
  })

  it('are lost with the first of them', async () => {
    const renewed = createRedisLock({ client, commandBudgetMs: 2_000 })
    const result = await acquireMany(renewed, seats, { ttlMs: 9_000 })
    if (!result.acquired) throw new Error(result.reason)
    const { lease } = result
    const { signal } = lease
    await witness.del('lock:seat:2')
    await eventually('the signal fires', () => signal.aborted)
    expect(signal.reason).toMatchObject({ code: 'lease-lost', why: 'not-held' })
    expect(await lease.release()).toBe('already-lost')
    expect(await witness.dbsize()).toBe(0)
  })

  it.each([
    ['none', [], /at least one/],
    ['too many', Array.from({ length: 65 }, (_, n) => `seat:${n}`), /at most 64 resources; these are 65/],
    ['one without a name', ['seat:1', ''], /empty/],
  ])('refuses %s before anything is asked', async (_what, names, message) => {
    const { recording, asked } = recordingLock()
    await expect(acquireMany(recording, names, { ttlMs })).rejects.toThrow(message)
    expect(asked).toEqual([])
  })
})

const timedOut = Promise.resolve({ acquired: false, reason: 'timed-out' } as const)

function at<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there is no such wait')
  return value
}

function recordingLock(before: (resource: string) => void = () => {}) {
  const asked: string[] = []
  const recording: Lock = {
    strategy: lock.strategy,
    async acquire(resource: string, options: AcquireOptions) {
      before(resource)
      asked.push(resource)
      return lock.acquire(resource, options)
    },
  }
  return { recording, asked }
}
