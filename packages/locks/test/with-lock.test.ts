import { type RedisServer, startLeakCheck, startRedisServer } from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRedisLock, type Lease, type Lock, withLock } from '../src/index.ts'
import { connectRedis } from './redis-client.ts'

const options = { resource: 'order:1', ttlMs: 60_000 }
const leakCheck = startLeakCheck()
let server: RedisServer
let client: Redis
let lock: Lock

beforeAll(async () => {
  server = await startRedisServer()
  client = await connectRedis(server.url)
  lock = createRedisLock({ client, commandBudgetMs: 500 })
})
afterAll(async () => {
  client.disconnect()
  await server.close()
  await leakCheck.assertNoLeaks()
})

describe('the bracket', () => {
  it('holds the lock while it works and gives it back', async () => {
    const result = await withLock(lock, options, async (lease) => {
      expect(await client.get('lock:order:1')).toBe(lease.token)
      return 'paid'
    })
    expect(result).toEqual({ acquired: true, value: 'paid', release: 'released' })
    expect(await client.exists('lock:order:1')).toBe(0)
  })

  it('gives the lock back when the work throws, and throws what it threw', async () => {
    const failure = new Error('the work failed')
    const work = () => Promise.reject(failure)
    await expect(withLock(lock, options, work)).rejects.toBe(failure)
    expect(await client.exists('lock:order:1')).toBe(0)
  })

  it('gives the lock back when the work throws before its first wait', async () => {
    const work = (): Promise<void> => {
      throw new Error('at once')
    }
    await expect(withLock(lock, options, work)).rejects.toThrow('at once')
    expect(await client.exists('lock:order:1')).toBe(0)
  })

  it('does not begin the work when it is refused', async () => {
    let began = 0
    const result = await withLock(lock, options, () =>
      withLock(lock, options, async () => {
        began++
      }),
    )
    expect(began).toBe(0)
    expect(result).toMatchObject({ acquired: true, value: { acquired: false, reason: 'contended' } })
  })

  it('hands out what was done although the lock was lost meanwhile', async () => {
    const result = await withLock(lock, options, async () => {
      await client.flushall()
      return 'paid'
    })
    expect(result).toEqual({ acquired: true, value: 'paid', release: 'already-lost' })
  })

  it('hands out what was done although Redis is gone at the end', async () => {
    let leaked: Lease | undefined
    const result = await withLock(lock, options, async (lease) => {
      leaked = lease
      await server.kill()
      return 'paid'
    })
    expect(result).toEqual({ acquired: true, value: 'paid', release: 'unknown' })
    expect(await leaked?.release()).toBe('unknown')
  })
})
