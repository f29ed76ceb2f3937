import {
  eventually,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
  startTcpProxy,
  type TcpProxy,
} from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedlock, type Lease, type Lock, redisLockClientOptions } from '../src/index.ts'
import { callsOf, connectRedis, isRelease } from './redis-client.ts'

/** Short, because a restarted node is out for so long. */
const longestTtlMs = 2_500
const ttlMs = longestTtlMs
const commandBudgetMs = 300

const leakCheck = startLeakCheck()
let servers: RedisServer[]
let proxies: TcpProxy[]
/** Past the proxies: what is true on each node, and another process's lock. */
let witnesses: Redis[]
let clients: Redis[]
let lock: Lock
let otherLock: Lock

beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: 5 }, () => startRedisServer()))
})
beforeEach(async () => {
  for (const server of servers) if (!isRunning(server)) await server.restart()
  proxies = await Promise.all(
    servers.map(({ port }) => startTcpProxy({ target: { host: '127.0.0.1', port }, protocol: 'redis' })),
  )
  witnesses = await Promise.all(servers.map(({ url }) => connectRedis(url)))
  // The clients' own time-outs are out of the way: what ends in time here ends by the lock's budget.
  const patient = { commandTimeout: 60_000, socketTimeout: 60_000 }
  clients = await Promise.all(servers.map(({ url }, n) => connectRedis(at(proxies, n).through(url), patient)))
  await Promise.all(witnesses.map((witness) => witness.flushall()))
  lock = createRedlock({ nodes: clients, commandBudgetMs, longestTtlMs })
  otherLock = createRedlock({ nodes: witnesses, commandBudgetMs, longestTtlMs })
  await allNodesVote(lock)
  await allNodesVote(otherLock)
})
afterEach(async () => {
  for (const server of servers) if (isRunning(server)) server.resume()
  for (const client of [...clients, ...witnesses]) client.disconnect()
  await Promise.all(proxies.map((proxy) => proxy.close()))
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
  await leakCheck.assertNoLeaks()
})

describe('a lock on five nodes', () => {
  it('is on every node while it is held, keeps others out, and is gone from every node afterwards', async () => {
    const lease = await granted(lock, 'order:1')
    await eventually('all nodes have it', async () =>
      (await holders('order:1')).every((token) => token === lease.token),
    )
    expect(await otherLock.acquire('order:1', { ttlMs })).toEqual({ acquired: false, reason: 'contended' })
    expect(await lease.release()).toBe('released')
    expect(await lease.release()).toBe('released')
    await eventually('no node has it', async () => (await holders('order:1')).every((token) => token === null))
    const next = await granted(otherLock, 'order:1')
    expect(next.token).not.toBe(lease.token)
    await next.release()
  })

  it('that outlived its holder is not released by it', async () => {
    const lease = await granted(lock, 'order:1')
    await eventually('all nodes have it', async () =>
      (await holders('order:1')).every((token) => token === lease.token),
    )
    for (const witness of witnesses) await witness.del('lock:order:1')
    const second = await granted(otherLock, 'order:1')
    expect(await lease.release()).toBe('already-lost')
    expect((await holders('order:1')).filter((token) => token === second.token).length).toBeGreaterThanOrEqual(3)
    expect(await second.release()).toBe('released')
  })

  it('goes from one of many contenders to the next, although their votes split', async () => {
    let inside = 0
    let mostInside = 0
    const names = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const result = await (n % 2 === 0 ? lock : otherLock).acquire('order:1', { ttlMs, waitMs: 20_000 })
        if (!result.acquired) return result.reason
        mostInside = Math.max(mostInside, ++inside)
        await new Promise((resolve) => setImmediate(resolve))
        inside--
        return result.lease.release()
      }),
    )
    expect(names).toEqual(names.map(() => 'released'))
    expect(mostInside).toBe(1)
  })

  it('is renewed on a majority for longer than its TTL', async () => {
    const lease = await granted(lock, 'order:1', 1_200)
    const firstDeadline = lease.deadline
    at(proxies, 0).refuse()
    at(proxies, 1).refuse()
    await eventually('two TTLs went by', () => lease.deadline > firstDeadline + 2_400)
    expect(lease.signal.aborted).toBe(false)
    expect(await otherLock.acquire('order:1', { ttlMs: 1_200 })).toMatchObject({ reason: 'contended' })
    expect(await lease.release()).toBe('released')
  })

  it('is lost when a majority denies it, and the signal says so at the next beat', async () => {
    const lease = await granted(lock, 'order:1')
    const { signal } = lease
    for (const n of [0, 1, 2]) await at(witnesses, n).set('lock:order:1', 'somebody else', 'PX', 60_000)
    await eventually('the signal fires', () => signal.aborted)
    expect(signal.reason).toMatchObject({ code: 'lease-lost', why: 'not-held' })
    expect(await lease.release()).toBe('already-lost')
    expect((await holders('order:1')).slice(0, 3)).toEqual(['somebody else', 'somebody else', 'somebody else'])
  })

  it('stops asking when the wait is aborted, and leaves nothing behind', async () => {
    const holder = await granted(otherLock, 'order:1')
    const abort = new AbortController()
    const before = await callsOf(at(witnesses, 0), 'set')
    const waiting = lock.acquire('order:1', { ttlMs, waitMs: 30_000, signal: abort.signal })
    await eventually('it was refused once', async () => (await callsOf(at(witnesses, 0), 'set')) > before)
    abort.abort()
    expect(await waiting).toEqual({ acquired: false, reason: 'aborted' })
    await holder.release()
    await eventually('no node has it', async () => (await holders('order:1')).every((token) => token === null))
  })

  it('is given back when the caller stops in the middle of a vote', async () => {
    const abort = new AbortController()
    const answers = proxies.map((proxy) => proxy.intercept({ matches: ({ kind }) => kind === 'SET', at: 'answer' }))
    const asked = lock.acquire('order:1', { ttlMs, signal: abort.signal })
    await Promise.all(answers.map((answer) => answer.reached()))
    expect((await holders('order:1')).every((token) => token !== null)).toBe(true)
    abort.abort()
    expect(await asked).toEqual({ acquired: false, reason: 'aborted' })
    await eventually('no node has it', async () => (await holders('order:1')).every((token) => token === null), {
      // Long before the TTL.
      boundMs: 1_000,
    })
    for (const answer of answers) answer.pass()
  })
})

describe('nodes that fail', () => {
  it('two of five killed: it is granted, renewed and released', async () => {
    const lease = await granted(lock, 'order:1', 1_200)
    const firstDeadline = lease.deadline
    await at(servers, 0).kill()
    await at(servers, 1).kill()
    await eventually('it is renewed', () => lease.deadline > firstDeadline)
    expect(await otherLock.acquire('order:1', { ttlMs })).toMatchObject({ acquired: false, reason: 'contended' })
    expect(await lease.release()).toBe('released')
    expect(await (await granted(otherLock, 'order:1')).release()).toBe('released')
  })

  it('three of five killed: it is refused at once, and whoever holds it is told before it can have expired', async () => {
    const lease = await granted(lock, 'order:1', 1_200)
    const { signal } = lease
    for (const n of [0, 1, 2]) await at(servers, n).kill()
    await eventually('the clients have noticed', () => clients.slice(0, 3).every(({ status }) => status !== 'ready'))
    const refused = await lock.acquire('order:2', { ttlMs })
    expect(refused).toMatchObject({ acquired: false, reason: 'unavailable' })
    expect(refused).toHaveProperty('cause.errors.length', 3)
    // What the two living nodes had granted is given back.
    await eventually(
      'no node has it',
      async () =>
        (await at(witnesses, 3).exists('lock:order:2')) + (await at(witnesses, 4).exists('lock:order:2')) === 0,
      { boundMs: 1_000 },
    )

    const expiriesMs = await Promise.all([3, 4].map((n) => expiryMs(n, 'order:1')))
    await eventually('the signal fires', () => signal.aborted)
    expect(performance.now()).toBeLessThan(Math.max(...expiriesMs) + 1_200)
    expect(signal.reason).toMatchObject({ code: 'lease-lost', why: 'expiring' })
    expect(['already-lost', 'unknown']).toContain(await lease.release())
  })

  it('one of five stopped with SIGSTOP: it holds up nobody, and has nothing of ours when it goes on', async () => {
    at(servers, 0).pause()
    const slow = createRedlock({ nodes: clients, commandBudgetMs: 800, longestTtlMs })
    await allNodesVote(slow, 4)
    const startedAtMs = performance.now()
    const lease = await granted(slow, 'order:1')
    expect(await slow.acquire('order:1', { ttlMs })).toMatchObject({ reason: 'contended' })
    expect(await lease.release()).toBe('released')
    // The budget is 800 ms: none of the three waited for the node that hangs.
    expect(performance.now() - startedAtMs).toBeLessThan(700)
    at(servers, 0).resume()
    await eventually('no node has it', async () => (await holders('order:1')).every((token) => token === null), {
      boundMs: 1_500,
    })
  })

  it('one of five stopped and the others split two to two: it is refused when the budget is over, and nothing is left', async () => {
    for (const n of [0, 1]) await at(witnesses, n).set('lock:order:1', 'somebody else', 'PX', 60_000)
    at(servers, 4).pause()
    expect(await lock.acquire('order:1', { ttlMs })).toEqual({ acquired: false, reason: 'contended' })
    await eventually(
      'the two that were granted are given back',
      async () => {
        return (await at(witnesses, 2).exists('lock:order:1')) + (await at(witnesses, 3).exists('lock:order:1')) === 0
      },
      { boundMs: 1_000 },
    )
    at(servers, 4).resume()
    await eventually('also by the one that hung', async () => (await at(witnesses, 4).exists('lock:order:1')) === 0, {
      boundMs: 1_500,
    })
    for (const n of [0, 1]) await at(witnesses, n).del('lock:order:1')
  })

  it('one restarted empty: it gives no second majority while the first may be held, and votes again after that', async () => {
    // Three nodes, of which the first holder could not reach the last: its majority is the first two.
    const [first, second] = [0, 1].map((which) =>
      createRedlock({ nodes: (which === 0 ? clients : witnesses).slice(0, 3), commandBudgetMs, longestTtlMs }),
    ) as [Lock, Lock]
    await allNodesVote(first, 3)
    await allNodesVote(second, 3)
    at(proxies, 2).refuse()
    await eventually('the first holder has lost a node', () => at(clients, 2).status !== 'ready')
    const lease = await granted(first, 'order:1')
    await eventually('two nodes have it', async () =>
      (await holders('order:1')).slice(0, 2).every((token) => token === lease.token),
    )

    await at(servers, 1).restart()
    await eventually('the second contender is connected to it', () => at(witnesses, 1).status === 'ready')
    expect((await holders('order:1')).slice(0, 3)).toEqual([lease.token, null, null])
    const refused = await second.acquire('order:1', { ttlMs })
    expect(refused).toMatchObject({ acquired: false })
    expect(lease.signal.aborted).toBe(false)
    // A process that is new, and never saw the server before it was restarted, is as careful.
    const newcomer = await connectRedis(at(servers, 1).url)
    const third = createRedlock({
      nodes: [at(witnesses, 0), newcomer, at(witnesses, 2)],
      commandBudgetMs,
      longestTtlMs,
    })
    expect(await third.acquire('order:1', { ttlMs })).toMatchObject({ acquired: false })
    newcomer.disconnect()

    await lease.release()
    await at(servers, 0).kill()
    const again = await eventually(
      'it votes again: its majority needs it now',
      async () => {
        const result = await second.acquire('order:1', { ttlMs })
        return result.acquired && result.lease
      },
      { boundMs: 8_000 },
    )
    expect(await again.release()).toBe('released')
  })
})

describe('a lease', () => {
  it('is released without an error when no node answers', async () => {
    const lease = await granted(lock, 'order:1')
    for (const server of servers) server.pause()
    expect(await lease.release()).toBe('unknown')
    for (const server of servers) server.resume()
    await eventually(
      'it is given back later',
      async () => (await holders('order:1')).every((token) => token === null),
      { boundMs: 1_500 },
    )
  })

  it('whose release is lost with its connections is given back on the next ones', async () => {
    const lease = await granted(lock, 'order:1')
    const releases = proxies.map((proxy) => proxy.intercept({ matches: isRelease, at: 'request' }))
    const releasing = lease.release()
    await Promise.all(releases.map((release) => release.reached()))
    for (const release of releases) release.cut()
    expect(await releasing).toBe('unknown')
    await eventually('no node has it', async () => (await holders('order:1')).every((token) => token === null), {
      // Long before the TTL.
      boundMs: 1_500,
    })
  })

  it('is released without an error when it is over', async () => {
    const lease = await granted(lock, 'order:1', 900)
    for (const proxy of proxies) proxy.refuse()
    await eventually('it is lost', () => lease.signal.aborted)
    await expect(lease.release()).resolves.toBe('already-lost')
  })
})

describe('what could never work is refused with what to do', () => {
  it.each([0, 2, 4])('%i nodes', (count) => {
    expect(() => createRedlock({ nodes: clients.slice(0, count), commandBudgetMs })).toThrow(/odd number of nodes/)
  })

  it('one server twice, told by its address', () => {
    const nodes = [at(witnesses, 0), at(witnesses, 1), at(witnesses, 0)]
    expect(() => createRedlock({ nodes, commandBudgetMs })).toThrow(/twice/)
  })

  it('one server twice, under two addresses: it has one vote', async () => {
    const nodes = [at(witnesses, 0), at(clients, 0), at(clients, 1)]
    const doubled = createRedlock({ nodes, commandBudgetMs, longestTtlMs })
    at(proxies, 1).refuse()
    await eventually('the other one is away', () => at(clients, 1).status !== 'ready')
    expect(await doubled.acquire('order:1', { ttlMs })).toMatchObject({ acquired: false, reason: 'unavailable' })
  })

  it('a client without a time-out', () => {
    const unfit = new Redis(at(servers, 0).url, {
      ...redisLockClientOptions,
      commandTimeout: undefined as never,
      lazyConnect: true,
    })
    expect(() => createRedlock({ nodes: [unfit], commandBudgetMs })).toThrow(/commandTimeout/)
    unfit.disconnect()
  })

  it.each([
    ['a TTL longer than a restarted node is kept out', { ttlMs: longestTtlMs + 1 }, {}, /longestTtlMs/],
    ['a TTL that leaves no time to renew', { ttlMs: 3 * commandBudgetMs - 1 }, {}, /from 900/],
    ['more validity than the vote can leave', { ttlMs }, { minValidityMs: ttlMs - commandBudgetMs }, /minValidityMs/],
    ['no name', { ttlMs }, {}, /empty/],
  ])('%s', async (what, acquireOptions, options, message) => {
    const strict = createRedlock({ nodes: witnesses, commandBudgetMs, longestTtlMs, ...options })
    await expect(strict.acquire(what === 'no name' ? '' : 'order:1', acquireOptions)).rejects.toThrow(message)
  })
})

/** A node that was started lately does not vote. Shown by a lock that only `count` votes can give. */
async function allNodesVote(by: Lock, count = 5): Promise<void> {
  const resource = `probe:${probes++}`
  await eventually(
    'all nodes vote',
    async () => {
      const result = await by.acquire(resource, { ttlMs })
      if (!result.acquired) return false
      const seen = await eventually(
        'the votes are in',
        async () => {
          const tokens = await Promise.all(
            witnesses.map((witness, n) =>
              isRunning(at(servers, n)) ? withinMs(witness.get(`lock:${resource}`), 100) : null,
            ),
          )
          return tokens.filter((token) => token === result.lease.token).length >= count
        },
        { boundMs: 200 },
      ).catch(() => false)
      await result.lease.release()
      return seen
    },
    { boundMs: 10_000 },
  )
}

let probes = 0

function withinMs<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), ms)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      () => {
        clearTimeout(timer)
        resolve(null)
      },
    )
  })
}

/** Arranges; so a machine that is too busy for the budget is asked again. */
function granted(by: Lock, resource: string, ttl = ttlMs): Promise<Lease> {
  return eventually(`the lock on ${resource}`, async () => {
    const result = await by.acquire(resource, { ttlMs: ttl })
    return result.acquired && result.lease
  })
}

function holders(resource: string): Promise<(string | null)[]> {
  return Promise.all(witnesses.map((witness) => (witness.status === 'ready' ? witness.get(`lock:${resource}`) : null)))
}

/** The key cannot end before this: counted from before the question. */
async function expiryMs(n: number, resource: string): Promise<number> {
  const askedAtMs = performance.now()
  return askedAtMs + (await at(witnesses, n).pttl(`lock:${resource}`))
}

function isRunning(server: RedisServer): boolean {
  try {
    return server.pid > 0
  } catch {
    return false
  }
}

function at<T>(all: readonly T[], n: number): T {
  const one = all[n]
  if (one === undefined) throw new Error(`there is no number ${n}`)
  return one
}
