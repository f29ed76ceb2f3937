import { expect, it } from 'vitest'
import { createRunStore } from '../../src/auditor/run-store.ts'
import { attempt, paidOrder } from './history.ts'
import { seatAttempt, stroller } from './sale.ts'

const batch = (sender: string, number: number, attempts = 1) => ({
  sender,
  number,
  attempts: Array.from({ length: attempts }, (_, index) => attempt(paidOrder(index))),
})

it('takes a batch that is sent again only once', () => {
  const store = createRunStore()
  expect([store.add('r', batch('a', 1)), store.add('r', batch('a', 1))]).toEqual(['added', 'known'])
  expect(store.find('r')?.attempts).toHaveLength(1)
})

it('knows the senders of which a batch is missing, in whatever order they came', () => {
  const store = createRunStore()
  for (const [sender, number] of [
    ['whole', 2],
    ['whole', 1],
    ['holed', 1],
    ['holed', 3],
  ] as const) {
    store.add('r', batch(sender, number))
  }
  expect(store.find('r')?.sendersWithGaps()).toEqual(['holed'])
})

it('lets the oldest run go for a new one, and refuses what alone is too much', () => {
  const store = createRunStore({ attempts: 3, runs: 8 })
  store.add('old', batch('a', 1, 2))
  expect(store.add('new', batch('a', 1, 2))).toBe('added')
  expect(store.find('old')).toBeUndefined()
  expect(store.add('new', batch('a', 2, 2))).toBe('full')
  expect(store.find('new')?.attempts).toHaveLength(2)
})

it('holds no more runs than its limit', () => {
  const store = createRunStore({ attempts: 100, runs: 2 })
  for (const name of ['one', 'two', 'three']) store.add(name, batch('a', 1))
  expect(['one', 'two', 'three'].filter((name) => store.find(name) !== undefined)).toEqual(['two', 'three'])
})

it('takes attempts about seats of senders of their own, knows which are missing, and lets them count for its limit', () => {
  const store = createRunStore({ attempts: 3, runs: 8 })
  const seats = (number: number) => ({
    ...{ sender: 'a-seats', number },
    attempts: [seatAttempt(stroller, 'hold', 0), seatAttempt(stroller, 'release', 1)],
  })
  expect([store.addSeats('r', seats(2)), store.addSeats('r', seats(2))]).toEqual(['added', 'known'])
  expect(store.find('r')).toMatchObject({ attempts: [], seatAttempts: seats(2).attempts })
  expect(store.find('r')?.sendersWithGaps()).toEqual(['a-seats'])
  expect([store.add('r', batch('a', 1)), store.add('r', batch('a', 2))]).toEqual(['added', 'full'])
  expect(store.addSeats('other', seats(1))).toBe('added')
  expect(store.find('r')).toBeUndefined()
})
