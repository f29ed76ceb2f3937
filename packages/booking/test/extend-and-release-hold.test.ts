import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import { race, valuesOf } from '@seatbelt/testing'
import { v7 as newId } from 'uuid'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type BoxOffice, bookingIn, brief, holdIn, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, idOf, letLapse, ownersOf } from './holding.ts'

let office: BoxOffice
let window: Window
let counter: Counter
let event: SoldEvent
let holdId: string
beforeAll(async () => {
  office = await openBoxOffice()
  window = await office.open('api-1')
  counter = counterOf(window)
})
beforeEach(async () => {
  event = await office.newEvent()
  holdId = idOf(await counter.seats(event, event.seatIds.slice(0, 2)))
})
afterAll(() => office.close())

describe('a hold', () => {
  it('begins anew when it is extended, claims and all, and is extended once', async () => {
    await office.sql(`UPDATE holds SET expires_at = now() + interval '1 second' WHERE id = $1`, [holdId])
    const { expiresAt, extended } = holdIn(await counter.extend(holdId))
    expect(extended).toBe(true)
    const claims = await office.sql<{ expiresAt: Date }>(
      `SELECT DISTINCT expires_at AS "expiresAt" FROM seat_claims WHERE hold_id = $1`,
      [holdId],
    )
    expect(claims.map((claim) => claim.expiresAt.toISOString())).toEqual([expiresAt])
    expect(brief(await counter.extend(holdId))).toBe('refused hold-extended-before')
  })

  it('frees its seats when it is released, and stays released', async () => {
    expect(holdIn(await counter.release(holdId)).state).toBe('released')
    expect(await ownersOf(office, event.seatIds)).toEqual([null, null, null, null])
    expect(window.published.at(-1)).toMatchObject({ seatIds: event.seatIds.slice(0, 2), state: 'free' })
    expect(brief(await counter.release(holdId))).toBe('refused hold-released')
    expect(brief(await counter.extend(holdId))).toBe('refused hold-released')
    expect(brief(await window.checkOut(holdId))).toBe('refused hold-released')
    expect(brief(await counter.seats(event, event.seatIds, { customerId: 'ben' }))).toBe('answered 201')
  })

  it('returns the same answer to the same key, also when it has changed since', async () => {
    const key = randomUUID()
    const extended = await counter.extend(holdId, { key })
    await counter.release(holdId)
    expect(await counter.extend(holdId, { key })).toEqual({ ...extended, replayed: true })
  })

  it('is extended only while its event is on sale, and is checked out until it expires, also later', async () => {
    const endSale = `UPDATE events SET sale_closes_at = now() - interval '1 second' WHERE id = $1`
    await office.sql(endSale, [event.eventId])
    const before = await office.sql('SELECT * FROM holds WHERE id = $1', [holdId])
    expect(await counter.extend(holdId)).toMatchObject({
      refusal: { code: 'event-not-on-sale', eventId: event.eventId },
    })
    expect(await office.sql('SELECT * FROM holds WHERE id = $1', [holdId])).toEqual(before)
    expect(brief(await window.checkOut(holdId))).toBe('answered 201')
  })

  it('is extended once by many at once', async () => {
    const answers = valuesOf(await race(Array.from({ length: 6 }, () => () => counter.extend(holdId)))).map(brief)
    expect(answers.filter((answer) => answer === 'answered 200')).toHaveLength(1)
    for (const answer of answers) {
      expect(['answered 200', 'refused hold-extended-before', 'refused hold-checking-out']).toContain(answer)
    }
  })
})

describe('extending and releasing are refused with a code, and change nothing, for', () => {
  const both = async (asking: Parameters<Counter['extend']>[1] = {}, id = holdId) => {
    const before = await office.sql('SELECT * FROM holds WHERE id = $1', [holdId])
    const answers = [brief(await counter.extend(id, asking)), brief(await counter.release(id, asking))]
    expect(await office.sql('SELECT * FROM holds WHERE id = $1', [holdId])).toEqual(before)
    return new Set(answers)
  }

  it('an unknown hold', async () => {
    expect(await both({}, newId())).toEqual(new Set(['refused hold-not-found']))
  })

  it("another account's hold, which is as unknown as none", async () => {
    const accountId = developmentAccounts[1].id
    expect(await both({ accountId })).toEqual(new Set(['refused hold-not-found']))
  })

  it("another customer's hold", async () => {
    expect(await both({ customerId: 'ben' })).toEqual(new Set(['refused hold-of-another-customer']))
  })

  it('a hold whose time is over', async () => {
    await letLapse(office, holdId)
    expect(await both()).toEqual(new Set(['refused hold-expired']))
  })

  it('a hold that was booked', async () => {
    const booking = bookingIn(await window.checkOut(holdId))
    expect(await both()).toEqual(new Set(['refused hold-booked']))
    expect(await counter.release(holdId)).toMatchObject({ refusal: { code: 'hold-booked', bookingId: booking.id } })
  })
})
