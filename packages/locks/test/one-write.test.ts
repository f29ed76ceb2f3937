import { type RedisServer, startLeakCheck, startRedisServer } from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createGatherer } from '../src/one-write.ts'
import { connectRedis } from './redis-client.ts'

const leakCheck = startLeakCheck()
let server: RedisServer
let client: Redis

beforeAll(async () => {
  server = await startRedisServer()
  client = await connectRedis(server.url)
})
afterAll(async () => {
  client.disconnect()
  await server.close()
  await leakCheck.assertNoLeaks()
})

it('what is asked in one turn leaves in few writes, in order, the first at once; a turn later nothing is kept', async () => {
  const gather = createGatherer(client)
  const writes = watchWrites(client)
  const answers = Array.from({ length: 20 }, (_, n) => {
    gather()
    return client.rpush('line', n)
  })
  // The first, and twice eight; the rest is sent when the turn ends.
  expect(writes.map((sizes) => sizes.length)).toEqual([1, 8, 8])
  await Promise.resolve()
  await new Promise((resolve) => process.nextTick(resolve))
  expect(writes.map((sizes) => sizes.length)).toEqual([1, 8, 8, 3])
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
  expect(await client.lrange('line', 0, -1)).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`))
})

it('what is asked in another turn, or on another connection, is not gathered with it', async () => {
  const other = await connectRedis(server.url)
  const [gather, gatherOther] = [createGatherer(client), createGatherer(other)]
  const [writes, writesOfOther] = [watchWrites(client), watchWrites(other)]
  for (let turn = 0; turn < 2; turn++) {
    gather()
    const one = client.ping()
    gatherOther()
    const two = other.ping()
    expect([await one, await two]).toEqual(['PONG', 'PONG'])
  }
  expect([writes.length, writesOfOther.length]).toEqual([2, 2])
  other.disconnect()
})

it('a connection that is lost while commands are gathered fails them, and the next one is not held up', async () => {
  const gather = createGatherer(client)
  const asked = Array.from({ length: 3 }, () => {
    gather()
    return client.ping()
  })
  client.stream.destroy()
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  await new Promise((resolve) => client.once('ready', resolve))
  for (let times = 0; times < 3; times++) {
    gather()
    expect(await client.ping()).toBe('PONG')
  }
})

/** How many commands each write to the connection's socket had in it. */
function watchWrites({ stream }: Redis): unknown[][] {
  const writes: unknown[][] = []
  const { _write, _writev } = stream
  stream._write = (chunk, ...rest) => {
    writes.push([chunk])
    _write.call(stream, chunk, ...rest)
  }
  stream._writev = (chunks, done) => {
    writes.push(chunks)
    _writev?.call(stream, chunks, done)
  }
  return writes
}
