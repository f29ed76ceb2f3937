import fc from 'fast-check'
import { expect, it } from 'vitest'
import { countOverlappingPairs } from '../../src/auditor/overlapping-pairs.ts'
import { attempt, paidOrder } from './history.ts'
import { owner, seatAttempt, standing } from './sale.ts'

const order = paidOrder(1)
const flight = (sentAt: number, endedAt: number, inFlightMs: number) => attempt(order, { sentAt, endedAt, inFlightMs })

it('counts two attempts of one batch that cannot have fitted in one after the other', () => {
  expect(countOverlappingPairs([flight(0, 100, 99), flight(0, 100, 5)])).toBe(1)
})

it('does not count two short attempts of one batch, which may have gone one after the other', () => {
  expect(countOverlappingPairs([flight(0, 100, 5), flight(0, 100, 5)])).toBe(0)
})

it('does not count attempts that only touch, whatever the rounding of their clocks', () => {
  expect(countOverlappingPairs([flight(0, 100, 100), flight(100, 200, 100)])).toBe(0)
  expect(countOverlappingPairs([flight(0, 100, 100), flight(99, 199, 100)])).toBe(0)
})

it('does not count attempts that never got an answer', () => {
  expect(countOverlappingPairs([flight(0, 100, 0), flight(0, 100, 99)])).toBe(0)
})

it('does not count attempts for different orders', () => {
  expect(countOverlappingPairs([flight(0, 100, 100), { ...flight(0, 100, 100), orderId: 'another' }])).toBe(0)
})

it('counts attempts for one seat, one tier and one hold, and not those for different ones', () => {
  const inFlight = { sentAt: 0, endedAt: 100, inFlightMs: 99 }
  const asked = (one: typeof owner, holdId: string | null) => seatAttempt(one, 'hold', 0, { ...inFlight, holdId })
  const pairsOf = (...attempts: ReturnType<typeof asked>[]) => countOverlappingPairs([], attempts)
  expect(pairsOf(asked(owner, null), asked(owner, null))).toBe(1)
  expect(pairsOf(asked(standing, null), asked(standing, null))).toBe(1)
  expect(pairsOf(asked(owner, 'hold'), asked(owner, 'hold'))).toBe(1)
  expect(pairsOf(asked(owner, null), asked({ ...owner, seatIds: ['seat-2'] }, null))).toBe(0)
  expect(pairsOf(asked(owner, 'hold'), asked(owner, 'another'), asked(standing, null))).toBe(0)
})

it('never counts a pair that did not overlap', () => {
  const actual = fc.record({ start: fc.nat(500), ms: fc.nat(300), before: fc.nat(50), after: fc.nat(50) })
  fc.assert(
    fc.property(actual, actual, (one, other) => {
      const overlaps = one.start < other.start + other.ms && other.start < one.start + one.ms
      // What the client can know: a window around the flight, in whole milliseconds rounded down, and its length.
      const seen = [one, other].map(({ start, ms, before, after }) => flight(start - before, start + ms + after, ms))
      if (!overlaps) expect(countOverlappingPairs(seen)).toBe(0)
    }),
  )
})
