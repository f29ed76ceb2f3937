import { eventually, type RedisServer, raceCopies, startLeakCheck, startRedisServer, valuesOf } from '@seatbelt/testing'
import { type CommonRedisOptions, Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedisLock, type Lease, type Lock, type RedisClient, redisLockClientOptions } from '../src/index.ts'
import { callsOf, connectRedis } from './redis-client.ts'

/** So long that nothing in this file is ever undone by expiry: what is gone was given back. */
const ttlMs = 60_000

const leakCheck = startLeakCheck()
let server: RedisServer
let client: Redis
let lock: Lock

beforeAll(async () => {
  server = await startRedisServer()
  client = await connectRedis(server.url)
  lock = createRedisLock({ client, commandBudgetMs: 500 })
})
beforeEach(() => client.flushall())
afterAll(async () => {
  client.disconnect()
  await server.close()
  await leakCheck.assertNoLeaks()
})

describe('a Redis lock', () => {
  it('is given to one of many contenders, and the others are refused at once', async () => {
    const results = valuesOf(await raceCopies(20, () => lock.acquire('order:1', { ttlMs })))
    const leases = results.flatMap((result) => (result.acquired ? [result.lease] : []))
    expect(leases).toHaveLength(1)
    expect(results.filter((result) => !result.acquired && result.reason === 'contended')).toHaveLength(19)
    await Promise.all(leases.map((lease) => lease.release()))
  })

  it('is free again after its release, which does no harm when done twice', async () => {
    const lease = await granted(lock, 'order:1')
    expect(await client.get('lock:order:1')).toBe(lease.token)
    expect(await client.pttl('lock:order:1')).toBeGreaterThan(ttlMs - 5_000)
    expect(await lease.release()).toBe('released')
    const next = await granted(lock, 'order:1')
    expect(await lease.release()).toBe('released')
    expect(await client.get('lock:order:1')).toBe(next.token)
    await next.release()
  })

  it('that outlived its holder is not released by it', async () => {
    const first = await granted(lock, 'order:1')
    await client.del('lock:order:1')
    const second = await granted(lock, 'order:1')
    expect(await first.release()).toBe('already-lost')
    expect(await client.get('lock:order:1')).toBe(second.token)
    expect(await second.release()).toBe('released')
  })

  it('has another token each time', async () => {
    const tokens = new Set<string>()
    for (let times = 0; times < 5; times++) {
      const lease = await granted(lock, 'order:1')
      tokens.add(lease.token)
      await lease.release()
    }
    expect(tokens.size).toBe(5)
  })

  it('is released at the end of the block with `await using`', async () => {
    {
      await using lease = await granted(lock, 'order:1')
      expect(await client.exists('lock:order:1')).toBe(1)
      expect(lease.signal.aborted).toBe(false)
    }
    expect(await client.exists('lock:order:1')).toBe(0)
  })

  it('is released by a server that forgot the scripts', async () => {
    const first = await granted(lock, 'order:1')
    await first.release()
    await client.script('FLUSH')
    const second = await granted(lock, 'order:1')
    await client.script('FLUSH')
    expect(await second.release()).toBe('released')
    expect(await client.exists('lock:order:1')).toBe(0)
  })

  it('is not handed out when half of its time went by before its answer was read', async () => {
    // The process stood still between sending and reading: the answer says OK, but to a question of long ago.
    const given: unknown[] = []
    const stalled: RedisClient = {
      ...clientLike(),
      set: (async () => {
        blockMs(60)
        return 'OK'
      }) as unknown as RedisClient['set'],
      eval: (async (...args: unknown[]) => given.push(args)) as unknown as RedisClient['eval'],
    }
    const slow = createRedisLock({ client: stalled, commandBudgetMs: 30 })
    expect(await slow.acquire('order:1', { ttlMs: 100 })).toMatchObject({ acquired: false, reason: 'unavailable' })
    expect(given).toHaveLength(1)
  })
})

describe('an answer that came within the budget', () => {
  it('counts, although this process was too busy to read it until the budget was over', async () => {
    const brief = createRedisLock({ client, commandBudgetMs: 30 })
    const asked = brief.acquire('order:1', { ttlMs })
    blockMs(150)
    const result = await asked
    if (!result.acquired) throw new Error(result.reason, { cause: result.cause })
    const releasing = result.lease.release()
    blockMs(150)
    expect(await releasing).toBe('released')
  })
})

describe('a client that is not connected', () => {
  it('is asked nothing, and nothing has to be given back', async () => {
    const sent: string[] = []
    const record = (name: string) => async () => sent.push(name)
    const away = {
      ...clientLike(),
      status: 'reconnecting',
      set: record('set'),
      eval: record('eval'),
    } as unknown as RedisClient
    const result = await createRedisLock({ client: away, commandBudgetMs: 100 }).acquire('order:1', { ttlMs })
    expect(result).toMatchObject({ acquired: false, reason: 'unavailable' })
    expect(sent).toEqual([])
  })

  it('is told to connect if it was made lazily', async () => {
    const lazy = new Redis(server.url, { ...redisLockClientOptions, lazyConnect: true })
    const lazyLock = createRedisLock({ client: lazy, commandBudgetMs: 500 })
    expect(await lazyLock.acquire('order:1', { ttlMs })).toMatchObject({ reason: 'unavailable' })
    await eventually('it is connected', () => lazy.status === 'ready')
    await (await granted(lazyLock, 'order:1')).release()
    lazy.disconnect()
  })
})

describe('waiting for a Redis lock', () => {
  it('ends with the lock when its holder releases it', async () => {
    const holder = await granted(lock, 'order:1')
    const refusalsBefore = await callsOf(client, 'set')
    const waiting = lock.acquire('order:1', { ttlMs, waitMs: 30_000 })
    await eventually('the waiter was refused and asks again', async () => {
      return (await callsOf(client, 'set')) >= refusalsBefore + 2
    })
    await holder.release()
    const waited = await waiting
    expect(waited.acquired).toBe(true)
    if (waited.acquired) await waited.lease.release()
  })

  it('ends when its time is over', async () => {
    const holder = await granted(lock, 'order:1')
    const startedAtMs = performance.now()
    const result = await lock.acquire('order:1', { ttlMs, waitMs: 120 })
    expect(result).toEqual({ acquired: false, reason: 'timed-out' })
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(119)
    await holder.release()
  })

  it('pauses with jitter between the tries, and not longer than the bound', async () => {
    const holder = await granted(lock, 'order:1')
    const drawn: number[] = []
    const random = () => {
      drawn.push(0.5)
      return 0.5
    }
    const patient = createRedisLock({ client, commandBudgetMs: 500, random })
    const callsBefore = await callsOf(client, 'set')
    await patient.acquire('order:1', { ttlMs, waitMs: 200 })
    // 5, 10, 20, then 25 ms each: some twelve tries in 200 ms. Without pauses there would be hundreds.
    const tries = (await callsOf(client, 'set')) - callsBefore
    expect(tries).toBeGreaterThan(2)
    expect(tries).toBeLessThanOrEqual(13)
    expect(drawn.length).toBe(tries - 1)
    await holder.release()
  })

  it('leaves nothing behind when it is aborted', async () => {
    const holder = await granted(lock, 'order:1')
    const callsBefore = await callsOf(client, 'set')
    const abort = new AbortController()
    const waiting = lock.acquire('order:1', { ttlMs, waitMs: 30_000, signal: abort.signal })
    await eventually('the waiter was refused once', async () => (await callsOf(client, 'set')) > callsBefore)
    abort.abort()
    expect(await waiting).toEqual({ acquired: false, reason: 'aborted' })
    await holder.release()
    const callsAfter = await callsOf(client, 'set')
    // Longer than the longest pause between two tries: nobody asks any more.
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect(await callsOf(client, 'set')).toBe(callsAfter)
    expect(await client.exists('lock:order:1')).toBe(0)
  })

  it('does not begin when it is aborted before', async () => {
    const callsBefore = await callsOf(client, 'set')
    const result = await lock.acquire('order:1', { ttlMs, waitMs: 100, signal: AbortSignal.abort() })
    expect(result).toEqual({ acquired: false, reason: 'aborted' })
    expect(await callsOf(client, 'set')).toBe(callsBefore)
  })
})

describe('what could never work is refused with what to do', () => {
  it.each([
    ['no name', '', { ttlMs }, /empty/],
    ['an overlong name', 'x'.repeat(257), { ttlMs }, /at most 256 characters; this one has 257/],
    ['a NUL in a name', 'order\0', { ttlMs }, /NUL/],
    ['a TTL of zero', 'order:1', { ttlMs: 0 }, /from 1500 .* to 600000; it is 0/],
    ['a negative TTL', 'order:1', { ttlMs: -1 }, /it is -1/],
    ['half a millisecond', 'order:1', { ttlMs: 2000.5 }, /whole number/],
    ['a TTL that leaves no time to renew', 'order:1', { ttlMs: 1499 }, /from 1500/],
    ['a TTL over the bound', 'order:1', { ttlMs: 600_001 }, /to 600000/],
    ['a negative wait', 'order:1', { ttlMs, waitMs: -1 }, /waitMs/],
    ['an endless wait', 'order:1', { ttlMs, waitMs: Number.POSITIVE_INFINITY }, /waitMs/],
  ])('%s', async (_what, resource, options, message) => {
    await expect(lock.acquire(resource, options)).rejects.toThrow(message)
    await expect(lock.acquire(resource, options)).rejects.toThrow(RangeError)
    expect(await client.dbsize()).toBe(0)
  })

  it.each<[string, ChangedOptions, RegExp]>([
    ['a client that queues while Redis is away', { enableOfflineQueue: true }, /enableOfflineQueue: false/],
    ['a client without a time-out', { commandTimeout: undefined }, /commandTimeout \(in ms\)/],
    [
      'a client that sends again what nobody waits for',
      { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: 20 },
      /autoResendUnfulfilledCommands: false/,
    ],
    ['a time-out shorter than the budget', { commandTimeout: 499 }, /commandBudgetMs \(500\)/],
  ])('%s', (_what, change, message) => {
    const unfit = new Redis(server.url, { ...redisLockClientOptions, ...change, lazyConnect: true })
    expect(() => createRedisLock({ client: unfit, commandBudgetMs: 500 })).toThrow(message)
    unfit.disconnect()
  })

  it.each([0, -1, 1.5, Number.NaN])('a budget of %s ms', (commandBudgetMs) => {
    expect(() => createRedisLock({ client, commandBudgetMs })).toThrow(RangeError)
  })
})

type ChangedOptions = Pick<
  CommonRedisOptions,
  'enableOfflineQueue' | 'commandTimeout' | 'autoResendUnfulfilledCommands' | 'maxRetriesPerRequest'
>

async function granted(by: Lock, resource: string): Promise<Lease> {
  const result = await by.acquire(resource, { ttlMs })
  if (!result.acquired) throw new Error(`not granted: ${result.reason}`)
  return result.lease
}

/** A client without a server, for what a real one cannot be made to do. */
function clientLike(): RedisClient {
  const unused = () => Promise.reject(new Error('not used in this test'))
  return {
    status: 'ready',
    options: { ...redisLockClientOptions },
    connect: unused,
    set: unused as unknown as RedisClient['set'],
    eval: unused as unknown as RedisClient['eval'],
    evalsha: unused as unknown as RedisClient['evalsha'],
  }
}

function blockMs(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}
