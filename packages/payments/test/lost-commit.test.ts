import { randomUUID } from 'node:crypto'
import { eventually, startTcpProxy, type TcpProxy, type WireMessage } from '@seatbelt/testing'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createOrder } from '../src/order/create-order.ts'
import { brief, call, letLeasesRunOut, newOrder, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let proxy: TcpProxy
/** Reaches PostgreSQL through the proxy. */
let api: Replica
/** Reaches it directly: the replica that the client's retry comes to. */
let other: Replica

beforeEach(async () => {
  shop = await openShop()
  const { hostname, port } = new URL(shop.databaseUrl)
  proxy = await startTcpProxy({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' })
  api = await shop.replica('api-1', { databaseUrl: proxy.through(shop.databaseUrl) })
  other = await shop.replica('api-2')
})
afterEach(async () => {
  await shop.close()
  await proxy.close()
})

const isCommit = ({ kind, text }: WireMessage) => (kind === 'query' || kind === 'execute') && text === 'COMMIT'

/** Cuts the connection while the `nth` COMMIT's answer, or the COMMIT itself, stands in the proxy. */
async function cutAtCommit(nth: number, at: 'request' | 'answer', work: () => Promise<unknown>) {
  const commit = proxy.intercept({ matches: isCommit, nth, at })
  const working = work().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  await commit.reached()
  commit.cut()
  return working
}

describe("the claim's COMMIT", () => {
  it('is lost as answer: the claim is read by its row, and the payment goes on', async () => {
    const orderId = await other.createOrder()
    const key = randomUUID()
    const outcome = await cutAtCommit(1, 'answer', () => api.pay(orderId, key))
    expect(outcome).toMatchObject({ value: { kind: 'answered', answer: { status: 201 }, replayed: false } })
    expect(api.faults).toMatchObject([{ code: 'commit-unknown' }])
    expect(await shop.charges(orderId)).toHaveLength(1)
    expect(await other.pay(orderId, key)).toMatchObject({ kind: 'answered', replayed: true })
  })

  it('is lost as request: the claim is not there, the caller may try again, and the retry pays once', async () => {
    const orderId = await other.createOrder()
    const key = randomUUID()
    const outcome = await cutAtCommit(1, 'request', () => api.pay(orderId, key))
    expect(outcome).toMatchObject({ value: { kind: 'refused', refusal: { code: 'temporarily-unavailable' } } })
    expect(await shop.sql('SELECT 1 FROM payments WHERE order_id = $1', [orderId])).toHaveLength(0)
    expect(brief(await api.pay(orderId, key))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it.each(['answer', 'request'] as const)(
    'is lost as %s, and the database stays away: the caller receives that it is unknown, and the retry pays once',
    async (at) => {
      const orderId = await other.createOrder()
      const key = randomUUID()
      const commit = proxy.intercept({ matches: isCommit, nth: 1, at })
      const paying = api.pay(orderId, key).catch((error: unknown) => error)
      await commit.reached()
      proxy.refuse()
      commit.cut()
      expect(await paying).toMatchObject({ code: 'commit-unknown' })
      expect(await shop.charges(orderId)).toHaveLength(0)

      await letLeasesRunOut(shop)
      expect(brief(await other.pay(orderId, key))).toBe('answered 201')
      expect(await shop.charges(orderId)).toHaveLength(1)
    },
  )

  it('is lost as answer, and another owner takes the claim over: the caller receives its answer', async () => {
    const orderId = await other.createOrder()
    const key = randomUUID()
    const commit = proxy.intercept({ matches: isCommit, nth: 1, at: 'answer' })
    const paying = api.pay(orderId, key)
    await commit.reached()
    proxy.refuse()
    commit.cut()
    await letLeasesRunOut(shop)
    expect(brief(await other.pay(orderId, key))).toBe('answered 201')
    proxy.accept()
    expect(brief(await paying)).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

describe('the COMMIT of an operation without a lock', () => {
  it('is lost while its backend still commits: the caller waits for it, and receives its answer', async () => {
    const order = newOrder()
    const { accountId, key, fingerprint } = call(randomUUID(), order)
    const commit = proxy.intercept({ matches: isCommit, nth: 1, at: 'request' })
    const creating = createOrder(api.deps, { accountId, key, fingerprint }, order)
    await commit.reached()
    proxy.refuse()
    commit.cut()
    // Stands for the backend: the same key, written and not committed yet.
    const backend = new Client({ connectionString: shop.databaseUrl })
    await backend.connect()
    try {
      await backend.query('BEGIN')
      await backend.query(
        `INSERT INTO idempotency_keys (account_id, key, fingerprint, answer_status, answer_body)
         VALUES ($1, $2, $3, 201, 'by the backend')`,
        [accountId, key, Buffer.from(fingerprint)],
      )
      proxy.accept()
      await eventually('the key is asked for', async () => {
        const waiting = await shop.sql(
          "SELECT FROM pg_stat_activity WHERE wait_event = 'transactionid' AND datname = current_database()",
        )
        return waiting.length > 0
      })
      await backend.query('COMMIT')
    } finally {
      await backend.end()
    }
    expect(await creating).toMatchObject({ kind: 'answered', answer: { body: 'by the backend' } })
  })
})

describe("the settle's COMMIT", () => {
  it.each(['answer', 'request'] as const)(
    'is lost as %s: it is settled again or found settled, once, and the caller hears the one true answer',
    async (at) => {
      const orderId = await other.createOrder()
      const key = randomUUID()
      const outcome = await cutAtCommit(2, at, () => api.pay(orderId, key))
      expect(outcome).toMatchObject({ value: { kind: 'answered', answer: { status: 201 }, replayed: false } })
      expect(api.faults).toMatchObject([{ code: 'commit-unknown' }])
      expect(await historyOf(orderId)).toEqual(['claimed', 'intent-created', 'confirm', 'settled'])
      expect(await other.pay(orderId, key)).toMatchObject({ kind: 'answered', replayed: true })
      expect(await shop.charges(orderId)).toHaveLength(1)
    },
  )

  it('cannot be sent for longer than the settle is tried: the caller is told to look again, and recovery finishes it', async () => {
    const orderId = await other.createOrder()
    const key = randomUUID()
    const commit = proxy.intercept({ matches: isCommit, nth: 2, at: 'request' })
    const paying = api.pay(orderId, key)
    await commit.reached()
    proxy.refuse()
    expect(brief(await paying)).toBe('unsettled')
    expect(brief(await other.pay(orderId, key))).toBe('refused request-in-progress')

    await letLeasesRunOut(shop)
    expect(brief(await other.pay(orderId, key))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

async function historyOf(orderId: string): Promise<string[]> {
  const rows = await shop.sql<{ event: string }>(
    'SELECT event FROM payment_events e JOIN payments p ON p.id = e.payment_id WHERE p.order_id = $1 ORDER BY e.id',
    [orderId],
  )
  return rows.map(({ event }) => event)
}

describe('a database that is gone', () => {
  it('before the claim: a fault that says so, and nothing happened', async () => {
    const orderId = await other.createOrder()
    proxy.refuse()
    await expect(api.pay(orderId)).rejects.toMatchObject({ code: 'database-unavailable' })
    proxy.accept()
    expect(brief(await api.pay(orderId))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('after the key was seen to have started a payment: a fault, but never one that says that nothing happened', async () => {
    const orderId = await other.createOrder()
    const key = randomUUID()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1, metadata: { orderId } })
    expect(brief(await other.pay(orderId, key))).toBe('unsettled')

    const owner = proxy.intercept({ matches: ({ text }) => text.includes('AS ownership'), at: 'request' })
    const retry = expect(api.pay(orderId, key)).rejects.toSatisfy((fault) => !('code' in fault))
    await owner.reached()
    owner.cut()
    await retry
  })
})
