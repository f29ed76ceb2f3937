import { noDeclineLimits } from '@seatbelt/domain'
import { eventually, freshDatabase, type RedisServer, startRedisServer } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ConnectionOptions, composePayments, openConnections, quorumProblem } from '../src/index.ts'
import { noCheckouts, renderings } from './shop.ts'

let fresh: Awaited<ReturnType<typeof freshDatabase>>
let nodes: RedisServer[]
beforeEach(async () => {
  fresh = await freshDatabase()
  nodes = await Promise.all([1, 2, 3].map(() => startRedisServer()))
})
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  await fresh.close()
})

async function open(redisLock: ConnectionOptions['redisLock']) {
  const policy = { gatewayDeadlineMs: 1_000, leaseMs: 60_000, declineLimits: noDeclineLimits }
  const connections = openConnections({
    ...policy,
    databaseUrl: fresh.url,
    databasePoolSize: 2,
    databasePrepared: true,
    redisLock,
    redisUrls: nodes.map(({ url }) => url) as [string, ...string[]],
    gatewayUrl: 'http://127.0.0.1:1',
    gatewayApiKey: 'sk_test_none',
    installation: 'test',
    by: 'test',
    registry: new Registry(),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  })
  const reportFault = () => undefined
  const deps = composePayments(connections, {
    ...policy,
    by: 'test',
    renderings,
    checkoutPurpose: noCheckouts,
    reportFault,
  })
  return { deps, [Symbol.asyncDispose]: connections.close }
}

/** On how many servers there is any lock at all. */
async function lockedNodes(): Promise<number> {
  const sizes = await Promise.all(
    nodes.map(async ({ url }) => {
      const client = new Redis(url)
      const size = await client.dbsize()
      client.disconnect()
      return size
    }),
  )
  return sizes.filter((size) => size > 0).length
}

describe('the Redis form of layer 2, by configuration', () => {
  it('single: the lock is on the first server alone', async () => {
    await using payments = await open('single')
    const locked = () => payments.deps.layers.redisLock('order:1', lockedNodes)
    expect(await eventually('a lock is held', async () => (await locked()) || null)).toBe(1)
  })

  it('quorum: it is on a majority, once the new servers may vote', { timeout: 40_000 }, async () => {
    await using payments = await open('quorum')
    // Servers that have just come up could have forgotten locks: for one TTL they give none, and the work goes on without.
    const locked = () => payments.deps.layers.redisLock('order:1', lockedNodes)
    const held = await eventually('a lock is held', async () => (await locked()) || null, { boundMs: 30_000 })
    expect(held).toBeGreaterThanOrEqual(2)
  })

  it('a quorum of an even number, or of one, is refused', () => {
    expect([1, 2, 3, 4, 5].map((count) => quorumProblem(count) === null)).toEqual([false, false, true, false, true])
  })
})
