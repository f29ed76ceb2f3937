import { randomUUID } from 'node:crypto'
import { type DeclineLimits, noDeclineLimits } from '@seatbelt/domain'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expireHolds } from '../src/hold/expire-holds.ts'
import { type BoxOffice, bookingIn, brief, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, idOf, letLapse, namedSeats, openStoppable, waitsForLock } from './holding.ts'

const declined = 'pm_card_visa_chargeDeclined'

let office: BoxOffice
let window: Window
let counter: Counter
beforeAll(async () => {
  office = await openBoxOffice()
  window = await office.open('api-1')
  counter = counterOf(window)
})
afterAll(() => office?.close())

describe('the limit on what a customer has in all', () => {
  let event: SoldEvent
  beforeEach(async () => {
    event = await office.newEvent({ seatsPerCustomer: 2, seatsPerCustomerInAll: 3 })
  })

  it('counts what is held and what is booked, of all kinds', async () => {
    await window.checkOut(idOf(await counter.seats(event, event.seatIds.slice(0, 2))))
    const holdId = idOf(await counter.places(event, 1))
    const full = { code: 'customer-has-too-many', heldSeats: 1, boughtSeats: 2, mostSeats: 3 }
    expect(await counter.seats(event, event.seatIds.slice(2, 3))).toMatchObject({ refusal: full })
    expect(await counter.adjacent(event, 1)).toMatchObject({ refusal: full })
    expect(await counter.places(event, 1)).toMatchObject({ refusal: full })
    await counter.release(holdId)
    expect(brief(await counter.seats(event, event.seatIds.slice(2, 3)))).toBe('answered 201')
  })

  it('counts neither cancelled bookings, nor another customer, nor another event', async () => {
    const booking = bookingIn(await window.checkOut(idOf(await counter.seats(event, event.seatIds.slice(0, 2)))))
    expect(brief(await counter.adjacent(event, 2))).toBe('refused customer-has-too-many')
    expect(brief(await counter.adjacent(event, 2, { customerId: 'ben' }))).toBe('answered 201')
    const other = await office.newEvent({ seatsPerCustomerInAll: 2 })
    expect(brief(await counter.adjacent(other, 2))).toBe('answered 201')
    await window.cancel(booking.id)
    expect(brief(await counter.seats(event, event.seatIds.slice(0, 2)))).toBe('answered 201')
  })

  it.each([
    ['holds', 'layers'],
    ['without their lock, which shows that the race is real', 'no advisory lock'],
  ] as const)('%s when two servers count at once', async (_, lock) => {
    await window.checkOut(idOf(await counter.seats(event, event.seatIds.slice(0, 2))))
    const layers = () => ({
      redisLock: <T>(_resource: string, work: () => Promise<T>) => work(),
      ...(lock === 'no advisory lock' && {
        advisoryLock: <T>(_tx: unknown, _name: string, work: () => Promise<T>) => work(),
      }),
    })
    const slow = await openStoppable(office, 'slow', { layers })
    const fast = counterOf(await office.open(`fast-${lock}`, { layers }))
    const beforeClaim = slow.stop('INSERT INTO seat_claims')
    const first = slow.counter.seats(event, event.seatIds.slice(2, 3))
    await beforeClaim.reached()
    const second = fast.seats(event, event.seatIds.slice(3, 4))
    await Promise.race([second, waitsForLock(office, `fast-${lock}`).catch(() => undefined)])
    beforeClaim.pass()
    const results = [brief(await first), brief(await second)]
    expect(results).toEqual(['answered 201', lock === 'layers' ? 'refused customer-has-too-many' : 'answered 201'])
    await office.closeReplicas('slow')
    await slow.proxy.close()
  })
})

describe('the pause before a customer may hold the same seats again', () => {
  const pauseMs = 600_000
  let pausing: Window
  let counter: Counter
  let event: SoldEvent
  let seatIds: readonly string[]
  beforeAll(async () => {
    pausing = await office.open('pausing', { pauseMs })
    counter = counterOf(pausing)
    await office.sql('ALTER TABLE holds DISABLE TRIGGER holds_final_stays_final')
  })
  beforeEach(async () => {
    event = await office.newEvent()
    seatIds = event.seatIds.slice(0, 2)
  })

  const letPass = (ms: number) =>
    office.sql(
      `UPDATE holds SET ended_at = ended_at - make_interval(secs => $1), expires_at = expires_at - make_interval(secs => $1)
        WHERE event_id = $2`,
      [ms / 1_000, event.eventId],
    )
  const release = async (holdId: string) => void (await counter.release(holdId))
  const lapse = (holdId: string) => letLapse(office, holdId)
  const sweep = async (holdId: string) => {
    await letLapse(office, holdId)
    await expireHolds(pausing.deps, 10)
  }
  const decline = async (holdId: string) => {
    for (const _ of [1, 2, 3]) await pausing.checkOut(holdId, { paymentMethod: declined })
  }

  it.each([
    ['released', release],
    ['lapsed', lapse],
    ['lapsed and was swept', sweep],
    ['ended with the third declined card', decline],
  ])('begins when a hold of them was %s, and ends by itself', async (_, end) => {
    await end(idOf(await counter.seats(event, seatIds)))
    const refused = await counter.seats(event, event.seatIds.slice(0, 3))
    expect(refused).toMatchObject({ refusal: { code: 'seats-held-recently', customerId: 'customer-1' } })
    expect(namedSeats(refused)).toEqual(seatIds)
    const { retryAfterSeconds } = (refused as { refusal: { retryAfterSeconds: number } }).refusal
    expect(retryAfterSeconds).toBeGreaterThan(pauseMs / 1_000 - 60)
    expect(retryAfterSeconds).toBeLessThanOrEqual(pauseMs / 1_000)
    expect(brief(await counter.seats(event, event.seatIds.slice(2, 3)))).toBe('answered 201')
    await letPass(1_000 * retryAfterSeconds)
    expect(brief(await counter.seats(event, seatIds))).toBe('answered 201')
  })

  it('keeps no other customer from them, nor this customer from places of a tier', async () => {
    await counter.release(idOf(await counter.places(event, 2)))
    expect(brief(await counter.places(event, 2))).toBe('answered 201')
    await counter.release(idOf(await counter.seats(event, seatIds)))
    expect(brief(await counter.seats(event, seatIds, { customerId: 'ben' }))).toBe('answered 201')
    expect(await counter.seats(event, seatIds)).toMatchObject({ refusal: { code: 'seats-taken' } })
  })

  it('does not follow a booking that was cancelled', async () => {
    const booking = bookingIn(await pausing.checkOut(idOf(await counter.seats(event, seatIds))))
    await pausing.cancel(booking.id)
    expect(brief(await counter.seats(event, seatIds))).toBe('answered 201')
  })

  it('makes the choice of the best seats pass over them, and says so when no others are left', async () => {
    const best = await counter.adjacent(event, 2)
    await counter.release(idOf(best))
    expect(brief(await counter.adjacent(event, 4))).toBe('refused seats-held-recently')
    const single = idOf(await counter.adjacent(event, 1))
    const [row] = await office.sql<{ seatIds: string[] }>('SELECT seat_ids AS "seatIds" FROM holds WHERE id = $1', [
      single,
    ])
    expect([event.seatIds[0], event.seatIds[3]]).toContain(row?.seatIds[0])
    expect(brief(await counter.adjacent(event, 5))).toBe('refused no-adjacent-seats')
  })

  it('cannot be passed while the hold is just ending at another server', async () => {
    const holdId = idOf(await counter.seats(event, seatIds))
    const slow = await openStoppable(office, 'slow', { pauseMs })
    const beforeCommit = slow.stop('COMMIT')
    const ending = slow.counter.release(holdId)
    await beforeCommit.reached()
    expect(brief(await counter.seats(event, seatIds))).toBe('refused seats-taken')
    beforeCommit.pass()
    await ending
    expect(brief(await counter.seats(event, seatIds))).toBe('refused seats-held-recently')
    await office.closeReplicas('slow')
    await slow.proxy.close()
  })

  it('is off where it is 0', async () => {
    const plain = counterOf(window)
    await plain.release(idOf(await plain.seats(event, seatIds)))
    expect(brief(await plain.seats(event, seatIds))).toBe('answered 201')
  })
})

describe('declines of a customer at checkouts', () => {
  it('are limited over all holds, and a hold whose checkout was refused goes on', async () => {
    const event = await office.newEvent()
    const limits: DeclineLimits = { ...noDeclineLimits, perCustomer: 2 }
    const limited = await office.open('limited', { declineLimits: limits })
    // Others have tried bad cards in the tests before.
    const ada = { customerId: 'ada' }
    const [first, second] = [
      idOf(await counter.seats(event, event.seatIds.slice(0, 1), ada)),
      idOf(await counter.seats(event, event.seatIds.slice(1, 2), ada)),
    ]
    for (const holdId of [first, second]) await limited.checkOut(holdId, { ...ada, paymentMethod: declined })
    const key = randomUUID()
    expect(await limited.checkOut(first, { ...ada, key })).toMatchObject({
      refusal: { code: 'too-many-declines', scope: 'customer' },
    })
    const [hold] = await office.sql('SELECT state::text, checkouts FROM holds WHERE id = $1', [first])
    expect(hold).toEqual({ state: 'active', checkouts: 1 })
    const others = { customerId: 'ben' }
    const holdOfBen = idOf(await counter.seats(event, event.seatIds.slice(2, 3), others))
    expect(brief(await limited.checkOut(holdOfBen, others))).toBe('answered 201')
  })
})
