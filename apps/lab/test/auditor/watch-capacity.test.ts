import { createLatch } from '@seatbelt/testing'
import { expect, it } from 'vitest'
import { type CapacityWatch, watchCapacity } from '../../src/auditor/watch-capacity.ts'

const at = new Date(1_000)

/** A database whose counters are what the test says, sample by sample; the last one stays. */
function databaseWith(
  samples: readonly { readonly tiers: readonly object[]; readonly sections?: readonly object[] }[],
) {
  const allTaken = createLatch('all samples were taken')
  let taken = 0
  const counted: string[] = []
  const query = async (text: string, [sectionId]: readonly string[] = []) => {
    if (sectionId !== undefined) {
      counted.push(sectionId)
      return { rows: [{ seats: 10 }] }
    }
    const sample = samples[Math.min(taken, samples.length - 1)]
    if (text.includes('FROM tiers')) return { rows: sample?.tiers ?? [] }
    taken += 1
    // The one after the last sample has begun: that one was kept.
    if (taken > samples.length) allTaken.open()
    return { rows: sample?.sections ?? [] }
  }
  return { pool: { query: query as never }, allTaken, counted }
}

async function watched(
  { pool, allTaken }: ReturnType<typeof databaseWith>,
  onMissed: (error: unknown) => void = () => undefined,
): Promise<ReturnType<CapacityWatch['seen']>> {
  const watch = watchCapacity(pool, { everyMs: 0, onMissed })
  await allTaken.wait()
  await watch.stop()
  return watch.seen()
}

const tier = (sold: number, held: number) => ({ id: 'tier', capacity: 5, sold, held, at })

it('keeps the extremes of a tier and of a section, and how often it looked', async () => {
  const database = databaseWith([
    { tiers: [tier(1, 1)], sections: [{ id: 'section', claims: 3 }] },
    { tiers: [tier(4, 2)], sections: [{ id: 'section', claims: 11 }] },
    { tiers: [tier(-1, 2)], sections: [{ id: 'section', claims: 2 }] },
    { tiers: [tier(3, -2)], sections: [{ id: 'section', claims: 1 }] },
  ])
  const { tiers, sections } = await watched(database)
  expect(tiers).toEqual([
    {
      ...{ id: 'tier', samples: expect.any(Number), capacity: 5, leastSold: -1, leastHeld: -2 },
      fullest: { sold: 4, held: 2, at },
    },
  ])
  expect(tiers[0]?.samples).toBeGreaterThanOrEqual(4)
  expect(sections).toEqual([{ id: 'section', samples: expect.any(Number), seats: 10, mostClaims: 11 }])
  // A section's seats do not change.
  expect(database.counted).toEqual(['section'])
})

it('goes on after a look that failed, and says so', async () => {
  const database = databaseWith([{ tiers: [tier(1, 0)] }, { tiers: [tier(2, 0)] }])
  const { query } = database.pool
  let looks = 0
  const failing = (text: string) => {
    looks += 1
    return looks === 3 ? Promise.reject(new Error('the database is away')) : (query as (text: string) => never)(text)
  }
  const missed: unknown[] = []
  const { tiers } = await watched({ ...database, pool: { query: failing as never } }, (error) => missed.push(error))
  expect([tiers[0]?.fullest.sold, missed.length]).toEqual([2, 1])
})

it('forgets what it saw first rather than growing', async () => {
  const many = Array.from({ length: 11_000 }, (_, number) => ({ ...tier(1, 0), id: `tier-${number}` }))
  const { tiers } = await watched(databaseWith([{ tiers: many }]))
  expect(tiers.length).toBe(10_000)
})
