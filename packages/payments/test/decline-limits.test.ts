import { randomUUID } from 'node:crypto'
import { type DeclineLimits, noDeclineLimits } from '@seatbelt/domain'
import { createLatch, eventually, startTcpProxy } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPaymentOperations } from '../src/index.ts'
import { hookedTransaction, isOrderRead } from './hooked-transaction.ts'
import { bodyOf, brief, call, newOrder, openShop, type Replica, type ReplicaParts, type Shop } from './shop.ts'

const declined = 'pm_card_visa_chargeDeclined'
const windowSeconds = 3_600

let shop: Shop
let customerId: string
beforeAll(async () => {
  shop = await openShop()
})
beforeEach(async () => {
  customerId = randomUUID()
  await shop.faults()
  // An account's limit counts what the tests before have left.
  await letWindowPass()
})
afterAll(() => shop?.close())

function open(limits: Partial<DeclineLimits>, parts: ReplicaParts = {}): Promise<Replica> {
  return shop.replica(randomUUID(), { ...parts, declineLimits: { ...noDeclineLimits, windowSeconds, ...limits } })
}

async function orderOf({ deps }: Replica, customer: string = customerId): Promise<string> {
  const order = newOrder({ customerId: customer })
  return bodyOf<{ id: string }>(await createPaymentOperations(deps).createOrder(call(randomUUID(), order), order)).id
}

/** As if the time of the window had passed since everything was settled. A settled payment never changes otherwise. */
async function letWindowPass(seconds = windowSeconds): Promise<void> {
  await shop.sql('ALTER TABLE payments DISABLE TRIGGER payments_final_stays_final')
  await shop.sql('UPDATE payments SET settled_at = settled_at - make_interval(secs => $1)', [seconds])
  await shop.sql('ALTER TABLE payments ENABLE TRIGGER payments_final_stays_final')
}

describe('declines of one order', () => {
  it('are limited: no further card is tried until the window of the oldest is over', async () => {
    const api = await open({ perOrder: 2 })
    const orderId = await orderOf(api)
    expect(brief(await api.pay(orderId, randomUUID(), declined))).toBe('answered 402')
    await letWindowPass(600)
    expect(brief(await api.pay(orderId, randomUUID(), declined))).toBe('answered 402')
    const key = randomUUID()
    const refused = await api.pay(orderId, key)
    expect(refused).toMatchObject({ kind: 'refused', refusal: { code: 'too-many-declines', scope: 'order' } })
    const { retryAfterSeconds } = (refused as { refusal: { retryAfterSeconds: number } }).refusal
    // The oldest one was declined ten minutes ago, and a busy machine needs some seconds.
    expect(retryAfterSeconds).toBeGreaterThan(windowSeconds - 600 - 60)
    expect(retryAfterSeconds).toBeLessThanOrEqual(windowSeconds - 600)
    expect(await shop.sql('SELECT FROM payments WHERE order_id = $1', [orderId])).toHaveLength(2)
    await letWindowPass(retryAfterSeconds)
    expect(brief(await api.pay(orderId, key))).toBe('answered 201')
  })

  it('leave other orders alone', async () => {
    const api = await open({ perOrder: 1 })
    await api.pay(await orderOf(api), randomUUID(), declined)
    expect(brief(await api.pay(await orderOf(api)))).toBe('answered 201')
  })

  it('count only where a bank has declined: neither a method that does not exist, nor a fault of ours', async () => {
    const api = await open({ perOrder: 1, perCustomer: 1 })
    const orderId = await orderOf(api)
    expect(brief(await api.pay(orderId, randomUUID(), 'pm_nobody'))).toBe('answered 402')
    await shop.faults({ on: 'confirm', kind: 'refuse', rate: 1, metadata: { orderId } })
    expect(brief(await api.pay(orderId))).toBe('answered 402')
    await shop.faults()
    const ends = await shop.sql('SELECT declined_by AS by FROM payments WHERE order_id = $1 ORDER BY id', [orderId])
    expect(ends).toEqual([{ by: 'payment-method' }, { by: 'gateway' }])
    expect(brief(await api.pay(orderId))).toBe('answered 201')
  })

  it('are not limited where the limit is 0', async () => {
    const api = await open({})
    const orderId = await orderOf(api)
    for (let tries = 0; tries < 12; tries += 1) await api.pay(orderId, randomUUID(), declined)
    expect(brief(await api.pay(orderId))).toBe('answered 201')
  })
})

const isLock = (text: string) => text.includes("hashtextextended('declines:'")

/**
 * Two servers pay two orders with bad cards. The first has counted and not committed when the statements of the second
 * are sent; it goes on when the second has counted as well, or waits for a lock. `change`: of the statements of both.
 */
async function raceOf(
  limits: Partial<DeclineLimits>,
  orders: readonly [string, string],
  change: (text: string) => string,
) {
  const [hasCounted, goOn] = [createLatch('the first has counted'), createLatch('the first commits')]
  const stop = (afterRead: () => Promise<void>): ReplicaParts => ({
    layers: ({ transaction }) => ({
      transaction: hookedTransaction(transaction, {
        change,
        afterRead: async (text) => {
          if (isOrderRead(text)) await afterRead()
        },
      }),
    }),
  })
  const first = await open(
    limits,
    stop(() => {
      hasCounted.open()
      return goOn.wait()
    }),
  )
  const second = await open(
    limits,
    stop(async () => goOn.open()),
  )
  const answers = [first.pay(orders[0], randomUUID(), declined)]
  await hasCounted.wait()
  answers.push(second.pay(orders[1], randomUUID(), declined))
  await Promise.race([goOn.wait(), waitsForLock(second.deps.by).then(() => goOn.open())])
  return Promise.all(answers)
}

async function waitsForLock(by: string): Promise<void> {
  await eventually(`${by} waits for a lock`, async () => {
    const text = `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`
    return (await shop.sql(text, [by])).length > 0
  })
}

describe.each([
  ['customer', { perCustomer: 2 }, 'answered 201'],
  ['account', { perAccount: 2 }, 'refused too-many-declines'],
] as const)('declines of one %s', (scope, limits, ofAnother) => {
  it('are limited over all orders', async () => {
    const api = await open(limits)
    for (const _ of [1, 2]) await api.pay(await orderOf(api), randomUUID(), declined)
    expect(await api.pay(await orderOf(api))).toMatchObject({ refusal: { code: 'too-many-declines', scope } })
    expect(brief(await api.pay(await orderOf(api, randomUUID())))).toBe(ofAnother)
    await letWindowPass()
    expect(brief(await api.pay(await orderOf(api)))).toBe('answered 201')
  })

  it('include payments under way, which may become one; their outcome is known soon', async () => {
    const [confirmed, goOn] = [createLatch('the gateway has confirmed'), createLatch('its answer arrives')]
    const held = await open(limits, {
      gateway: (real) => ({
        ...real,
        confirmIntent: async (...args) => {
          const answer = await real.confirmIntent(...args)
          confirmed.open()
          await goOn.wait()
          return answer
        },
      }),
    })
    const api = await open(limits)
    await api.pay(await orderOf(api), randomUUID(), declined)
    const first = held.pay(await orderOf(api))
    await confirmed.wait()
    const waiting = await orderOf(api)
    expect(await api.pay(waiting)).toEqual({
      kind: 'refused',
      refusal: { code: 'too-many-declines', scope, retryAfterSeconds: 1 },
    })
    // A payment that the gateway does not answer for minutes waits for recovery, and other customers not with it.
    await shop.sql("UPDATE payments SET created_at = now() - interval '2 minutes' WHERE state = 'processing'")
    expect(brief(await api.pay(waiting))).toBe('answered 201')
    goOn.open()
    expect(brief(await first)).toBe('answered 201')
  })

  it('cannot be passed by two servers at once', async () => {
    const api = await open(limits)
    await api.pay(await orderOf(api), randomUUID(), declined)
    const [firstOrder, secondOrder] = [await orderOf(api), await orderOf(api)]
    const results = await raceOf(limits, [firstOrder, secondOrder], (text) => text)
    expect(results.map(brief).sort()).toEqual(['answered 402', 'refused too-many-declines'])
  })

  it('are passed by two servers at once without their lock: so the race above was real', async () => {
    const api = await open(limits)
    await api.pay(await orderOf(api), randomUUID(), declined)
    const [firstOrder, secondOrder] = [await orderOf(api), await orderOf(api)]
    const unlocked = (text: string) => (isLock(text) ? text.replaceAll('pg_advisory_xact_lock(', 'abs(') : text)
    const results = await raceOf(limits, [firstOrder, secondOrder], unlocked)
    expect(results.map(brief)).toEqual(['answered 402', 'answered 402'])
  })
})

it('no limit costs a payment another round trip to PostgreSQL', async () => {
  const { hostname: host, port } = new URL(shop.databaseUrl)
  const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
  const roundTrips: number[] = []
  for (const limits of [{}, { perOrder: 5, perCustomer: 5, perAccount: 5 }]) {
    const api = await open(limits, { databaseUrl: proxy.through(shop.databaseUrl) })
    // The first payment opens its connection.
    expect(brief(await api.pay(await orderOf(api)))).toBe('answered 201')
    const orderId = await orderOf(api)
    const before = proxy.roundTrips
    expect(brief(await api.pay(orderId))).toBe('answered 201')
    roundTrips.push(proxy.roundTrips - before)
    await shop.closeReplicas(api.deps.by)
  }
  await proxy.close()
  expect(roundTrips[1]).toBe(roundTrips[0])
  expect(roundTrips[0]).toBeGreaterThan(0)
})
