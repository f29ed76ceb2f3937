import type { Database, Tx } from '@seatbelt/database'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type BoxOffice,
  bookingIn,
  brief,
  insertHold,
  openBoxOffice,
  type SoldEvent,
  type Window,
} from './box-office.ts'
import { openStoppable } from './holding.ts'

/**
 * Each guard of a write, against a change between the read and the write.
 *
 * Row locks prevent such changes, so they are left out here. The control runs the same race with a guard that passes
 * everything.
 */
let office: BoxOffice
let event: SoldEvent
let slow: Awaited<ReturnType<typeof openStoppable>>
beforeEach(async () => {
  office = await openBoxOffice()
  slow = await openStoppable(office, 'slow', {
    layers: ({ transaction }) => ({ transaction: withoutRowLocks(transaction) }),
  })
  event = await office.newEvent()
})
afterEach(async () => {
  await office.closeReplicas('')
  await slow.proxy.close()
  await office.close()
})

function withoutRowLocks(transaction: Database['transaction']): Database['transaction'] {
  return (work) =>
    transaction((tx, rollBack) => {
      const unlocked: Tx = {
        read: ({ text, values }) => tx.read({ text: text.replace('FOR UPDATE', ''), values }),
        write: (statement) => tx.write(statement),
        writeReturning: (statement) => tx.writeReturning(statement),
        afterCommit: (publish) => tx.afterCommit(publish),
      }
      return work(unlocked, rollBack)
    })
}

const passEverything = `
  CREATE OR REPLACE FUNCTION guard(holds boolean, name text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'`

interface Race {
  readonly guard: string
  /** Of the write that is guarded. */
  readonly statement: string
  readonly prepare: () => Promise<string>
  readonly operate: (window: Window, id: string) => Promise<Parameters<typeof brief>[0]>
  /** By hand, so that a trigger does not keep it from happening. `$1` is what was prepared. */
  readonly change: string
  readonly result: string
  readonly withoutGuard: string
}

const twoSeats = () => insertHold(office, event, { seatIds: event.seatIds.slice(0, 2) })
const threePlaces = () => insertHold(office, event, { places: 3 })
const booked = async () => bookingIn(await slow.window.checkOut(await twoSeats())).id
const checkOut: Race['operate'] = (window, holdId) => window.checkOut(holdId)

const loseOneClaim = `DELETE FROM seat_claims WHERE seat_id = (
  SELECT seat_id FROM seat_claims WHERE hold_id = $1 ORDER BY seat_id LIMIT 1)`

const races: readonly Race[] = [
  {
    guard: 'seats-claimed, when a checkout pins its seats',
    statement: 'SET pinned = true',
    prepare: twoSeats,
    operate: checkOut,
    change: loseOneClaim,
    result: 'refused hold-expired',
    withoutGuard: 'answered 410',
  },
  {
    guard: 'hold-state, when a checkout begins',
    statement: `state = 'checking_out', checkouts`,
    prepare: twoSeats,
    operate: checkOut,
    change: `UPDATE holds SET state = 'released' WHERE id = $1`,
    result: 'refused hold-released',
    withoutGuard: 'unsettled',
  },
  {
    guard: 'hold-state, when a hold is released',
    statement: 'UPDATE holds',
    prepare: twoSeats,
    operate: (_, holdId) => slow.counter.release(holdId),
    change: `UPDATE holds SET state = 'expired' WHERE id = $1`,
    result: 'refused hold-expired',
    withoutGuard: 'answered 200',
  },
  {
    guard: 'seats-claimed, when the seats are booked',
    statement: 'SET booking_id',
    prepare: twoSeats,
    operate: checkOut,
    change: loseOneClaim,
    result: 'answered 410',
    withoutGuard: 'answered 201',
  },
  {
    guard: 'places-held, when the places are booked',
    statement: 'SET sold = sold +',
    prepare: threePlaces,
    operate: checkOut,
    change: 'UPDATE tiers SET held = 0 FROM holds WHERE holds.tier_id = tiers.id AND holds.id = $1',
    result: 'answered 410',
    withoutGuard: 'answered 201',
  },
  {
    guard: 'booking-state, when a booking is confirmed',
    statement: 'UPDATE bookings',
    prepare: twoSeats,
    operate: checkOut,
    change: `UPDATE bookings SET state = 'cancelled', cancelled_at = now() WHERE hold_id = $1`,
    result: 'answered 409',
    withoutGuard: 'answered 201',
  },
  {
    guard: 'booking-state, when a booking is cancelled',
    statement: 'UPDATE bookings',
    prepare: booked,
    operate: (window, bookingId) => window.cancel(bookingId),
    change: `UPDATE bookings SET state = 'cancelled', cancelled_at = now() WHERE id = $1`,
    result: 'refused booking-cancelled',
    withoutGuard: 'answered 201',
  },
]

async function run({ statement, prepare, operate, change }: Race): Promise<string> {
  const id = await prepare()
  const beforeWrite = slow.stop(statement)
  const result = operate(slow.window, id)
  await beforeWrite.reached()
  await office.sql('SET session_replication_role = replica')
  await office.sql(change, [id])
  await office.sql('SET session_replication_role = DEFAULT')
  beforeWrite.pass()
  return brief(await result)
}

describe.each(races.map((race) => ({ ...race, race })))('the guard $guard', ({ race, result, withoutGuard }) => {
  it('rolls back, and the next run reads the change', async () => {
    expect(await run(race)).toBe(result)
  })

  it('without it, the write goes wrong: so the race is real', async () => {
    await office.sql(passEverything)
    expect(await run(race)).toBe(withoutGuard)
  })
})
