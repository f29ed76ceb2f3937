import type { Pool } from 'pg'
import type { CapacitySeen, SectionSeen, TierSeen } from './seat-evidence.ts'

export interface CapacityWatch {
  readonly seen: () => CapacitySeen
  /** Resolves when the sample that was being taken has been. */
  stop(): Promise<void>
}

/** Often enough to see a sale of a few seconds, and so seldom that it costs the database nothing to speak of. */
const defaultEveryMs = 250

/** Of tiers and of sections, the newest ones: of an event with more of them nobody sells all at once. */
const rowsLimit = 1_000
/** What is kept of each is a few numbers. Where there are more, the one that was seen first is forgotten. */
const kept = 10_000

interface TierSample {
  readonly id: string
  readonly capacity: number
  readonly sold: number
  readonly held: number
  readonly at: Date
}

interface SectionSample {
  readonly id: string
  readonly claims: number
}

const tiersNow = `SELECT id, capacity, sold, held, clock_timestamp() AS at FROM tiers ORDER BY id DESC LIMIT ${rowsLimit}`
const sectionsNow = `SELECT section_id AS id, count(*)::integer AS claims FROM seat_claims GROUP BY section_id LIMIT ${rowsLimit}`
const seatsOf = 'SELECT count(*)::integer AS seats FROM seats WHERE section_id = $1'

/**
 * Looks at the counters of tiers, and at how many seats of each section are claimed, again and again while others sell them.
 *
 * Guarantees: what it tells was seen, each sample in one statement and therefore at one moment.
 * Does not guarantee to see what lasted for less than the time between two samples, nor anything while the database is away: a
 * sample that could not be taken is left out, and `onMissed` hears of it.
 */
export function watchCapacity(
  pool: Pick<Pool, 'query'>,
  { everyMs = defaultEveryMs, onMissed }: { everyMs?: number; onMissed: (error: unknown) => void },
): CapacityWatch {
  const tiers = new Map<string, TierSeen>()
  const sections = new Map<string, SectionSeen>()
  let isStopped = false
  let timer: NodeJS.Timeout | undefined
  let sampling = Promise.resolve()

  async function sample(): Promise<void> {
    for (const row of (await pool.query<TierSample>(tiersNow)).rows) keep(tiers, withTier(tiers.get(row.id), row))
    for (const row of (await pool.query<SectionSample>(sectionsNow)).rows) {
      const known = sections.get(row.id)
      const seats = known?.seats ?? (await countSeats(pool, row.id))
      keep(sections, withSection(known, row, seats))
    }
  }

  function next(): void {
    const startedAt = performance.now()
    sampling = sample()
      .catch(onMissed)
      .then(() => {
        if (isStopped) return
        timer = setTimeout(next, Math.max(0, everyMs - (performance.now() - startedAt)))
        // It watches for as long as there is somebody to tell.
        timer.unref()
      })
  }

  next()
  return {
    seen: () => ({ tiers: [...tiers.values()], sections: [...sections.values()] }),
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await sampling
    },
  }
}

function withTier(known: TierSeen | undefined, { id, capacity, sold, held, at }: TierSample): TierSeen {
  const isFuller = known === undefined || sold + held > known.fullest.sold + known.fullest.held
  return {
    ...{ id, capacity },
    samples: (known?.samples ?? 0) + 1,
    leastSold: Math.min(known?.leastSold ?? sold, sold),
    leastHeld: Math.min(known?.leastHeld ?? held, held),
    fullest: isFuller ? { sold, held, at } : known.fullest,
  }
}

function withSection(known: SectionSeen | undefined, { id, claims }: SectionSample, seats: number): SectionSeen {
  return { id, seats, samples: (known?.samples ?? 0) + 1, mostClaims: Math.max(known?.mostClaims ?? 0, claims) }
}

/** A section's seats do not change, so that they are counted once. */
async function countSeats(pool: Pick<Pool, 'query'>, sectionId: string): Promise<number> {
  return (await pool.query<{ seats: number }>(seatsOf, [sectionId])).rows[0]?.seats ?? 0
}

function keep<T extends { readonly id: string }>(all: Map<string, T>, one: T): void {
  all.set(one.id, one)
  const [first] = all.keys()
  if (all.size > kept && first !== undefined) all.delete(first)
}
