import { randomUUID } from 'node:crypto'
import { createDatabase } from '@seatbelt/database'
import { createSessionLock, type Lock, withLock } from '@seatbelt/locks'
import type { Gateway, RefundGateway } from '@seatbelt/safety'
import { createLatch, eventually, type Latch } from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { orderLockName } from '../src/index.ts'
import { openPaid, type Paid, refund, refundsAtGateway } from './refund-support.ts'
import { accountId, brief, openShop, type ReplicaParts, type Shop } from './shop.ts'

/**
 * The pattern that people ask for: take a session-level advisory lock, ask the gateway, write down what came of it, give the
 * lock back. It works, and this shows what it costs: a connection of the database for each refund, as long as the gateway
 * takes. `refundPayment` holds none in that time.
 */
const connections = 3
/** Longer than anything here takes: what is gone within a test was given back. */
const ttlMs = 60_000
/** Nobody means to run into it: machines are busy. */
const patience = { boundMs: 20_000 }

let shop: Shop
let witness: pg.Client

beforeAll(async () => {
  shop = await openShop()
  witness = new pg.Client({ connectionString: shop.databaseUrl, application_name: 'witness' })
  await witness.connect()
})
afterAll(async () => {
  await witness?.end()
  await shop?.close()
})

/** Connections that cannot do anything for anybody else: they hold an advisory lock, or are inside a transaction. */
async function pinnedConnections(): Promise<number> {
  const { rows } = await witness.query<{ pinned: number }>(`
    SELECT count(*)::int AS pinned FROM pg_stat_activity AS activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND (state <> 'idle' OR EXISTS (
         SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pg_locks.pid = activity.pid))`)
  return rows[0]?.pinned ?? -1
}

/** A replica whose refunds arrive at the gateway and stay there until the test lets them go on. */
async function slowReplica(by: string, refunds: number, parts: ReplicaParts = {}) {
  const allAreThere = createLatch(`${refunds} refunds are at the gateway`, patience)
  const goOn = createLatch('the gateway answers', patience)
  let arrived = 0
  let port: RefundGateway | undefined
  const slow = (real: Gateway): Gateway => ({
    ...real,
    createRefund: async (...refunding) => {
      if (++arrived === refunds) allAreThere.open()
      await goOn.wait()
      return real.createRefund(...refunding)
    },
  })
  const replica = await shop.replica(by, {
    gateway: (real) => {
      port = slow(real)
      return slow(real)
    },
    ...parts,
  })
  if (!port) throw new Error('the replica was made without a gateway')
  return { replica, port, allAreThere, goOn, arrived: () => arrived }
}

type SlowReplica = Awaited<ReturnType<typeof slowReplica>>

/** As it is written everywhere: nothing but the lock keeps two of them apart. */
function createSimpleRefunds({ replica, port }: SlowReplica, lock: Lock) {
  const { database } = replica.deps

  /** Gives back the whole payment, unless that was done before. */
  async function refundOnce({ paymentId }: Paid): Promise<'refunded' | 'refunded before'> {
    const payment = await database.statement((client) => client.payment.findUniqueOrThrow({ where: { id: paymentId } }))
    const { gatewayIntentId: intentId, amountMinor, orderId, refundedMinor } = payment
    if (refundedMinor > 0 || intentId === null) return 'refunded before'
    const metadata = { refundId: randomUUID(), orderId, accountId }
    await port.createRefund({ intentId, amountMinor, metadata }, metadata.refundId)
    await database.statement(
      (client) => client.$executeRaw`UPDATE payments SET refunded_minor = amount_minor WHERE id = ${paymentId}::uuid`,
    )
    return 'refunded'
  }

  return {
    /** Waits for the lock at most so long. */
    refund: async (paid: Paid, waitMs: number) => {
      const resource = orderLockName({ accountId, orderId: paid.orderId })
      const held = await withLock(lock, { resource, ttlMs, waitMs }, () => refundOnce(paid))
      return held.acquired ? held.value : held.reason
    },
    refundWithoutLock: refundOnce,
  }
}

describe('a session-level advisory lock around a refund', () => {
  let pool: pg.Pool
  let lock: Lock
  beforeEach(() => {
    pool = new pg.Pool({ connectionString: shop.databaseUrl, max: connections, application_name: 'session-locks' })
    lock = createSessionLock({ connect: () => pool.connect(), commandBudgetMs: 10_000 })
  })
  afterEach(() => pool.end())

  it('works: the second one waits for the first, and finds that it is done', async () => {
    const slow = await slowReplica('simple-1', 1)
    const { replica, allAreThere, goOn, arrived } = slow
    const simple = createSimpleRefunds(slow, lock)
    const paid = await openPaid(replica)
    const first = simple.refund(paid, 20_000)
    await allAreThere.wait()
    const second = simple.refund(paid, 20_000)
    await eventually('the second one stands in the queue', async () => (await waiting()) === 1)
    expect(arrived()).toBe(1)
    goOn.open()
    expect(await Promise.all([first, second])).toEqual(['refunded', 'refunded before'])
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('is what keeps them apart: without it both of them ask the gateway', async () => {
    const slow = await slowReplica('simple-2', 2)
    const { replica, allAreThere, goOn } = slow
    const simple = createSimpleRefunds(slow, lock)
    const paid = await openPaid(replica)
    const both = [simple.refundWithoutLock(paid), simple.refundWithoutLock(paid)]
    await allAreThere.wait()
    goOn.open()
    expect(await Promise.all(both)).toEqual(['refunded', 'refunded'])
  })

  it('costs a connection for each refund, as long as the gateway takes; refundPayment holds none', async () => {
    const cost = async (by: string, start: (slow: SlowReplica, paid: Paid) => Promise<unknown>) => {
      const slow = await slowReplica(by, connections)
      const { replica, allAreThere, goOn } = slow
      const paid = await Promise.all(Array.from({ length: connections }, () => openPaid(replica)))
      const refunds = paid.map((one) => start(slow, one))
      await allAreThere.wait()
      const pinned = await eventualCount()
      await finish(goOn, refunds)
      return pinned
    }
    expect(await cost('simple-3', (slow, paid) => createSimpleRefunds(slow, lock).refund(paid, 0))).toBe(connections)
    expect(await cost('ours', ({ replica }, { paymentId }) => refund(replica, paymentId))).toBe(0)
  })

  it('makes refunds wait that have nothing to do with each other, once the connections are used up', async () => {
    const slow = await slowReplica('simple-4', connections)
    const { replica, allAreThere, goOn, arrived } = slow
    const simple = createSimpleRefunds(slow, lock)
    const paid = await Promise.all(Array.from({ length: connections + 1 }, () => openPaid(replica)))
    const holders = paid.slice(0, connections).map((one) => simple.refund(one, 0))
    await allAreThere.wait()
    const hurried = createSimpleRefunds(
      slow,
      createSessionLock({ connect: () => pool.connect(), commandBudgetMs: 100 }),
    )
    const last = paid.at(-1) as Paid
    // Nobody holds its lock. There is no connection left on which it could be asked for.
    expect(await hurried.refund(last, 0)).toBe('unavailable')
    const patient = simple.refund(last, 0)
    await eventually('it waits for a connection', () => pool.waitingCount > 0)
    expect(arrived()).toBe(connections)
    await finish(goOn, holders)
    expect(await patient).toBe('refunded')
  })

  it('ours has as many refunds at the gateway as there are, on a pool that is smaller', async () => {
    const many = 3 * connections
    const few = createDatabase({ url: shop.databaseUrl, poolSize: connections, applicationName: 'few' })
    const { replica, allAreThere, goOn } = await slowReplica('ours-many', many, { database: () => few })
    const paid = await Promise.all(Array.from({ length: many }, () => openPaid(replica)))
    const refunds = paid.map(({ paymentId }) => refund(replica, paymentId))
    await allAreThere.wait()
    expect(await eventualCount()).toBe(0)
    await finish(goOn, refunds)
    expect((await Promise.all(refunds)).map(brief)).toEqual(paid.map(() => 'answered 201'))
    await few.close()
  })
})

async function waiting(): Promise<number> {
  const { rows } = await witness.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  )
  return rows[0]?.waiting ?? -1
}

/** A connection that has just committed is busy for a moment more: the least of what is seen is what is held. */
async function eventualCount(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 5; look++) least = Math.min(least, await pinnedConnections())
  return least
}

async function finish(goOn: Latch, refunds: readonly Promise<unknown>[]): Promise<void> {
  goOn.open()
  await Promise.all(refunds)
}
