import { eventually, type RedisServer, startLeakCheck, startRedisServer } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { compareAndDelete } from '../src/compare-and-delete.ts'
import { createRedisLock, createRedlock, type Lease, type Lock, redisLockClientOptions } from '../src/index.ts'
import { callsOf, connectRedis } from './redis-client.ts'
import { type NativeDelete, type NativeDeleteServer, startRedisWithNativeDelete } from './redis-with-native-delete.ts'

const ttlMs = 60_000
const leakCheck = startLeakCheck()
let server: RedisServer
let witness: Redis
let standIn: NativeDeleteServer | undefined
const clients: Redis[] = []

beforeAll(async () => {
  server = await startRedisServer()
  witness = await connectRedis(server.url)
})
beforeEach(() => witness.flushall())
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  await standIn?.close()
  standIn = undefined
})
afterAll(async () => {
  witness.disconnect()
  await server.close()
  await leakCheck.assertNoLeaks()
})

describe.each(['DELEX', 'DELIFEQ'] as const)(
  'a server that has %s (a stand-in in front of a real Redis)',
  (command) => {
    it('is asked to compare and delete with it, once it has said so; the first release does not wait for that', async () => {
      const { client, native } = await connectTo(command)
      const lock = createRedisLock({ client, commandBudgetMs: 500 })
      expect(await (await granted(lock)).release()).toBe('released')
      expect([native.seen(command), native.seen('EVALSHA')]).toEqual([0, 1])
      // Whose answer comes after the one to the question what the server has.
      await client.ping()
      expect(await (await granted(lock)).release()).toBe('released')
      expect([native.seen(command), native.seen('EVALSHA')]).toEqual([1, 1])
      expect(await witness.exists('lock:order:1')).toBe(0)
      // Asked once, however many releases follow.
      expect(native.seen('COMMAND')).toBe(1)
    })

    it('does not release with it what is somebody else’s by now', async () => {
      const { client, native } = await connectTo(command)
      await hasLearned(client)
      const lease = await granted(createRedisLock({ client, commandBudgetMs: 500 }))
      await witness.set('lock:order:1', 'somebody else')
      expect(await lease.release()).toBe('already-lost')
      expect(native.seen(command)).toBe(1)
      expect(await witness.get('lock:order:1')).toBe('somebody else')
    })

    it('is used by a quorum as well', async () => {
      const { client, native } = await connectTo(command)
      await hasLearned(client)
      const lock = createRedlock({ nodes: [client], commandBudgetMs: 300, longestTtlMs: 1_000 })
      const lease = await eventually('the node votes', async () => {
        const result = await lock.acquire('order:1', { ttlMs: 1_000 })
        return result.acquired && result.lease
      })
      expect(await lease.release()).toBe('released')
      expect(native.seen(command)).toBe(1)
      expect(await witness.exists('lock:order:1')).toBe(0)
    })

    it('that is followed by an older one is released from by the script, on the same client', async () => {
      const { client, native } = await connectTo(command)
      await hasLearned(client)
      const lock = createRedisLock({ client, commandBudgetMs: 500 })
      const lease = await granted(lock)
      const before = client.stream
      native.failOver('none')
      await eventually('the client is on the other one', () => client.stream !== before && client.status === 'ready')
      expect(await lease.release()).toBe('released')
      expect([native.seen(command), native.seen('EVALSHA')]).toEqual([0, 1])
      expect(await witness.exists('lock:order:1')).toBe(0)
    })

    it('that refuses it all the same is released from by the script, and not asked for it again', async () => {
      const { client, native } = await connectTo(command)
      await hasLearned(client)
      native.become('forbidden')
      const lock = createRedisLock({ client, commandBudgetMs: 500 })
      for (const evals of [1, 2]) {
        expect(await (await granted(lock)).release()).toBe('released')
        expect([native.seen(command), native.seen('EVALSHA')]).toEqual([1, evals])
      }
    })

    it('is asked by the script if the client puts a prefix before its keys, because it would not put it before this one', async () => {
      const { client, native } = await connectTo(command, { keyPrefix: 'house:' })
      const lock = createRedisLock({ client, commandBudgetMs: 500 })
      for (let times = 0; times < 2; times++) {
        const lease = await granted(lock)
        expect(await witness.get('house:lock:order:1')).toBe(lease.token)
        expect(await lease.release()).toBe('released')
      }
      expect([native.seen('COMMAND'), native.seen(command)]).toEqual([0, 0])
      expect(await witness.dbsize()).toBe(0)
    })
  },
)

it('the server of this machine, whatever it is, compares and deletes', async () => {
  const client = await connectRedis(server.url)
  clients.push(client)
  for (let times = 0; times < 2; times++) {
    await witness.set('key', 'ours')
    expect(await compareAndDelete(client, 'key', 'not ours')).toBe(false)
    expect(await witness.get('key')).toBe('ours')
    expect(await compareAndDelete(client, 'key', 'ours')).toBe(true)
    expect(await witness.exists('key')).toBe(0)
    await eventually('it has been asked what it has', async () => (await callsOf(witness, 'command\\|info')) > 0)
    await client.ping()
  }
})

async function connectTo(
  command: NativeDelete,
  options: { keyPrefix?: string } = {},
): Promise<{ client: Redis; native: NativeDeleteServer }> {
  standIn = await startRedisWithNativeDelete(server.url, command)
  const client = new Redis(standIn.url, { ...redisLockClientOptions, ...options, lazyConnect: true })
  client.on('error', () => {})
  clients.push(client)
  await client.connect()
  return { client, native: standIn }
}

/** The first to compare and delete on a connection asks; what was asked before is answered before. */
async function hasLearned(client: Redis): Promise<void> {
  await compareAndDelete(client, 'unused', 'unused')
  await client.ping()
  standIn?.forget()
}

async function granted(by: Lock): Promise<Lease> {
  const result = await by.acquire('order:1', { ttlMs })
  if (!result.acquired) throw new Error(`not granted: ${result.reason}`, { cause: result.cause })
  return result.lease
}
