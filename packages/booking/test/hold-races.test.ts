import type { PaymentLayers } from '@seatbelt/payments'
import { freePort } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accountId, type BoxOffice, type BoxOfficeParts, brief, openBoxOffice, type SoldEvent } from './box-office.ts'
import {
  type Counter,
  counterOf,
  countOf,
  idOf,
  letClaimsLapse,
  letLapse,
  namedSeats,
  openStoppable,
  ownersOf,
  waitsForLock,
} from './holding.ts'

let office: BoxOffice
let event: SoldEvent
let slow: Awaited<ReturnType<typeof openStoppable>>
let other: Counter
beforeEach(async () => {
  office = await openBoxOffice()
  slow = await openStoppable(office, 'slow')
  other = counterOf(await office.open('other'))
  event = await office.newEvent()
})
afterEach(async () => {
  await office.closeReplicas('')
  await slow.proxy.close()
  await office.close()
})

const ada = { customerId: 'ada' }
const ben = { customerId: 'ben' }

describe('two customers at the last seat', () => {
  const lastSeat = () => event.seatIds.slice(0, 1)

  it('both saw it free: the first to claim it has it, and the refusal of the other names the seat', async () => {
    const beforeClaim = slow.stop('INSERT INTO seat_claims')
    const slowHold = slow.counter.seats(event, lastSeat(), ada)
    await beforeClaim.reached()
    const holdId = idOf(await other.seats(event, lastSeat(), ben))
    beforeClaim.pass()
    const refused = await slowHold
    expect(brief(refused)).toBe('refused seats-taken')
    expect(namedSeats(refused)).toEqual(lastSeat())
    expect(await ownersOf(office, lastSeat())).toEqual([holdId])
    expect(await countOf(office, 'holds')).toBe(1)
  })

  it('one has not committed: the other waits, and is refused after the commit', async () => {
    const beforeCommit = slow.stop('COMMIT')
    const slowHold = slow.counter.seats(event, lastSeat(), ada)
    await beforeCommit.reached()
    const waiting = other.seats(event, lastSeat(), ben)
    await waitsForLock(office, 'other')
    beforeCommit.pass()
    expect(brief(await slowHold)).toBe('answered 201')
    expect(brief(await waiting)).toBe('refused seats-taken')
  })

  it('one dies before it commits: the other waited, and has the seat', async () => {
    const beforeCommit = slow.stop('COMMIT')
    const died = slow.counter.seats(event, lastSeat(), ada).catch(() => 'died')
    await beforeCommit.reached()
    const waiting = other.seats(event, lastSeat(), ben)
    await waitsForLock(office, 'other')
    beforeCommit.cut()
    expect(brief(await waiting)).toBe('answered 201')
    await died
  })

  it('without the primary key of the claims both have it: so the race above was real', async () => {
    await office.sql('ALTER TABLE seat_claims DROP CONSTRAINT seat_claims_pkey')
    const beforeClaim = slow.stop('INSERT INTO seat_claims')
    const slowHold = slow.counter.seats(event, lastSeat(), ada)
    await beforeClaim.reached()
    expect(brief(await other.seats(event, lastSeat(), ben))).toBe('answered 201')
    beforeClaim.pass()
    expect(brief(await slowHold)).toBe('answered 201')
    expect(await countOf(office, 'seat_claims')).toBe(2)
  })
})

describe('a hold of several seats', () => {
  it('has none of them when one is gone', async () => {
    const [, second = ''] = event.seatIds
    const beforeClaim = slow.stop('INSERT INTO seat_claims')
    const slowHold = slow.counter.seats(event, event.seatIds.slice(0, 3), ada)
    await beforeClaim.reached()
    const holdId = idOf(await other.seats(event, [second], ben))
    beforeClaim.pass()
    expect(namedSeats(await slowHold)).toEqual([second])
    expect(await ownersOf(office, event.seatIds)).toEqual([null, holdId, null, null])
    expect(await countOf(office, 'holds')).toBe(1)
    expect(await countOf(office, 'idempotency_keys')).toBe(1)
  })

  it.each(['free', 'lapsed'])(
    'does not deadlock with another one that names the same %s seats backwards',
    async (seats) => {
      const [first = '', middle = '', last = '', beside = ''] = event.seatIds
      if (seats === 'lapsed') await letLapse(office, idOf(await other.seats(event, [first, middle, last])))
      const holdId = idOf(await other.seats(event, [beside]))
      let tries = 0
      const counting: BoxOfficeParts['layers'] = ({ advisoryLock }) => ({
        advisoryLock: (tx, resource, work) => {
          tries += 1
          return advisoryLock(tx, resource, work)
        },
      })
      const [forwards, backwards] = [
        counterOf(await office.open('forwards', { layers: counting })),
        counterOf(await office.open('backwards', { layers: counting })),
      ]
      const inTheMiddle = new pg.Client({ connectionString: office.databaseUrl })
      await inTheMiddle.connect()
      try {
        await inTheMiddle.query('BEGIN')
        await inTheMiddle.query(
          seats === 'free'
            ? `INSERT INTO seat_claims (seat_id, account_id, section_id, hold_id, expires_at)
               VALUES ($1, '${accountId}', '${event.sectionId}', '${holdId}', now())`
            : 'SELECT FROM seat_claims WHERE seat_id = $1 FOR UPDATE',
          [middle],
        )
        // Each has by now what it locks first: in two orders, that would be what the other one locks last.
        const results = [forwards.seats(event, [first, middle, last], ada)]
        await waitsForLock(office, 'forwards')
        results.push(backwards.seats(event, [last, middle, first], ben))
        await waitsForLock(office, 'backwards')
        await inTheMiddle.query('ROLLBACK')
        expect((await Promise.all(results)).map(brief)).toEqual(['answered 201', 'refused seats-taken'])
      } finally {
        await inTheMiddle.end()
      }
      // PostgreSQL ends a deadlock by failing one of the two, which would have been tried again.
      expect(tries).toBe(2)
    },
  )
})

/** The read of the claims of a hold whose row is locked. */
const lockingClaims = 'FROM seat_claims WHERE hold_id'

describe('a claim that lapsed', () => {
  let holdId: string
  beforeEach(async () => {
    holdId = idOf(await slow.counter.seats(event, event.seatIds.slice(0, 2), ada))
  })

  it('is taken over by the next request for the seat, and its former owner changes nothing', async () => {
    await letLapse(office, holdId)
    const taken = idOf(await other.seats(event, event.seatIds.slice(1, 3), ben))
    expect(brief(await slow.counter.extend(holdId, ada))).toBe('refused hold-expired')
    expect(brief(await slow.counter.release(holdId, ada))).toBe('refused hold-expired')
    expect(await ownersOf(office, event.seatIds)).toEqual([null, taken, taken, null])
  })

  it('is taken over while its owner extends it too late: the extension is refused, and changes nothing', async () => {
    const beforeClaims = slow.stop(lockingClaims)
    const extension = slow.counter.extend(holdId, ada)
    await beforeClaims.reached()
    await letClaimsLapse(office, holdId)
    const taken = idOf(await other.seats(event, event.seatIds.slice(1, 2), ben))
    beforeClaims.pass()
    expect(brief(await extension)).toBe('refused hold-expired')
    expect(await ownersOf(office, event.seatIds)).toEqual([null, taken, null, null])
    expect(await office.sql('SELECT extended FROM holds WHERE id = $1', [holdId])).toEqual([{ extended: false }])
  })

  it('is not taken over if its owner extended it first: the request that waited reads it again', async () => {
    await letClaimsLapse(office, holdId)
    const beforeCommit = slow.stop('COMMIT')
    const extension = slow.counter.extend(holdId, ada)
    await beforeCommit.reached()
    const takeover = other.seats(event, event.seatIds.slice(1, 3), ben)
    await waitsForLock(office, 'other')
    beforeCommit.pass()
    expect(brief(await extension)).toBe('answered 200')
    expect(namedSeats(await takeover)).toEqual(event.seatIds.slice(1, 2))
    expect(await ownersOf(office, event.seatIds)).toEqual([holdId, holdId, null, null])
  })

  it('is not taken over if a checkout has pinned it first', async () => {
    await letClaimsLapse(office, holdId)
    const till = new pg.Client({ connectionString: office.databaseUrl })
    await till.connect()
    try {
      await till.query('BEGIN')
      await till.query('UPDATE seat_claims SET pinned = true WHERE hold_id = $1', [holdId])
      const takeover = other.seats(event, event.seatIds.slice(0, 2), ben)
      await waitsForLock(office, 'other')
      await till.query('COMMIT')
      expect(brief(await takeover)).toBe('refused seats-taken')
    } finally {
      await till.end()
    }
    expect(await ownersOf(office, event.seatIds)).toEqual([holdId, holdId, null, null])
  })

  it('is not deleted by its former owner, who releases it too late', async () => {
    const beforeClaims = slow.stop(lockingClaims)
    const release = slow.counter.release(holdId, ada)
    await beforeClaims.reached()
    await letClaimsLapse(office, holdId)
    const taken = idOf(await other.seats(event, event.seatIds.slice(0, 1), ben))
    beforeClaims.pass()
    expect(brief(await release)).toBe('answered 200')
    expect(await ownersOf(office, event.seatIds)).toEqual([taken, null, null, null])
    expect(slow.window.published.at(-1)).toMatchObject({
      seatIds: event.seatIds.slice(1, 2),
      quantity: 1,
      state: 'free',
    })
  })

  it('is taken over by one of two requests that saw it lapsed', async () => {
    await letLapse(office, holdId)
    const beforeDelete = slow.stop('DELETE FROM seat_claims')
    const slowTakeover = slow.counter.seats(event, event.seatIds.slice(0, 1), ada)
    await beforeDelete.reached()
    const taken = idOf(await other.seats(event, event.seatIds.slice(0, 1), ben))
    beforeDelete.pass()
    expect(brief(await slowTakeover)).toBe('refused seats-taken')
    expect(await ownersOf(office, event.seatIds)).toEqual([taken, null, null, null])
  })
})

describe('two holds at once of one customer, who may hold two seats', () => {
  const withoutRedisLock: Partial<PaymentLayers> = { redisLock: (_, work) => work() }
  const withoutAdvisoryLock: Partial<PaymentLayers> = { advisoryLock: (_, __, work) => work() }

  /** The first one has counted and not yet written when the second one comes. */
  async function holdTwiceAtOnce(layers: Partial<PaymentLayers>, redisUrl?: string) {
    const strict = await office.newEvent({ seatsPerCustomer: 2 })
    const parts = { layers: () => layers, ...(redisUrl ? { redisUrl } : {}) }
    const racing = await openStoppable(office, 'racing', parts)
    const beforeWriting = racing.stop('INSERT INTO holds')
    const first = racing.counter.seats(strict, strict.seatIds.slice(0, 2))
    await beforeWriting.reached()
    const second = racing.counter.seats(strict, strict.seatIds.slice(2, 4))
    return {
      second,
      finish: async () => {
        beforeWriting.pass()
        const results = [brief(await first), brief(await second)]
        await office.closeReplicas('racing')
        await racing.proxy.close()
        return results
      },
    }
  }

  it('are decided one after the other by the Redis lock, without waiting', async () => {
    const { second, finish } = await holdTwiceAtOnce(withoutAdvisoryLock)
    expect(brief(await second)).toBe('refused hold-in-progress')
    expect(await finish()).toEqual(['answered 201', 'refused hold-in-progress'])
  })

  it('are decided one after the other by the advisory lock, without Redis', async () => {
    const { finish } = await holdTwiceAtOnce({}, `redis://127.0.0.1:${await freePort()}`)
    await waitsForLock(office, 'racing')
    expect(await finish()).toEqual(['answered 201', 'refused customer-holds-too-many'])
  })

  it('both succeed without these locks: so the races above were real', async () => {
    const { second, finish } = await holdTwiceAtOnce({ ...withoutRedisLock, ...withoutAdvisoryLock })
    expect(brief(await second)).toBe('answered 201')
    expect(await finish()).toEqual(['answered 201', 'answered 201'])
  })
})
