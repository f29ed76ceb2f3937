import { randomUUID } from 'node:crypto'
import type { Database } from '@seatbelt/database'
import { redisLockClientOptions } from '@seatbelt/locks'
import { createSeatPreCheckLayer, type SeatPreCheckLayer } from '@seatbelt/safety'
import { createLatch, eventually } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expireHolds } from '../src/hold/expire-holds.ts'
import { accountId, type BoxOffice, brief, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, idOf, letLapse, namedSeats } from './holding.ts'

const keyPrefix = `test:${randomUUID()}:`
let redis: Redis
let seatPreCheck: SeatPreCheckLayer
let refusedByPreCheck = 0
let office: BoxOffice
let window: Window
let counter: Counter
let withoutDatabase: Counter
let event: SoldEvent
beforeAll(async () => {
  redis = new Redis(process.env.TEST_REDIS_URL ?? '', { ...redisLockClientOptions, enableOfflineQueue: true })
  const metrics = { refused: () => void refusedByPreCheck++, bypassed: () => undefined }
  // The budget does not matter here, and the machine may be busy.
  const options = { client: redis, commandBudgetMs: 1_000, metrics, keyPrefix }
  seatPreCheck = createSeatPreCheckLayer(options)
  office = await openBoxOffice()
  window = await office.open('api-1', { seatPreCheck })
  counter = counterOf(window)
  withoutDatabase = counterOf(await office.open('api-2', { seatPreCheck, database: () => throwing }))
})
beforeEach(async () => {
  const left = await redis.keys(`${keyPrefix}*`)
  if (left.length > 0) await redis.del(left)
  event = await office.newEvent()
})
afterAll(async () => {
  await office.close()
  await redis.quit()
})

const notAsked = () => {
  throw new Error('the database was asked')
}
const throwing: Database = {
  client: new Proxy({} as Database['client'], { get: notAsked }),
  statement: notAsked,
  query: notAsked,
  transaction: notAsked,
  isReady: notAsked,
  close: async () => undefined,
}

const ben = { customerId: 'ben' }

describe('a seat that was taken a moment ago', () => {
  it('is refused to others without a query', async () => {
    await counter.seats(event, event.seatIds.slice(0, 2))
    const refused = await withoutDatabase.seats(event, event.seatIds.slice(1, 3), ben)
    expect(brief(refused)).toBe('refused seats-taken')
    expect(namedSeats(refused)).toEqual(event.seatIds.slice(1, 2))
    expect(refusedByPreCheck).toBe(1)
    // The seat beside it is free, so the request reaches the database.
    await expect(withoutDatabase.seats(event, event.seatIds.slice(2, 3), ben)).rejects.toThrow('the database was asked')
  })

  it('can be held again at once when it was released', async () => {
    const holdId = idOf(await counter.seats(event, event.seatIds))
    await counter.release(holdId)
    expect(brief(await counter.seats(event, event.seatIds, ben))).toBe('answered 201')
  })

  it('can be held again at once when its hold was expired', async () => {
    const holdId = idOf(await counter.seats(event, event.seatIds))
    await letLapse(office, holdId)
    await expireHolds(window.deps, 100)
    expect(brief(await counter.seats(event, event.seatIds, ben))).toBe('answered 201')
  })
})

describe('a request whose answer was lost', () => {
  it('receives its recorded answer, however many others want the seat', async () => {
    const key = randomUUID()
    const first = await counter.seats(event, event.seatIds, { key })
    // As after two seconds. A request that finds the seat taken then blocks it for two more.
    seatPreCheck.forget(accountId, event.seatIds)
    expect(brief(await counter.seats(event, event.seatIds, ben))).toBe('refused seats-taken')
    expect(await counter.seats(event, event.seatIds, { key })).toEqual({ ...first, replayed: true })
    expect(brief(await withoutDatabase.seats(event, event.seatIds, ben))).toBe('refused seats-taken')
  })
})

describe('a request that was refused by the database', () => {
  it('blocks the seats that it found taken, and no others', async () => {
    await counter.seats(event, event.seatIds.slice(0, 1))
    // As after two seconds.
    seatPreCheck.forget(accountId, event.seatIds)
    expect(brief(await counter.seats(event, event.seatIds.slice(0, 2), ben))).toBe('refused seats-taken')
    const eve = { customerId: 'eve' }
    expect(namedSeats(await withoutDatabase.seats(event, event.seatIds.slice(0, 1), eve))).toEqual(
      event.seatIds.slice(0, 1),
    )
    expect(brief(await counter.seats(event, event.seatIds.slice(1, 2), eve))).toBe('answered 201')
  })

  it('does not block its seats if they were not the reason', async () => {
    const strict = await office.newEvent({ seatsPerCustomer: 1 })
    expect(brief(await counter.seats(strict, strict.seatIds))).toBe('refused customer-holds-too-many')
    expect(brief(await counter.seats(strict, strict.seatIds.slice(0, 1), ben))).toBe('answered 201')
  })
})

describe('a pass', () => {
  const passes = () => redis.keys(`${keyPrefix}pass:*`)

  it('is not left by a request that failed, because no answer is recorded', async () => {
    const key = randomUUID()
    await expect(withoutDatabase.seats(event, event.seatIds, { key })).rejects.toThrow('the database was asked')
    await eventually('its hints are gone', async () => (await redis.keys(`${keyPrefix}*`)).length === 0)
    await counter.seats(event, event.seatIds, ben)
    expect(brief(await withoutDatabase.seats(event, event.seatIds, { key }))).toBe('refused seats-taken')
  })

  it('is not left by a request that was refused for another reason than its seats', async () => {
    await office.sql(`UPDATE events SET sale_opens_at = now() + interval '1 hour' WHERE id = $1`, [event.eventId])
    for (const seatId of event.seatIds)
      expect(brief(await counter.seats(event, [seatId]))).toBe('refused event-not-on-sale')
    await eventually('no pass is left', async () => (await passes()).length === 0)
  })

  it('is left to the first request by a copy that is refused', async () => {
    const [begun, done] = [createLatch('the first is at work'), createLatch('the first may end')]
    const call = { accountId, key: randomUUID(), fingerprint: Buffer.alloc(32) }
    const answered = { kind: 'answered', replayed: false, answer: { status: 201, body: '{}', location: null } } as never
    const first = seatPreCheck.preCheck(event.seatIds)(call, async () => {
      begun.open()
      await done.wait()
      return answered
    })
    await begun.wait()
    const refused = { kind: 'refused', refusal: { code: 'request-in-progress', retryAfterSeconds: 1 } } as const
    expect(await seatPreCheck.preCheck(event.seatIds)(call, async () => refused)).toEqual(refused)
    done.open()
    await first
    expect(await passes()).toHaveLength(1)
  })
})
