import { expect, it } from 'vitest'
import { createSnapshotCache } from '../src/event/snapshot-cache.ts'

/** A cache over queries that are numbered in their order, each of which waits for the test. */
function slowQueries({ size = 1, maxSize = 10 } = {}) {
  const clock = { nowMs: 0 }
  const loads: { readonly name: string; answer(snapshot?: number | null): void; fail(): void }[] = []
  const cache = createSnapshotCache<number>({
    load: (name) =>
      new Promise((resolve, reject) => {
        const number = loads.length + 1
        loads.push({
          name,
          answer: (snapshot = number) => resolve(snapshot),
          fail: () => reject(new Error(`query ${number}`)),
        })
      }),
    maxAgeMs: 500,
    maxSize,
    sizeOf: () => size,
    now: () => clock.nowMs,
  })
  return { cache, clock, loads }
}

it('however many read at once, one query runs, and its snapshot serves until its maximal age', async () => {
  const { cache, clock, loads } = slowQueries()
  const asked = Array.from({ length: 50 }, () => cache.get('hall'))
  clock.nowMs = 500
  asked.push(cache.get('hall'))
  loads[0]?.answer()
  expect(new Set(await Promise.all(asked))).toEqual(new Set([1]))
  expect(await cache.get('hall')).toBe(1)
  expect(loads).toHaveLength(1)
})

it('its age counts from before the query: a later reader gets another snapshot', async () => {
  const { cache, clock, loads } = slowQueries()
  const first = cache.get('hall')
  clock.nowMs = 400
  loads[0]?.answer()
  await first
  clock.nowMs = 501
  const second = cache.get('hall')
  loads[1]?.answer()
  expect(await second).toBe(2)
})

it('one query of a name runs at a time, and no reader gets a snapshot that is too old for it', async () => {
  const { cache, clock, loads } = slowQueries()
  const early = cache.get('hall')
  clock.nowMs = 501
  const late = [cache.get('hall'), cache.get('hall')]
  clock.nowMs = 2_000
  late.push(cache.get('hall'))
  expect(loads).toHaveLength(1)
  loads[0]?.answer()
  expect(await early).toBe(1)
  await Promise.resolve()
  expect(loads).toHaveLength(2)
  loads[1]?.answer()
  expect(await Promise.all(late)).toEqual([2, 2, 2])
})

it('a failure reaches the readers that waited for it, and is not kept', async () => {
  const { cache, clock, loads } = slowQueries()
  const first = cache.get('hall')
  clock.nowMs = 501
  const second = cache.get('hall')
  loads[0]?.fail()
  await expect(first).rejects.toThrow('query 1')
  loads[1]?.answer()
  expect(await second).toBe(2)
})

it('a name without a snapshot is not remembered', async () => {
  const { cache, loads } = slowQueries()
  const first = cache.get('hall')
  loads[0]?.answer(null)
  expect(await first).toBeNull()
  const second = cache.get('hall')
  loads[1]?.answer()
  expect(await second).toBe(2)
})

it('the size of all snapshots is bounded: what was not read for the longest time makes room', async () => {
  const { cache, loads } = slowQueries({ size: 4, maxSize: 10 })
  const read = async (name: string) => {
    const asked = cache.get(name)
    loads.at(-1)?.answer()
    await asked
  }
  for (const name of ['a', 'b', 'a', 'c', 'a', 'd', 'a']) await read(name)
  expect(loads.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd'])
  await read('b')
  expect(loads.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'b'])
})
