import { expect, it } from 'vitest'
import { createMeetingPlace } from '../../src/auditor/meeting-place.ts'

it('lets nobody go before the last one is there, and then everybody', async () => {
  const meetings = createMeetingPlace({ waitMs: 4_000 })
  let gone = 0
  const first = [1, 2].map(() => meetings.arrive('m', 3).then((met) => (gone += Number(met))))
  // Whatever was to be let go too early has had its turn after this.
  await new Promise((resolve) => setImmediate(resolve))
  expect(gone).toBe(0)
  expect(await meetings.arrive('m', 3)).toBe(true)
  await Promise.all(first)
  expect(gone).toBe(2)
})

it('lets a client go alone whom nobody joins', async () => {
  expect(await createMeetingPlace({ waitMs: 1 }).arrive('m', 2)).toBe(false)
})

it('does not count a client that has gone again', async () => {
  const meetings = createMeetingPlace({ waitMs: 1 })
  await meetings.arrive('m', 2)
  expect(await meetings.arrive('m', 2)).toBe(false)
})
