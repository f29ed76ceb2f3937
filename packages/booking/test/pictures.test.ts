import { createLatch } from '@seatbelt/testing'
import { expect, it } from 'vitest'
import { createPictures } from '../src/event/snapshot-cache.ts'

/** Pictures that are numbered as they are taken, each of which waits for the test. */
function camera({ weight = 1, mostWeight = 10 } = {}) {
  const clock = { nowMs: 0 }
  const taken: { readonly name: string; develop(picture?: number | null): void; fail(): void }[] = []
  const pictures = createPictures<number>({
    take: (name) =>
      new Promise((resolve, reject) => {
        const number = taken.length + 1
        taken.push({
          name,
          develop: (picture = number) => resolve(picture),
          fail: () => reject(new Error(`picture ${number}`)),
        })
      }),
    maxAgeMs: 500,
    mostWeight,
    weigh: () => weight,
    now: () => clock.nowMs,
  })
  return { pictures, clock, taken }
}

it('however many ask, one is taken, and it serves for its time', async () => {
  const { pictures, clock, taken } = camera()
  const asked = Array.from({ length: 50 }, () => pictures.get('hall'))
  clock.nowMs = 500
  asked.push(pictures.get('hall'))
  taken[0]?.develop()
  expect(new Set(await Promise.all(asked))).toEqual(new Set([1]))
  expect(await pictures.get('hall')).toBe(1)
  expect(taken).toHaveLength(1)
})

it('its age counts from before the question: who asks later gets another', async () => {
  const { pictures, clock, taken } = camera()
  const first = pictures.get('hall')
  clock.nowMs = 400
  taken[0]?.develop()
  await first
  clock.nowMs = 501
  const second = pictures.get('hall')
  taken[1]?.develop()
  expect(await second).toBe(2)
})

it('a slow database is asked one thing at a time, and nobody gets what is too old for him', async () => {
  const { pictures, clock, taken } = camera()
  const early = pictures.get('hall')
  clock.nowMs = 501
  const late = [pictures.get('hall'), pictures.get('hall')]
  clock.nowMs = 2_000
  late.push(pictures.get('hall'))
  expect(taken).toHaveLength(1)
  taken[0]?.develop()
  expect(await early).toBe(1)
  await Promise.resolve()
  expect(taken).toHaveLength(2)
  taken[1]?.develop()
  expect(await Promise.all(late)).toEqual([2, 2, 2])
})

it('a fault is of those who asked, and is not kept', async () => {
  const { pictures, clock, taken } = camera()
  const first = pictures.get('hall')
  clock.nowMs = 501
  const second = pictures.get('hall')
  taken[0]?.fail()
  await expect(first).rejects.toThrow('picture 1')
  taken[1]?.develop()
  expect(await second).toBe(2)
})

it('what is not there is not remembered', async () => {
  const { pictures, taken } = camera()
  const first = pictures.get('hall')
  taken[0]?.develop(null)
  expect(await first).toBeNull()
  const second = pictures.get('hall')
  taken[1]?.develop()
  expect(await second).toBe(2)
})

it('what is kept is bounded by its weight: the oldest makes room', async () => {
  const { pictures, taken } = camera({ weight: 4, mostWeight: 10 })
  for (const name of ['a', 'b', 'c']) {
    const asked = pictures.get(name)
    taken.at(-1)?.develop()
    await asked
  }
  const known = createLatch('b and c are kept')
  void Promise.all([pictures.get('b'), pictures.get('c')]).then(known.open)
  await known.wait()
  expect(taken).toHaveLength(3)
  void pictures.get('a')
  expect(taken.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'a'])
})
