import { eventually } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { expireHolds } from '../src/hold/expire-holds.ts'
import { type BoxOffice, brief, insertHold, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, idOf, letLapse, openStoppable, ownersOf, placesOf, waitsForLock } from './holding.ts'

let office: BoxOffice
let window: Window
let counter: Counter
let slow: Awaited<ReturnType<typeof openStoppable>>
let event: SoldEvent
beforeEach(async () => {
  office = await openBoxOffice()
  window = await office.open('worker')
  counter = counterOf(window)
  slow = await openStoppable(office, 'slow')
  event = await office.newEvent()
})
afterEach(async () => {
  await office.closeReplicas('')
  await slow.proxy.close()
  await office.close()
})

async function statesOf(...holdIds: string[]): Promise<string[]> {
  const rows = await office.sql<{ state: string }>(
    'SELECT state FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place) JOIN holds USING (id) ORDER BY place',
    [holdIds],
  )
  return rows.map(({ state }) => state)
}

/** Long enough for the owner to begin an operation on a busy machine. */
const lastsMs = 3_000

function isOver(holdId: string): Promise<unknown> {
  return eventually('its time is over', async () => {
    const [hold] = await office.sql<{ over: boolean }>(
      'SELECT expires_at <= clock_timestamp() AS over FROM holds WHERE id = $1',
      [holdId],
    )
    return hold?.over
  })
}

describe('the sweeper', () => {
  it('expires lapsed holds, frees their seats and places, publishes that, and leaves other holds alone', async () => {
    const seats = idOf(await counter.seats(event, event.seatIds.slice(0, 2)))
    const places = idOf(await counter.places(event, 3))
    const alive = idOf(await counter.seats(event, event.seatIds.slice(2, 3)))
    await letLapse(office, seats)
    await letLapse(office, places)
    const publishedBefore = window.published.length

    expect(await expireHolds(window.deps, 100)).toBe(2)
    expect(await statesOf(seats, places, alive)).toEqual(['expired', 'expired', 'active'])
    expect(await office.sql('SELECT hold_id AS id FROM seat_claims')).toEqual([{ id: alive }])
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 0 })
    expect(window.published.slice(publishedBefore)).toHaveLength(2)
    expect(await expireHolds(window.deps, 100)).toBe(0)
  })

  it('expires at most as many as its limit, the oldest first', async () => {
    const [younger, older] = [
      await insertHold(office, event, { places: 1 }),
      await insertHold(office, event, { places: 1 }),
    ]
    await letLapse(office, younger)
    await office.sql(`UPDATE holds SET expires_at = now() - interval '1 hour' WHERE id = $1`, [older])
    expect(await expireHolds(window.deps, 1)).toBe(1)
    expect(await statesOf(older, younger)).toEqual(['expired', 'active'])
  })

  it('leaves seats that were taken over with their new owner', async () => {
    const lapsed = idOf(await counter.seats(event, event.seatIds.slice(0, 2)))
    await letLapse(office, lapsed)
    const taken = idOf(await counter.seats(event, event.seatIds.slice(1, 2), { customerId: 'ben' }))
    expect(await expireHolds(window.deps, 100)).toBe(1)
    expect(await ownersOf(office, event.seatIds)).toEqual([null, taken, null, null])
    expect(window.published.at(-1)).toMatchObject({ seatIds: event.seatIds.slice(0, 1), state: 'free' })
  })

  it('leaves a hold alone that is being checked out, although its time is over', async () => {
    const holdId = await insertHold(office, event, { seatIds: event.seatIds.slice(0, 1) })
    const afterClaim = slow.stop('UPDATE payments SET gateway_intent_id')
    const paying = slow.window.checkOut(holdId)
    await afterClaim.reached()
    // By hand, because a trigger rejects the change of a hold that is being checked out.
    await office.sql(
      `BEGIN; SET LOCAL session_replication_role = replica;
       UPDATE holds SET expires_at = now() - interval '1 hour' WHERE id = '${holdId}'; COMMIT`,
    )
    expect(await expireHolds(window.deps, 100)).toBe(0)
    expect(brief(await counter.release(holdId))).toBe('refused hold-checking-out')
    afterClaim.pass()
    expect(brief(await paying)).toBe('answered 201')
  })
})

describe('two sweepers', () => {
  it('take different holds, and neither waits for the other', async () => {
    const lapsed = [await insertHold(office, event, { places: 1 }), await insertHold(office, event, { places: 1 })]
    for (const holdId of lapsed) await letLapse(office, holdId)
    const beforeCounter = slow.stop('UPDATE tiers')
    const slowSweep = expireHolds(slow.window.deps, 1)
    await beforeCounter.reached()
    expect(await expireHolds(window.deps, 100)).toBe(1)
    beforeCounter.pass()
    expect(await slowSweep).toBe(1)
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 0 })
  })
})

describe('the sweeper and a request that takes lapsed seats over', () => {
  it('lock the seats in one order, and do not deadlock', async () => {
    const seatIds = event.seatIds.slice(0, 3)
    // Written backwards, so that the order of the table is not that of the seats.
    await letLapse(office, await insertHold(office, event, { seatIds: seatIds.toReversed() }))
    let tries = 0
    const [sweeper, taker] = [await openCounting('sweeper'), await openCounting('taker')]
    const inTheMiddle = new pg.Client({ connectionString: office.databaseUrl })
    await inTheMiddle.connect()
    try {
      await inTheMiddle.query('BEGIN')
      await inTheMiddle.query('SELECT FROM seat_claims WHERE seat_id = $1 FOR UPDATE', [seatIds[1]])
      // Each has by now what it locks first.
      const sweep = expireHolds(sweeper.deps, 100)
      await waitsForLock(office, 'sweeper')
      const takeover = counterOf(taker).seats(event, seatIds, { customerId: 'ben' })
      await waitsForLock(office, 'taker')
      await inTheMiddle.query('ROLLBACK')
      expect(await sweep).toBe(1)
      const taken = idOf(await takeover)
      expect(await ownersOf(office, seatIds)).toEqual([taken, taken, taken])
    } finally {
      await inTheMiddle.end()
    }
    // PostgreSQL ends a deadlock by failing one of the two, which would have been tried again.
    expect(tries).toBe(2)

    function openCounting(by: string): Promise<Window> {
      return office.open(by, {
        layers: ({ transaction }) => ({
          transaction: (work) =>
            transaction((tx, rollBack) => {
              tries += 1
              return work(tx, rollBack)
            }),
        }),
      })
    }
  })
})

describe('the sweeper and the owner of a hold that is just about to lapse', () => {
  it.each([
    ['extend', 'UPDATE seat_claims'],
    ['release', 'UPDATE holds'],
  ] as const)('do not collide if the owner comes first to %s it', async (what, statement) => {
    const holdId = await insertHold(office, event, { seatIds: event.seatIds.slice(0, 1) }, { lastsMs })
    const beforeWriting = slow.stop(statement)
    const owner = slow.counter[what](holdId)
    await beforeWriting.reached()
    await isOver(holdId)
    expect(await expireHolds(window.deps, 100)).toBe(0)
    beforeWriting.pass()
    expect(brief(await owner)).toBe('answered 200')
    expect(await expireHolds(window.deps, 100)).toBe(0)
    expect(await statesOf(holdId)).toEqual([what === 'extend' ? 'active' : 'released'])
  })

  it.each(['extend', 'release'] as const)('refuse the owner that comes second to %s it', async (what) => {
    const holdId = await insertHold(office, event, { places: 2 })
    await letLapse(office, holdId)
    const beforeCommit = slow.stop('COMMIT')
    const sweep = expireHolds(slow.window.deps, 100)
    await beforeCommit.reached()
    const owner = counter[what](holdId)
    await waitsForLock(office, 'worker')
    beforeCommit.pass()
    expect(await sweep).toBe(1)
    expect(brief(await owner)).toBe('refused hold-expired')
    expect(await placesOf(office, event)).toEqual({ sold: 0, held: 0 })
  })
})
