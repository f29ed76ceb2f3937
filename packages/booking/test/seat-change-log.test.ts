import { randomUUID } from 'node:crypto'
import { createLatch, eventually, type RedisServer, startRedisServer } from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SeatChange, SeatEvent } from '../src/live/seat-change.ts'
import type { SeatChangeLog } from '../src/live/seat-change-log.ts'
import { openSeatChangeLog } from './open-seat-change-log.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer()
})
afterAll(() => server.close())

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const boundMs = 15_000

const openLog = () => openSeatChangeLog(server.url, closers)

/** Follows, and keeps what it receives. */
async function follow(log: SeatChangeLog, eventId: string, after: string | null = null) {
  const events: SeatEvent[] = []
  const batches: (readonly SeatEvent[])[] = []
  const stop = await log.follow(eventId, after, (batch) => {
    batches.push(batch)
    events.push(...batch)
  })
  if (!stop) throw new Error('Redis is away')
  const quantities = () => events.flatMap((one) => (one.kind === 'change' ? [one.change.quantity] : []))
  return {
    events,
    batches,
    stop,
    quantities,
    kinds: () => events.map(({ kind }) => kind).join(' '),
    /** Waits for the change with this quantity. */
    receives: (quantity: number) =>
      eventually(`receives ${quantity}`, () => quantities().includes(quantity), { boundMs }),
    receivesReset: () => eventually('receives reset', () => events.some(({ kind }) => kind === 'reset'), { boundMs }),
    idOf: (quantity: number) => {
      const found = events.find((one) => one.kind === 'change' && one.change.quantity === quantity)
      if (!found) throw new Error(`did not receive ${quantity}`)
      return found.id
    },
  }
}

/** The quantity identifies the change. */
function change(eventId: string, quantity: number): SeatChange {
  return { eventId, seatIds: [`seat-${quantity}`], tierId: null, quantity, state: 'held' }
}

describe('following', () => {
  it('a follower at another replica receives the changes in order, and of its event alone', async () => {
    const [one, other] = [await openLog(), await openLog()]
    const [eventId, elsewhere] = [randomUUID(), randomUUID()]
    const client = await follow(other.log, eventId)
    for (const quantity of [1, 2, 3]) one.log.publish(change(eventId, quantity))
    one.log.publish(change(elsewhere, 9))
    other.log.publish(change(eventId, 4))
    await client.receives(4)
    expect([...client.quantities()].sort()).toEqual([1, 2, 3, 4])
    expect(client.quantities().filter((quantity) => quantity < 4)).toEqual([1, 2, 3])
    expect(client.events[0]?.kind).toBe('start')
    expect(client.events.find(({ kind }) => kind === 'change')).toMatchObject({ change: change(eventId, 1) })
  })

  it('one connection follows all events for all followers, also those that are added while it blocks', async () => {
    const { log, redis } = await openLog()
    const before = await connections(redis)
    const events = Array.from({ length: 20 }, () => randomUUID())
    const clients = []
    for (const eventId of events) {
      clients.push(await follow(log, eventId), await follow(log, eventId))
      log.publish(change(eventId, 1))
    }
    for (const client of clients) await client.receives(1)
    expect((await connections(redis)) - before).toBe(1)
  })

  it('all followers of an event receive the same array, so that it can be rendered once', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const [one, other] = [await follow(log, eventId), await follow(log, eventId)]
    log.publish(change(eventId, 1))
    await Promise.all([one.receives(1), other.receives(1)])
    expect(one.batches.at(-1)).toBe(other.batches.at(-1))
  })

  it('a new follower also receives the changes of the last second: a map may be so old', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    log.publish(change(eventId, 1))
    await eventually('it is written', async () => (await redis.xlen(`seat-changes:${eventId}`)) === 1)
    const late = await follow(log, eventId)
    expect([late.kinds(), late.quantities()]).toEqual(['start change', [1]])
  })

  it('a follower that has stopped receives nothing', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const [gone, there] = [await follow(log, eventId), await follow(log, eventId)]
    gone.stop()
    log.publish(change(eventId, 1))
    await there.receives(1)
    expect(gone.quantities()).toEqual([])
    // The last one too: the reading ends, and begins anew for the next.
    there.stop()
    const next = await follow(log, eventId)
    log.publish(change(eventId, 2))
    await next.receives(2)
  })
})

describe('resuming', () => {
  it('a follower receives what it missed first, each change once, and then new changes', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const first = await follow(log, eventId)
    log.publish(change(eventId, 1))
    await first.receives(1)
    first.stop()
    const witness = await follow(log, eventId)
    for (const quantity of [2, 3, 4]) log.publish(change(eventId, quantity))
    await witness.receives(4)

    const again = await follow(log, eventId, first.idOf(1))
    log.publish(change(eventId, 5))
    await again.receives(5)
    expect([again.kinds(), again.quantities()]).toEqual(['start change change change change', [2, 3, 4, 5]])
  })

  it('changes that arrive while a follower begins come after those that it missed', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const witness = await follow(log, eventId)
    log.publish(change(eventId, 1))
    await witness.receives(1)
    const isRead = createLatch('the missed changes are read', { boundMs })
    const goOn = createLatch('the follower begins', { boundMs })
    const xrange = redis.xrange.bind(redis)
    redis.xrange = (async (...range: Parameters<typeof xrange>) => {
      const entries = await xrange(...range)
      isRead.open()
      await goOn.wait()
      return entries
    }) as typeof redis.xrange

    const beginning = follow(log, eventId, witness.idOf(1))
    await isRead.wait()
    log.publish(change(eventId, 2))
    await witness.receives(2)
    goOn.open()
    const late = await beginning
    log.publish(change(eventId, 3))
    await late.receives(3)
    expect([late.kinds(), late.quantities()]).toEqual(['start change change', [2, 3]])
  })

  it('a follower that resumes again and again receives each change once', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const last = 60
    const witness = await follow(log, eventId)
    log.publish(change(eventId, 0))
    await witness.receives(0)
    const publishing = (async () => {
      for (let quantity = 1; quantity <= last; quantity += 1) {
        log.publish(change(eventId, quantity))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
    const received: number[] = []
    let position = witness.idOf(0)
    while (!received.includes(last)) {
      const client = await follow(log, eventId, position)
      await eventually('something comes', () => client.quantities().length > 0, { boundMs })
      client.stop()
      received.push(...client.quantities())
      position = client.events.at(-1)?.id ?? position
    }
    await publishing
    expect(received).toEqual(Array.from({ length: last }, (_, at) => at + 1))
  })

  it('a position that was dropped from the stream causes a reset, and following continues', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const witness = await follow(log, eventId)
    for (const quantity of [1, 2]) log.publish(change(eventId, quantity))
    await witness.receives(2)
    await redis.xtrim(`seat-changes:${eventId}`, 'MAXLEN', 1)
    const late = await follow(log, eventId, witness.idOf(1))
    expect([late.kinds(), late.events[0]?.id]).toEqual(['reset', witness.idOf(2)])
    log.publish(change(eventId, 3))
    await late.receives(3)
    expect(late.quantities()).toEqual([3])
  })

  it.each(['1-1', '999999999999999-0', '0-0'])('a position that never existed causes a reset: %s', async (position) => {
    const { log } = await openLog()
    const client = await follow(log, randomUUID(), position)
    expect(client.kinds()).toBe('reset')
  })

  it('too many missed changes cause a reset', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const key = `seat-changes:${eventId}`
    const position = await redis.xadd(key, '*', 'change', '{}')
    const pipeline = redis.pipeline()
    for (let entry = 0; entry < 1_001; entry += 1) pipeline.xadd(key, '*', 'change', '{}')
    await pipeline.exec()
    expect((await follow(log, eventId, position)).kinds()).toBe('reset')
  })

  it('an entry of another version causes a reset', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const client = await follow(log, eventId)
    await redis.xadd(`seat-changes:${eventId}`, '*', 'change', 'not JSON')
    await client.receivesReset()
  })
})

describe('while Redis is away', () => {
  it('following fails, and publishing neither throws nor waits', async () => {
    const { log, dropped } = await openLog()
    const eventId = randomUUID()
    await server.kill()
    await eventually('it is noticed', async () => (await log.follow(eventId, null, () => undefined)) === null, {
      boundMs,
    })
    for (let quantity = 0; quantity < 5_000; quantity += 1) log.publish(change(eventId, quantity))
    await eventually('all are dropped', async () => (await dropped()) === 5_000, { boundMs })
    await server.restart()
  })

  it('a follower receives a reset once Redis is back, although Redis lost everything, and continues', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const client = await follow(log, eventId)
    log.publish(change(eventId, 1))
    await client.receives(1)
    await server.kill()
    await server.restart()
    await client.receivesReset()
    await eventually('Redis is back for the writer', async () => (await follow(log, eventId)).kinds() !== '', {
      boundMs,
    })
    log.publish(change(eventId, 2))
    await client.receives(2)
    expect(client.quantities()).toEqual([1, 2])
  })

  it('a change that a replica could not publish causes a reset for followers at another replica', async () => {
    const [writing, reading] = [await openLog(), await openLog()]
    const eventId = randomUUID()
    const client = await follow(reading.log, eventId)
    // Of this replica alone: the other's connections stay.
    writing.redis.disconnect()
    writing.log.publish(change(eventId, 1))
    await eventually('it is dropped', async () => (await writing.dropped()) === 1)
    expect(client.kinds()).toBe('start')
    await writing.redis.connect()
    await client.receivesReset()
    expect(client.quantities()).toEqual([])
  })

  it('a Redis that hangs does not fill the memory of the replica', async () => {
    const { log, dropped } = await openLog()
    const eventId = randomUUID()
    const client = await follow(log, eventId)
    server.pause()
    const published = 20_000
    for (let quantity = 1; quantity <= published; quantity += 1) log.publish(change(eventId, quantity))
    expect(await dropped()).toBe(published - 1_000)
    server.resume()
    await client.receivesReset()
    const late = await eventually('it is followed again', () => follow(log, eventId).catch(() => null), { boundMs })
    log.publish(change(eventId, published + 1))
    await late.receives(published + 1)
  })
})

async function connections(redis: Redis): Promise<number> {
  return String(await redis.client('LIST'))
    .trim()
    .split('\n').length
}
