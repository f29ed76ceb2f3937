import { randomUUID } from 'node:crypto'
import { createLockMetrics, createRedisLock, measureLock, redisLockClientOptions } from '@seatbelt/locks'
import { createRedisLockLayer, type Guarded, type RedisLockLayer } from '@seatbelt/safety'
import {
  createLatch,
  eventually,
  type RedisServer,
  startRedisServer,
  startTcpProxy,
  type TcpProxy,
} from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openPaid, refund, refundsAtGateway } from './refund-support.ts'
import { brief, openShop, paymentIdOf, type Replica, type Shop } from './shop.ts'

/**
 * What docs/redis-outage.md promises. In each race the first contender stands inside layer 2 until the second one has come in
 * as well or was refused: so it is forced whether both meet at the layers below, and what is counted is exact.
 */
let shop: Shop
let redis: RedisServer
let proxy: TcpProxy
/** Prepares what is raced for, with a Redis that works. */
let client: Replica
let seats: readonly [Seat, Seat]

beforeAll(async () => {
  shop = await openShop()
  redis = await startRedisServer()
  proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: redis.port }, protocol: 'redis' })
  client = await shop.replica('client')
  seats = [await openSeat('contender-1'), await openSeat('contender-2')]
})
afterAll(async () => {
  await proxy?.close()
  await redis?.close()
  await shop?.close()
})

/** Where an answer is expected: no machine is so busy that a healthy Redis needs as long. */
const patientBudgetMs = 500
/** Where none will come, and for production. */
const budgetMs = 100

interface Outage {
  readonly name: string
  readonly budgetMs: number
  readonly answersAfterMs: number
  /** Before anybody asks, or when the first contender holds the lock. */
  readonly begins: 'before' | 'while-held'
  readonly begin: (clients: readonly Redis[]) => unknown
  readonly end: () => unknown
  readonly counts: Readonly<Record<Counted, number>>
}

/** By the names of the metrics, and the leases by the histogram that observes each. */
const metricNames = {
  acquired: 'lock_acquire_seconds',
  contended: 'lock_contended_total',
  unavailable: 'lock_unavailable_total',
  lost: 'lock_lost_total',
  bypassed: 'lock_bypassed_total',
} as const
type Counted = keyof typeof metricNames

const healthy = { budgetMs: patientBudgetMs, answersAfterMs: 0, begin: () => {}, end: () => {} }
const nothing = { acquired: 0, contended: 0, unavailable: 0, lost: 0, bypassed: 0 }

const outages: readonly Outage[] = [
  {
    ...{ ...healthy, name: 'down', begins: 'before' },
    begin: () => redis.kill(),
    end: () => redis.restart(),
    counts: { ...nothing, unavailable: 2, bypassed: 2 },
  },
  {
    ...{ ...healthy, name: 'down from when the lock is held', begins: 'while-held' },
    begin: () => redis.kill(),
    end: () => redis.restart(),
    counts: { ...nothing, acquired: 1, unavailable: 1, bypassed: 1 },
  },
  {
    ...{ ...healthy, name: 'slow, within the budget', begins: 'before', answersAfterMs: 60 },
    counts: { ...nothing, acquired: 1, contended: 1 },
  },
  {
    ...{ ...healthy, name: 'hung', begins: 'before', budgetMs },
    begin: () => redis.pause(),
    end: () => redis.resume(),
    counts: { ...nothing, unavailable: 2, bypassed: 2 },
  },
  {
    ...{ ...healthy, name: 'hung from when the lock is held', begins: 'while-held' },
    begin: () => redis.pause(),
    end: () => redis.resume(),
    counts: { ...nothing, acquired: 1, unavailable: 1, bypassed: 1 },
  },
  {
    ...{ ...healthy, name: 'flushed while the lock is held', begins: 'while-held' },
    begin: ([any]) => any?.flushall(),
    counts: { ...nothing, acquired: 2, lost: 1 },
  },
  {
    ...{ ...healthy, name: 'failed over to an empty one while the lock is held', begins: 'while-held' },
    begin: async (clients) => {
      await redis.restart()
      for (const one of clients)
        await eventually('the new server answers', () =>
          one.ping().then(
            () => true,
            () => false,
          ),
        )
    },
    counts: { ...nothing, acquired: 2, lost: 1 },
  },
]

type Contend = (by: Replica, key: string) => Promise<Guarded<unknown>>

interface Contest {
  readonly contenders: readonly [Contend, Contend]
  /** Throws unless the winner's effect, and no other, is in the books and at the gateway. */
  readonly expectOnce: (winner: Contend) => Promise<void>
}

const operations: Readonly<Record<string, () => Promise<Contest>>> = {
  pay: async () => {
    const orderId = await client.createOrder()
    const pay: Contend = (by, key) => by.pay(orderId, key)
    return { contenders: [pay, pay], expectOnce: () => expectTaken(orderId, 1) }
  },
  capture: async () => {
    const orderId = await client.createOrder()
    const paymentId = paymentIdOf(await client.authorize(orderId))
    const capture: Contend = (by, key) => by.capture(paymentId, key)
    return { contenders: [capture, capture], expectOnce: () => expectTaken(orderId, 1) }
  },
  refund: async () => {
    const { orderId, paymentId } = await openPaid(client)
    const all: Contend = (by, key) => refund(by, paymentId, null, key)
    return {
      contenders: [all, all],
      expectOnce: async () => expect(await refundsAtGateway(shop, orderId)).toMatchObject([{ amountMinor: 4_200 }]),
    }
  },
  'cancel, against paying,': async () => {
    const orderId = await client.createOrder()
    const cancel: Contend = (by, key) => by.cancel(orderId, key)
    const pay: Contend = (by, key) => by.pay(orderId, key)
    return {
      contenders: [cancel, pay],
      expectOnce: async (winner) => {
        await expectTaken(orderId, winner === pay ? 1 : 0)
        const state = winner === pay ? 'paid' : 'cancelled'
        expect(await shop.sql('SELECT state FROM orders WHERE id = $1', [orderId])).toEqual([{ state }])
      },
    }
  },
}

async function expectTaken(orderId: string, times: number): Promise<void> {
  expect(await shop.charges(orderId)).toMatchObject(Array(times).fill({ amountMinor: 4_200 }))
}

describe.each(outages)('Redis $name', (outage) => {
  it.each(Object.entries(operations))(
    '%s takes effect once, the other is refused, and what went past the lock is counted',
    async (_, prepare) => {
      const { contenders, expectOnce } = await prepare()
      const metrics = watchLock()
      const first = await openContender(seats[0], outage, metrics)
      const second = await openContender(seats[1], outage, metrics)
      onTestFinished(async () => {
        await outage.end()
      })
      const keys = [randomUUID(), randomUUID()] as const
      const begin = () => outage.begin([first.redis, second.redis])

      if (outage.begins === 'before') await begin()
      const firstEnds = contenders[0](first.replica, keys[0])
      await first.isInside.wait()
      if (outage.begins === 'while-held') await begin()
      const secondEnds = contenders[1](second.replica, keys[1])
      await Promise.race([second.isInside.wait(), secondEnds])
      for (const { mayGoOn } of [first, second]) mayGoOn.open()
      const results = [await firstEnds, await secondEnds] as const

      const winner = results[0].kind === 'answered' ? 0 : 1
      expect(brief(results[winner])).toMatch(/^answered 20[01]$/)
      expect(brief(results[winner === 0 ? 1 : 0])).toMatch(/^refused /)
      await expectOnce(contenders[winner])

      // Layer 1 asks no Redis: the answer is there for the other replica, while the outage lasts.
      const other = winner === 0 ? second : first
      expect(await contenders[winner](other.replica, keys[winner])).toEqual({ ...results[winner], replayed: true })
      expect(await metrics.counts()).toEqual(outage.counts)
    },
  )
})

/** Counted in commands: none of them is waited for longer than its budget, which the tests of the lock itself hold. */
describe('what an outage adds to a request', () => {
  it('is one wait for asking, and none once five have failed; one in two seconds looks, and then the lock is used again', async () => {
    // The circuit reads this clock alone: it goes on when the test says so, however slow the machine is.
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const opened = Date.now()
    const asked = countCommands('SET')
    const metrics = watchLock()
    const api = await openContender(seats[0], { budgetMs, answersAfterMs: 0, throughProxy: true }, metrics)
    api.mayGoOn.open()
    const cancelOne = async () =>
      expect(brief(await api.replica.cancel(await client.createOrder()))).toBe('answered 200')

    proxy.hold('to-client')
    onTestFinished(() => proxy.flow('to-client'))
    for (let request = 1; request <= 5; request++) {
      await cancelOne()
      expect(asked()).toBe(request)
    }
    for (let request = 0; request < 10; request++) await cancelOne()
    vi.setSystemTime(opened + 1_999)
    await cancelOne()
    expect(asked()).toBe(5)
    expect(await metrics.counts()).toEqual({ ...nothing, unavailable: 5, bypassed: 16 })

    vi.setSystemTime(opened + 2_000)
    for (let request = 0; request < 3; request++) await cancelOne()
    expect(asked()).toBe(6)
    expect(await metrics.counts()).toEqual({ ...nothing, unavailable: 6, bypassed: 19 })

    proxy.flow('to-client')
    let looks = 1
    await eventually('the lock is used again', async () => {
      vi.setSystemTime(opened + 2_000 * ++looks)
      await cancelOne()
      return (await metrics.counts()).acquired > 0
    })
    expect((await metrics.counts()).bypassed).toBe(19 + looks - 2)
  })

  it('is one wait more for giving back, where Redis hangs after it gave the lock', async () => {
    const asked = countCommands('SET')
    // What is sent again later, in the background, is an EVAL.
    const givenBack = countCommands('EVALSHA', 'DELEX', 'DELIFEQ')
    const metrics = watchLock()
    const api = await openContender(
      seats[0],
      { budgetMs: patientBudgetMs, answersAfterMs: 0, throughProxy: true },
      metrics,
    )
    const orderId = await client.createOrder()
    const ends = api.replica.pay(orderId)
    await api.isInside.wait()

    proxy.hold('to-client')
    onTestFinished(() => proxy.flow('to-client'))
    api.mayGoOn.open()
    expect(brief(await ends)).toBe('answered 201')
    expect([asked(), givenBack()]).toEqual([1, 1])
    expect(await metrics.counts()).toEqual({ ...nothing, acquired: 1 })
    await expectTaken(orderId, 1)
  })
})

interface LockWatch {
  readonly registry: Registry
  counts(): Promise<Record<Counted, number>>
}

function watchLock(): LockWatch {
  const registry = new Registry()
  const count = async (name: string) => {
    const metric = await registry.getSingleMetric(name)?.get()
    const values: readonly { value: number; metricName?: string }[] = metric?.values ?? []
    const whole = values.filter(({ metricName }) => metricName === undefined || !/_(bucket|sum)$/.test(metricName))
    return whole.reduce((sum, { value }) => sum + value, 0)
  }
  return {
    registry,
    counts: async () => {
      const counted = Object.entries(metricNames).map(async ([what, name]) => [what, await count(name)] as const)
      return Object.fromEntries(await Promise.all(counted)) as Record<Counted, number>
    },
  }
}

/** A replica whose layer 2 each test brings along. */
interface Seat {
  readonly replica: Replica
  layer: RedisLockLayer
}

async function openSeat(by: string): Promise<Seat> {
  const held: { layer: RedisLockLayer } = { layer: (_, work) => work() }
  const replica = await shop.replica(by, {
    layers: () => ({ redisLock: (resource, work) => held.layer(resource, work) }),
  })
  return Object.assign(held, { replica })
}

/** Layer 2 as production has it; the work under the lock (or past it) waits until it may go on. */
async function openContender(
  seat: Seat,
  how: Pick<Outage, 'budgetMs' | 'answersAfterMs'> & { readonly throughProxy?: boolean },
  { registry }: LockWatch,
) {
  proxy.delay('to-client', how.answersAfterMs)
  const url = how.throughProxy || how.answersAfterMs > 0 ? proxy.through(redis.url) : redis.url
  // A connection that is replaced in the middle of a test would be another outage than the one that it means.
  const connection = new Redis(url, { ...redisLockClientOptions, socketTimeout: 60_000, lazyConnect: true })
  connection.on('error', () => undefined)
  await connection.connect()

  onTestFinished(() => connection.disconnect())

  const isInside = createLatch('the contender is inside layer 2')
  const mayGoOn = createLatch('the contender may go on')
  const metrics = createLockMetrics(registry)
  const lock = measureLock(createRedisLock({ client: connection, commandBudgetMs: how.budgetMs }), metrics)
  const layer = createRedisLockLayer({ lock, ttlMs: 30_000, metrics })
  seat.layer = (resource, work) =>
    layer(resource, async () => {
      isInside.open()
      await mayGoOn.wait()
      return work()
    })
  return { replica: seat.replica, redis: connection, isInside, mayGoOn }
}

/** How many of these commands have come to the proxy since. */
function countCommands(...kinds: readonly string[]): () => number {
  let seen = 0
  proxy.intercept({
    matches: ({ kind }) => {
      if (kinds.includes(kind)) seen++
      return false
    },
    at: 'request',
  })
  return () => seen
}
