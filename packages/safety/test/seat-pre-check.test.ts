import { randomUUID } from 'node:crypto'
import type { Call } from '@seatbelt/domain'
import { type RedisClient, redisLockClientOptions } from '@seatbelt/locks'
import { createLatch, freePort, startRedisServer } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSeatPreCheckLayer, type Guarded, type SeatPreCheckLayer } from '../src/index.ts'

let redis: Redis
beforeAll(() => {
  redis = new Redis(process.env.TEST_REDIS_URL ?? '', { ...redisLockClientOptions, enableOfflineQueue: true })
})
afterAll(() => redis.quit())

let keyPrefix: string
let counted: { refused: number; bypassed: number }
let layer: SeatPreCheckLayer
beforeEach(() => {
  keyPrefix = `test:${randomUUID()}:`
  ;({ layer, counted } = layerOver(redis))
})

function layerOver(client: RedisClient, commandBudgetMs = 500) {
  const counted = { refused: 0, bypassed: 0 }
  const metrics = { refused: () => void counted.refused++, bypassed: () => void counted.bypassed++ }
  return { counted, layer: createSeatPreCheckLayer({ client, commandBudgetMs, metrics, keyPrefix }) }
}

const call = (key: string, accountId = 'account-1'): Call => ({ accountId, key, fingerprint: new Uint8Array(32) })
const held: Guarded<never> = {
  kind: 'answered',
  answer: { status: 201, body: '{}', location: null },
  replayed: false,
}
const refusedFor = (seatIds: readonly string[]): Guarded<never> => ({
  kind: 'refused',
  refusal: { code: 'seats-taken', seatIds },
})

/** Runs the pre-check, and returns whether the request passed. */
async function ask(seatIds: readonly string[], key: string, result: Guarded<never> = held, at = layer) {
  let hasPassed = false
  const work = async () => {
    hasPassed = true
    return result
  }
  const outcome = await at.preCheck(seatIds)(call(key), work)
  return { hasPassed, outcome }
}

/** The seats that are hinted now. By the connection of the layer, so that all it has sent was done before. */
async function hinted(): Promise<string[]> {
  const keys = await redis.keys(`${keyPrefix}*`)
  const ofSeats = keys.filter((key) => !key.includes(':pass:'))
  return ofSeats.map((key) => key.slice(key.lastIndexOf(':') + 1)).sort()
}

describe('the pre-check', () => {
  it('refuses a request for a seat that another request is taking, and names the seats', async () => {
    const isTaking = createLatch('the first one is at its work')
    const mayEnd = createLatch('the second one was refused')
    const first = layer.preCheck(['a', 'b'])(call('key-1'), async () => {
      isTaking.open()
      await mayEnd.wait()
      return held
    })
    await isTaking.wait()
    const second = await ask(['b', 'c'], 'key-2')
    expect(second).toEqual({ hasPassed: false, outcome: refusedFor(['b']) })
    // All or none: a refused request does not block the seats that are free.
    expect(await hinted()).toEqual(['a', 'b'])
    mayEnd.open()
    await first
    expect(counted).toEqual({ refused: 1, bypassed: 0 })
  })

  it('passes a copy of the request, which must find its answer', async () => {
    await ask(['a'], 'key-1')
    expect((await ask(['a'], 'key-1')).hasPassed).toBe(true)
  })

  it('passes again a request that passed, whatever others do by then, and not a request that lost', async () => {
    await ask(['a'], 'key-1')
    layer.forget('account-1', ['a'])
    await ask(['a'], 'key-2', refusedFor(['a']))
    expect((await ask(['a'], 'key-1')).hasPassed).toBe(true)
    // Its own hint is over as well.
    layer.forget('account-1', ['a'])
    await ask(['a'], 'key-3', refusedFor(['a']))
    expect((await ask(['a'], 'key-2')).hasPassed).toBe(false)
  })

  it('passes two accounts that name the same seats', async () => {
    await ask(['a'], 'key-1')
    let hasPassed = false
    await layer.preCheck(['a'])(call('key-2', 'account-2'), async () => {
      hasPassed = true
      return held
    })
    expect(hasPassed).toBe(true)
  })

  it('refuses for two seconds at most after a seat was taken', async () => {
    await ask(['a'], 'key-1')
    const [key = ''] = await redis.keys(`${keyPrefix}*:a`)
    const leftMs = await redis.pttl(key)
    expect(leftMs).toBeGreaterThan(0)
    expect(leftMs).toBeLessThanOrEqual(2_000)
  })

  it('refuses the seats that were found taken, and passes the others', async () => {
    await ask(['a', 'b', 'c'], 'key-1', refusedFor(['b']))
    expect(await hinted()).toEqual(['b'])
    expect((await ask(['b'], 'key-2')).hasPassed).toBe(false)
  })

  it.each<[string, Guarded<never>]>([
    ['another refusal', { kind: 'refused', refusal: { code: 'event-not-found', eventId: 'event-1' } }],
    ['an answer of an earlier time', { ...held, replayed: true }],
  ])('passes again after %s', async (_, result) => {
    await ask(['a', 'b'], 'key-1', result)
    expect(await hinted()).toEqual([])
  })

  it('passes again after a fault', async () => {
    const failed = layer.preCheck(['a'])(call('key-1'), () => Promise.reject(new Error('the database is away')))
    await expect(failed).rejects.toThrow('the database is away')
    expect(await hinted()).toEqual([])
  })

  it('passes as soon as the seats are forgotten, because they are free', async () => {
    await ask(['a', 'b'], 'key-1')
    layer.forget('account-1', ['a', 'b'])
    expect((await ask(['a'], 'key-2')).hasPassed).toBe(true)
  })

  it('keeps the hints while the first request works, although its copy was refused', async () => {
    const isTaking = createLatch('the first one is at its work')
    const mayEnd = createLatch('the copy has gone')
    const first = layer.preCheck(['a'])(call('key-1'), async () => {
      isTaking.open()
      await mayEnd.wait()
      return held
    })
    await isTaking.wait()
    await ask(['a'], 'key-1', { kind: 'refused', refusal: { code: 'request-in-progress', retryAfterSeconds: 1 } })
    expect(await hinted()).toEqual(['a'])
    mayEnd.open()
    await first
  })

  it('does not remove the hint of a later request', async () => {
    const isTaking = createLatch('the first one is at its work')
    const mayEnd = createLatch('another request has hinted the seat')
    const first = layer.preCheck(['a'])(call('key-1'), async () => {
      isTaking.open()
      await mayEnd.wait()
      return { kind: 'refused', refusal: { code: 'event-not-found', eventId: 'event-1' } } as const
    })
    await isTaking.wait()
    layer.forget('account-1', ['a'])
    await ask(['a'], 'key-2')
    mayEnd.open()
    await first
    expect(await hinted()).toEqual(['a'])
  })
})

describe('without Redis every request passes', () => {
  it('at once where it is not there, and each bypass is counted', async () => {
    const away = new Redis(await freePort(), { ...redisLockClientOptions, lazyConnect: true })
    away.on('error', () => undefined)
    const { layer, counted } = layerOver(away)
    try {
      for (let request = 0; request < 8; request++) {
        expect((await ask(['a'], `key-${request}`, held, layer)).hasPassed).toBe(true)
      }
      layer.forget('account-1', ['a'])
      expect(counted).toEqual({ refused: 0, bypassed: 8 })
    } finally {
      away.disconnect()
    }
  })

  it('within its budget where it hangs, and after five failures it is not asked', async () => {
    const server = await startRedisServer()
    const client = new Redis(server.url, { ...redisLockClientOptions, lazyConnect: true })
    client.on('error', () => undefined)
    await client.connect()
    let asked = 0
    const counting: RedisClient = {
      ...{ status: client.status, options: client.options },
      ...{ set: client.set.bind(client), evalsha: client.evalsha.bind(client), connect: client.connect.bind(client) },
      eval: ((...args: Parameters<typeof client.eval>) => {
        asked++
        return client.eval(...args)
      }) as RedisClient['eval'],
    }
    const { layer, counted } = layerOver(counting, 20)
    try {
      server.pause()
      for (let request = 0; request < 10; request++) {
        expect((await ask(['a'], `key-${request}`, held, layer)).hasPassed).toBe(true)
      }
      expect(asked).toBe(5)
      expect(counted).toEqual({ refused: 0, bypassed: 10 })
    } finally {
      client.disconnect()
      await server.close()
    }
  })
})
