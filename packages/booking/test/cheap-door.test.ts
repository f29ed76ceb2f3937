import { randomUUID } from 'node:crypto'
import type { Database } from '@seatbelt/database'
import { redisLockClientOptions } from '@seatbelt/locks'
import { createSeatHintLayer, type SeatHintLayer } from '@seatbelt/safety'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expireHolds } from '../src/hold/expire-holds.ts'
import { accountId, type BoxOffice, brief, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, idOf, letLapse, namedSeats } from './holding.ts'

let redis: Redis
let seatHint: SeatHintLayer
let refusedAtTheDoor = 0
let office: BoxOffice
let window: Window
let counter: Counter
let withoutDatabase: Counter
let event: SoldEvent
beforeAll(async () => {
  redis = new Redis(process.env.TEST_REDIS_URL ?? '', { ...redisLockClientOptions, enableOfflineQueue: true })
  const metrics = { refused: () => void refusedAtTheDoor++, bypassed: () => undefined }
  // The budget is no matter here, and the machine may be busy.
  const options = { client: redis, commandBudgetMs: 1_000, metrics, keyPrefix: `test:${randomUUID()}:` }
  seatHint = createSeatHintLayer(options)
  office = await openBoxOffice()
  window = await office.open('api-1', { seatHint })
  counter = counterOf(window)
  withoutDatabase = counterOf(await office.open('api-2', { seatHint, database: () => throwing }))
})
beforeEach(async () => {
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
  transaction: notAsked,
  isReady: notAsked,
  close: async () => undefined,
}

const ben = { customerId: 'ben' }

describe('a seat that was taken a moment ago', () => {
  it('is refused to others without asking the database anything', async () => {
    await counter.seats(event, event.seatIds.slice(0, 2))
    const refused = await withoutDatabase.seats(event, event.seatIds.slice(1, 3), ben)
    expect(brief(refused)).toBe('refused seats-taken')
    expect(namedSeats(refused)).toEqual(event.seatIds.slice(1, 2))
    expect(refusedAtTheDoor).toBe(1)
    // The one beside it is free, so that somebody must look.
    await expect(withoutDatabase.seats(event, event.seatIds.slice(2, 3), ben)).rejects.toThrow('the database was asked')
  })

  it('is asked for again at once when it was released', async () => {
    const holdId = idOf(await counter.seats(event, event.seatIds))
    await counter.release(holdId)
    expect(brief(await counter.seats(event, event.seatIds, ben))).toBe('answered 201')
  })

  it('is asked for again at once when its hold was expired', async () => {
    const holdId = idOf(await counter.seats(event, event.seatIds))
    await letLapse(office, holdId)
    await expireHolds(window.deps, 100)
    expect(brief(await counter.seats(event, event.seatIds, ben))).toBe('answered 201')
  })
})

describe('a request that was lost on its way back', () => {
  it('comes to its recorded answer, however long others storm the seat', async () => {
    const key = randomUUID()
    const first = await counter.seats(event, event.seatIds, { key })
    // As after two seconds; whoever finds the seat taken then shuts the door for two more, and so on.
    seatHint.forget(accountId, event.seatIds)
    expect(brief(await counter.seats(event, event.seatIds, ben))).toBe('refused seats-taken')
    expect(await counter.seats(event, event.seatIds, { key })).toEqual({ ...first, replayed: true })
    expect(brief(await withoutDatabase.seats(event, event.seatIds, ben))).toBe('refused seats-taken')
  })
})

describe('a request that was refused by the database', () => {
  it('keeps others from the seats that it found taken, and from no others', async () => {
    await counter.seats(event, event.seatIds.slice(0, 1))
    // As after two seconds.
    seatHint.forget(accountId, event.seatIds)
    expect(brief(await counter.seats(event, event.seatIds.slice(0, 2), ben))).toBe('refused seats-taken')
    const eve = { customerId: 'eve' }
    expect(namedSeats(await withoutDatabase.seats(event, event.seatIds.slice(0, 1), eve))).toEqual(
      event.seatIds.slice(0, 1),
    )
    expect(brief(await counter.seats(event, event.seatIds.slice(1, 2), eve))).toBe('answered 201')
  })

  it('lets its seats go when they were not the reason', async () => {
    const strict = await office.newEvent({ seatsPerCustomer: 1 })
    expect(brief(await counter.seats(strict, strict.seatIds))).toBe('refused customer-holds-too-many')
    expect(brief(await counter.seats(strict, strict.seatIds.slice(0, 1), ben))).toBe('answered 201')
  })
})
