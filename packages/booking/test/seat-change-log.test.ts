import { randomUUID } from 'node:crypto'
import { createLatch, eventually, type RedisServer, startRedisServer } from '@seatbelt/testing'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SeatChange } from '../src/live/seat-change.ts'
import type { SeatChangeLog, SeatNews } from '../src/live/seat-change-log.ts'
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

/** Follows and keeps what it was told. */
async function follow(log: SeatChangeLog, eventId: string, after: string | null = null) {
  const news: SeatNews[] = []
  const batches: (readonly SeatNews[])[] = []
  const stop = await log.follow(eventId, after, (batch) => {
    batches.push(batch)
    news.push(...batch)
  })
  if (!stop) throw new Error('Redis is away')
  const quantities = () => news.flatMap((one) => (one.kind === 'change' ? [one.change.quantity] : []))
  return {
    news,
    batches,
    stop,
    quantities,
    kinds: () => news.map(({ kind }) => kind).join(' '),
    /** Until it was told of this one. */
    hears: (quantity: number) => eventually(`hears ${quantity}`, () => quantities().includes(quantity), { boundMs }),
    hearsReset: () => eventually('hears reset', () => news.some(({ kind }) => kind === 'reset'), { boundMs }),
    idOf: (quantity: number) => {
      const found = news.find((one) => one.kind === 'change' && one.change.quantity === quantity)
      if (!found) throw new Error(`was not told of ${quantity}`)
      return found.id
    },
  }
}

/** The quantity names it, for the test. */
function change(eventId: string, quantity: number): SeatChange {
  return { eventId, seatIds: [`seat-${quantity}`], tierId: null, quantity, state: 'held' }
}

describe('following', () => {
  it('what one replica tells, another hears, in order, and of this event alone', async () => {
    const [one, other] = [await openLog(), await openLog()]
    const [eventId, elsewhere] = [randomUUID(), randomUUID()]
    const client = await follow(other.log, eventId)
    for (const quantity of [1, 2, 3]) one.log.tell(change(eventId, quantity))
    one.log.tell(change(elsewhere, 9))
    other.log.tell(change(eventId, 4))
    await client.hears(4)
    expect([...client.quantities()].sort()).toEqual([1, 2, 3, 4])
    expect(client.quantities().filter((quantity) => quantity < 4)).toEqual([1, 2, 3])
    expect(client.news[0]?.kind).toBe('start')
    expect(client.news.find(({ kind }) => kind === 'change')).toMatchObject({ change: change(eventId, 1) })
  })

  it('one connection follows all events for all who do, also those that are added while it blocks', async () => {
    const { log, redis } = await openLog()
    const before = await connections(redis)
    const events = Array.from({ length: 20 }, () => randomUUID())
    const clients = []
    for (const eventId of events) {
      clients.push(await follow(log, eventId), await follow(log, eventId))
      log.tell(change(eventId, 1))
    }
    for (const client of clients) await client.hears(1)
    expect((await connections(redis)) - before).toBe(1)
  })

  it('all who follow an event are given the same array, so that it can be written out once', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const [one, other] = [await follow(log, eventId), await follow(log, eventId)]
    log.tell(change(eventId, 1))
    await Promise.all([one.hears(1), other.hears(1)])
    expect(one.batches.at(-1)).toBe(other.batches.at(-1))
  })

  it('who begins is told of the last second too: a map that is asked for afterwards may be so old', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    log.tell(change(eventId, 1))
    await eventually('it is written', async () => (await redis.xlen(`seat-changes:${eventId}`)) === 1)
    const late = await follow(log, eventId)
    expect([late.kinds(), late.quantities()]).toEqual(['start change', [1]])
  })

  it('who follows no more is told no more', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const [gone, there] = [await follow(log, eventId), await follow(log, eventId)]
    gone.stop()
    log.tell(change(eventId, 1))
    await there.hears(1)
    expect(gone.quantities()).toEqual([])
    // The last one too: the reading ends, and begins anew for the next.
    there.stop()
    const next = await follow(log, eventId)
    log.tell(change(eventId, 2))
    await next.hears(2)
  })
})

describe('resuming', () => {
  it('what was missed comes first, each once, and then what is new', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const first = await follow(log, eventId)
    log.tell(change(eventId, 1))
    await first.hears(1)
    first.stop()
    const witness = await follow(log, eventId)
    for (const quantity of [2, 3, 4]) log.tell(change(eventId, quantity))
    await witness.hears(4)

    const again = await follow(log, eventId, first.idOf(1))
    log.tell(change(eventId, 5))
    await again.hears(5)
    expect([again.kinds(), again.quantities()]).toEqual(['start change change change change', [2, 3, 4, 5]])
  })

  it('what comes while one begins is kept for him, and told after what he missed', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const witness = await follow(log, eventId)
    log.tell(change(eventId, 1))
    await witness.hears(1)
    const isRead = createLatch('what he missed is read', { boundMs })
    const goOn = createLatch('he begins', { boundMs })
    const xrange = redis.xrange.bind(redis)
    redis.xrange = (async (...range: Parameters<typeof xrange>) => {
      const entries = await xrange(...range)
      isRead.open()
      await goOn.wait()
      return entries
    }) as typeof redis.xrange

    const beginning = follow(log, eventId, witness.idOf(1))
    await isRead.wait()
    log.tell(change(eventId, 2))
    await witness.hears(2)
    goOn.open()
    const late = await beginning
    log.tell(change(eventId, 3))
    await late.hears(3)
    expect([late.kinds(), late.quantities()]).toEqual(['start change change', [2, 3]])
  })

  it('nothing is lost or told twice by those who come back again and again while changes come', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const last = 60
    const witness = await follow(log, eventId)
    log.tell(change(eventId, 0))
    await witness.hears(0)
    const telling = (async () => {
      for (let quantity = 1; quantity <= last; quantity += 1) {
        log.tell(change(eventId, quantity))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
    const heard: number[] = []
    let position = witness.idOf(0)
    while (!heard.includes(last)) {
      const client = await follow(log, eventId, position)
      await eventually('something comes', () => client.quantities().length > 0, { boundMs })
      client.stop()
      heard.push(...client.quantities())
      position = client.news.at(-1)?.id ?? position
    }
    await telling
    expect(heard).toEqual(Array.from({ length: last }, (_, at) => at + 1))
  })

  it('a position that is not in the stream any more is a reset, and it goes on from there', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const witness = await follow(log, eventId)
    for (const quantity of [1, 2]) log.tell(change(eventId, quantity))
    await witness.hears(2)
    await redis.xtrim(`seat-changes:${eventId}`, 'MAXLEN', 1)
    const late = await follow(log, eventId, witness.idOf(1))
    expect([late.kinds(), late.news[0]?.id]).toEqual(['reset', witness.idOf(2)])
    log.tell(change(eventId, 3))
    await late.hears(3)
    expect(late.quantities()).toEqual([3])
  })

  it.each(['1-1', '999999999999999-0', '0-0'])('a position that never was is a reset: %s', async (position) => {
    const { log } = await openLog()
    const client = await follow(log, randomUUID(), position)
    expect(client.kinds()).toBe('reset')
  })

  it('too much to be told is a reset', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const key = `seat-changes:${eventId}`
    const position = await redis.xadd(key, '*', 'change', '{}')
    const pipeline = redis.pipeline()
    for (let entry = 0; entry < 1_001; entry += 1) pipeline.xadd(key, '*', 'change', '{}')
    await pipeline.exec()
    expect((await follow(log, eventId, position)).kinds()).toBe('reset')
  })

  it('what another version wrote is not taken for nothing', async () => {
    const { log, redis } = await openLog()
    const eventId = randomUUID()
    const client = await follow(log, eventId)
    await redis.xadd(`seat-changes:${eventId}`, '*', 'change', 'not JSON')
    await client.hearsReset()
  })
})

describe('while Redis is away', () => {
  it('following is not begun, and telling neither throws nor waits', async () => {
    const { log, dropped } = await openLog()
    const eventId = randomUUID()
    await server.kill()
    await eventually('it is noticed', async () => (await log.follow(eventId, null, () => undefined)) === null, {
      boundMs,
    })
    for (let quantity = 0; quantity < 5_000; quantity += 1) log.tell(change(eventId, quantity))
    await eventually('all are dropped', async () => (await dropped()) === 5_000, { boundMs })
    await server.restart()
  })

  it('who follows is told reset when it is back, although Redis forgot everything, and goes on', async () => {
    const { log } = await openLog()
    const eventId = randomUUID()
    const client = await follow(log, eventId)
    log.tell(change(eventId, 1))
    await client.hears(1)
    await server.kill()
    await server.restart()
    await client.hearsReset()
    await eventually('Redis is back for the writer', async () => (await follow(log, eventId)).kinds() !== '', {
      boundMs,
    })
    log.tell(change(eventId, 2))
    await client.hears(2)
    expect(client.quantities()).toEqual([1, 2])
  })

  it('what a replica could not tell is told as a reset to those who follow by another', async () => {
    const [writing, reading] = [await openLog(), await openLog()]
    const eventId = randomUUID()
    const client = await follow(reading.log, eventId)
    // Of this replica alone: the other's connections stay.
    writing.redis.disconnect()
    writing.log.tell(change(eventId, 1))
    await eventually('it is dropped', async () => (await writing.dropped()) === 1)
    expect(client.kinds()).toBe('start')
    await writing.redis.connect()
    await client.hearsReset()
    expect(client.quantities()).toEqual([])
  })

  it('a Redis that hangs is not filled with what it cannot take', async () => {
    const { log, dropped } = await openLog()
    const eventId = randomUUID()
    const client = await follow(log, eventId)
    server.pause()
    const told = 20_000
    for (let quantity = 1; quantity <= told; quantity += 1) log.tell(change(eventId, quantity))
    expect(await dropped()).toBe(told - 1_000)
    server.resume()
    await client.hearsReset()
    const late = await eventually('it is followed again', () => follow(log, eventId).catch(() => null), { boundMs })
    log.tell(change(eventId, told + 1))
    await late.hears(told + 1)
  })
})

async function connections(redis: Redis): Promise<number> {
  return String(await redis.client('LIST'))
    .trim()
    .split('\n').length
}
