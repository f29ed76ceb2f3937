import { randomUUID } from 'node:crypto'
import { startTcpProxy, type TcpProxy, type WireMessage } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { brief, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

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
  it.each([
    { at: 'answer', committed: 1 },
    { at: 'request', committed: 0 },
  ] as const)(
    'is lost as $at: the caller hears that nobody knows, nothing is asked of the gateway, and the retry pays once',
    async ({ at, committed }) => {
      const orderId = await other.createOrder()
      const key = randomUUID()
      const outcome = await cutAtCommit(1, at, () => api.pay(orderId, key))
      expect(outcome).toMatchObject({ error: { code: 'commit-unknown' } })
      expect(await shop.charges(orderId)).toHaveLength(0)
      expect(await shop.sql('SELECT 1 FROM payments WHERE order_id = $1', [orderId])).toHaveLength(committed)

      await letLeasesRunOut(shop)
      expect(brief(await other.pay(orderId, key))).toBe('answered 201')
      expect(await shop.charges(orderId)).toHaveLength(1)
    },
  )
})

describe("the settle's COMMIT", () => {
  it.each([
    { at: 'answer', retry: 'answered 201' },
    { at: 'request', retry: 'refused request-in-progress' },
  ] as const)(
    'is lost as $at: the caller is told to look again, and the retry hears the one true answer',
    async ({ at, retry }) => {
      const orderId = await other.createOrder()
      const key = randomUUID()
      const outcome = await cutAtCommit(2, at, () => api.pay(orderId, key))
      expect(outcome).toMatchObject({ value: { kind: 'unsettled' } })
      expect(api.faults).toMatchObject([{ code: 'commit-unknown' }])
      expect(brief(await other.pay(orderId, key))).toBe(retry)

      await letLeasesRunOut(shop)
      expect(brief(await other.pay(orderId, key))).toBe('answered 201')
      expect(await shop.charges(orderId)).toHaveLength(1)
    },
  )
})

describe('a database that is gone', () => {
  it('before the claim: a fault that says so, and nothing happened', async () => {
    const orderId = await other.createOrder()
    proxy.refuse()
    await expect(api.pay(orderId)).rejects.toMatchObject({ code: 'database-unavailable' })
    proxy.accept()
    expect(brief(await api.pay(orderId))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})
