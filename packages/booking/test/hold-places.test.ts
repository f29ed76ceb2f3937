import { raceCopies, valuesOf } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { expireHolds, expireHoldsOfTier } from '../src/hold/expire-holds.ts'
import { type BoxOffice, brief, holdIn, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, countOf, idOf, letLapse, openStoppable, placesOf, waitsForLock } from './holding.ts'

let office: BoxOffice
let slow: Awaited<ReturnType<typeof openStoppable>>
let window: Window
let other: Counter
beforeEach(async () => {
  office = await openBoxOffice()
  slow = await openStoppable(office, 'slow')
  window = await office.open('other')
  other = counterOf(window)
})
afterEach(async () => {
  await office.closeReplicas('')
  await slow.proxy.close()
  await office.close()
})

const newTier = (capacity: number): Promise<SoldEvent> => office.newEvent({ capacity })
const ada = { customerId: 'ada' }
const ben = { customerId: 'ben' }

describe('a hold of places', () => {
  it('counts them as held, at the price of the tier, and frees them when it is released', async () => {
    const event = await newTier(10)
    const hold = holdIn(await other.places(event, 3))
    expect(hold).toMatchObject({ state: 'active', quantity: 3, amountMinor: 6_000, tierId: event.tierId, seatIds: [] })
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 3 })
    expect(brief(await other.release(hold.id))).toBe('answered 200')
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 0 })
    const change = { eventId: event.eventId, seatIds: [], tierId: event.tierId, quantity: 3 }
    expect(window.published).toEqual([
      { ...change, state: 'held' },
      { ...change, state: 'free' },
    ])
  })

  it('is extended by its own row alone', async () => {
    const event = await newTier(10)
    const hold = holdIn(await other.places(event, 3))
    const extended = holdIn(await other.extend(hold.id))
    expect(extended.extended).toBe(true)
    expect(Date.parse(`${extended.expiresAt}`)).toBeGreaterThan(Date.parse(`${hold.expiresAt}`))
  })

  it('is refused when not all of it is free, and nothing is changed', async () => {
    const event = await newTier(5)
    await other.places(event, 3, ada)
    expect(brief(await other.places(event, 3, ben))).toBe('refused sold-out')
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 3 })
    expect(await countOf(office, 'holds')).toBe(1)
  })
})

describe('the last places', () => {
  it('go to exactly so many requests', async () => {
    const event = await newTier(10)
    const counters = [slow.counter, other]
    const results = valuesOf(
      await raceCopies(24, (copy) =>
        (counters[copy % 2] ?? other).places(event, 1, { customerId: `customer-${copy}` }),
      ),
    )
    expect(results.map(brief).filter((answer) => answer === 'answered 201')).toHaveLength(10)
    expect(results.map(brief).filter((answer) => answer === 'refused sold-out')).toHaveLength(14)
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 10 })
  })

  it('go to the first of two requests that saw them free', async () => {
    const event = await newTier(1)
    const beforeTaking = slow.stop('UPDATE tiers')
    const slowHold = slow.counter.places(event, 1, ada)
    await beforeTaking.reached()
    expect(brief(await other.places(event, 1, ben))).toBe('answered 201')
    beforeTaking.pass()
    expect(brief(await slowHold)).toBe('refused sold-out')
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 1 })
    expect(await countOf(office, 'holds')).toBe(1)
  })

  it('are protected by the database from every writer', async () => {
    const event = await newTier(1)
    await other.places(event, 1)
    await expect(office.sql('UPDATE tiers SET held = held + 1 WHERE id = $1', [event.tierId])).rejects.toThrow(
      'tiers_never_oversold',
    )
  })
})

describe('sold-out means that nothing has lapsed', () => {
  it('lapsed holds are expired first, although no sweeper runs', async () => {
    const event = await newTier(5)
    const holdId = idOf(await other.places(event, 4, ada))
    expect(brief(await other.places(event, 2, ben))).toBe('refused sold-out')
    await letLapse(office, holdId)
    expect(brief(await other.places(event, 2, ben))).toBe('answered 201')
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 2 })
    expect(await office.sql('SELECT state FROM holds WHERE id = $1', [holdId])).toEqual([{ state: 'expired' }])
  })

  it('a hold that lapses between the read and the write is found as well', async () => {
    const event = await newTier(5)
    const holdId = idOf(await other.places(event, 3, ada))
    const beforeTaking = slow.stop('UPDATE tiers SET held = held +')
    const slowHold = slow.counter.places(event, 2, ben)
    await beforeTaking.reached()
    await other.places(event, 2, { customerId: 'eve' })
    await letLapse(office, holdId)
    beforeTaking.pass()
    expect(brief(await slowHold)).toBe('answered 201')
  })

  it('a request waits for another transaction that is expiring the hold', async () => {
    const event = await newTier(1)
    await letLapse(office, idOf(await other.places(event, 1, ada)))
    const beforeCommit = slow.stop('COMMIT')
    const expiring = expireHoldsOfTier(slow.window.deps, event.tierId)
    await beforeCommit.reached()
    const hold = other.places(event, 1, ben)
    await waitsForLock(office, 'other')
    beforeCommit.pass()
    expect(await expiring).toBe(1)
    expect(brief(await hold)).toBe('answered 201')
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 1 })
  })

  it('for many requests at once that expire the same holds, beside two sweepers', async () => {
    const event = await newTier(10)
    for (let customer = 0; customer < 10; customer += 1) {
      await letLapse(office, idOf(await other.places(event, 1, { customerId: `gone-${customer}` })))
    }
    const [holds] = await Promise.all([
      raceCopies(16, (copy) =>
        (copy % 2 === 0 ? slow.counter : other).places(event, 1, { customerId: `customer-${copy}` }),
      ),
      expireHolds(window.deps, 3),
      expireHolds(slow.window.deps, 3),
    ])
    expect(
      valuesOf(holds)
        .map(brief)
        .filter((answer) => answer === 'answered 201'),
    ).toHaveLength(10)
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 10 })
  })
})
