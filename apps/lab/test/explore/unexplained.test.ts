import { CommitUnknown, TransactionConflict } from '@seatbelt/database'
import { describe, expect, it } from 'vitest'
import { unexplained } from '../../src/explore/unexplained.ts'
import type { World } from '../../src/explore/world.ts'

describe('a fault of an actor', () => {
  it.each([
    {
      what: 'a lost commit in a schedule with a fault',
      fault: new CommitUnknown('no answer', { result: null }),
      isDisturbed: true,
    },
    { what: 'a row that another actor changed', fault: new TransactionConflict('it changed'), isDisturbed: false },
  ])('is explained when it is $what', ({ fault, isDisturbed }) => {
    expect(unexplained(worldWith(fault, isDisturbed), { a: 'answered 201' })).toEqual([])
  })

  it.each([
    {
      what: 'a lost commit in a schedule without a fault',
      fault: new CommitUnknown('no answer', { result: null }),
      isDisturbed: false,
    },
    { what: 'a payment that two owners saw differently', fault: new Error('seen otherwise'), isDisturbed: true },
  ])('is a violation when it is $what', ({ fault, isDisturbed }) => {
    expect(unexplained(worldWith(fault, isDisturbed), {})).toEqual([expect.stringContaining('a reported')])
  })

  it('is a violation when a request fails and no server was taken from it', () => {
    const ended = { a: 'failed: the connection is gone', b: null, c: 'answered 200' }
    expect(unexplained(worldWith(null, false), ended)).toEqual(['a failed: the connection is gone'])
    expect(unexplained(worldWith(null, true), ended)).toEqual([])
    expect(unexplained(worldWith(null, true), { a: 'failed: a lock was not granted in time' })).toEqual([])
    expect(unexplained(worldWith(null, true), { a: 'failed: undefined is not a function' })).toHaveLength(1)
  })
})

function worldWith(fault: Error | null, isDisturbed: boolean): World {
  const faults = fault ? [{ actor: 'a', fault }] : []
  const ids = { accountId: '', orderId: '', eventId: '', holdId: '', seatIds: [] }
  return { ...ids, attempts: [], seatAttempts: [], faults, isDisturbed }
}
