import { randomUUID } from 'node:crypto'
import { createLatch, freePort, raceCopies, startRedisServer, valuesOf } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PaymentLayers } from '../src/index.ts'
import { hookedTransaction, isOrderRead, type StatementHooks, withoutVersion } from './hooked-transaction.ts'
import { brief, openShop, type Replica, type Shop } from './shop.ts'

/**
 * Each layer is taken away in turn, from the outside in, and the next one is seen to hold alone. At the end none is left,
 * and the same race charges twice: so the races above were real.
 */
const contenders = 4

let shop: Shop
beforeEach(async () => {
  shop = await openShop()
})
afterEach(() => shop.close())

const withoutRedisLock: Partial<PaymentLayers> = { redisLock: (_, work) => work() }
const withoutAdvisoryLock: Partial<PaymentLayers> = { advisoryLock: (_, __, work) => work() }

/** All contenders have read the order before the first of them writes it. */
function meetAfterReading(): NonNullable<StatementHooks['afterRead']> {
  const allHaveRead = createLatch('all contenders have read the order')
  let arrived = 0
  return async (text) => {
    if (!isOrderRead(text)) return
    if (++arrived === contenders) allHaveRead.open()
    await allHaveRead.wait()
  }
}

const withoutLocks = (hooks: StatementHooks) => (real: PaymentLayers) => ({
  ...withoutRedisLock,
  ...withoutAdvisoryLock,
  transaction: hookedTransaction(real.transaction, hooks),
})

async function raceFor(orderId: string, replica: Replica): Promise<string[]> {
  return valuesOf(await raceCopies(contenders, () => replica.pay(orderId)))
    .map(brief)
    .sort()
}

/** Who had to wait for the lock hears what is true by then: that somebody is paying, or that somebody has paid. */
function expectOnePaid([winner, ...others]: readonly string[]): void {
  expect(winner).toBe('answered 201')
  expect(others).toHaveLength(contenders - 1)
  for (const other of others) expect(['refused payment-in-progress', 'refused order-already-paid']).toContain(other)
}

describe('layer 3, the advisory lock', () => {
  it('holds when Redis is not there at all', async () => {
    const replica = await shop.replica('api-1', { redisUrl: `redis://127.0.0.1:${await freePort()}` })
    const orderId = await replica.createOrder()
    expectOnePaid(await raceFor(orderId, replica))
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('holds when Redis hangs, and then costs a bounded time', async () => {
    const redis = await startRedisServer()
    try {
      const replica = await shop.replica('api-1', { redisUrl: redis.url })
      const orderId = await replica.createOrder()
      redis.pause()
      expectOnePaid(await raceFor(orderId, replica))
      expect(await shop.charges(orderId)).toHaveLength(1)
    } finally {
      await redis.close()
    }
  })
})

describe('layer 4, compare-and-set', () => {
  it('holds without any lock: of all who read the same version, one writes', async () => {
    const replica = await shop.replica('api-1', {
      layers: withoutLocks({ afterRead: meetAfterReading() }),
    })
    const orderId = await replica.createOrder()
    expectOnePaid(await raceFor(orderId, replica))
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

describe('layer 5, the unique index', () => {
  it('holds without any lock and without versions: an order has one live payment', async () => {
    const replica = await shop.replica('api-1', {
      layers: withoutLocks({ afterRead: meetAfterReading(), change: withoutVersion }),
    })
    const orderId = await replica.createOrder()
    expectOnePaid(await raceFor(orderId, replica))
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

describe('without any of these layers', () => {
  it('the same race charges the same order several times', async () => {
    await shop.sql('DROP INDEX payments_one_live_per_order')
    const layers = withoutLocks({ afterRead: meetAfterReading(), change: withoutVersion })
    // With the gateway reference, all of them would meet the first one's intent.
    const withoutReference = { gatewayReference: () => randomUUID() }
    const replica = await shop.replica('api-1', { layers: (real) => ({ ...layers(real), ...withoutReference }) })
    const orderId = await replica.createOrder()
    await raceFor(orderId, replica)
    expect((await shop.charges(orderId)).length).toBe(contenders)
  })
})
