import type { Attempt, AttemptBatch } from './attempt.ts'
import type { Disturbance } from './disturbance.ts'
import type { SeatAttempt, SeatAttemptBatch } from './seat-attempt.ts'

export interface Run {
  readonly name: string
  readonly attempts: readonly Attempt[]
  readonly seatAttempts: readonly SeatAttempt[]
  readonly orderIds: ReadonlySet<string>
  readonly disturbances: readonly Disturbance[]
  /** Senders of which a batch is missing. With holes in the history there can be no verdict. */
  sendersWithGaps(): string[]
}

export interface RunStore {
  find(name: string): Run | undefined
  /** Adds a batch to its run, which begins with its first batch. A batch that is already there changes nothing. */
  add(name: string, batch: AttemptBatch): 'added' | 'known' | 'full'
  /** The same for attempts about seats, whose senders number their batches apart. */
  addSeats(name: string, batch: SeatAttemptBatch): 'added' | 'known' | 'full'
  /** Notes what was done to the system meanwhile. */
  declare(name: string, disturbance: Disturbance): 'noted' | 'unknown-run' | 'full'
}

export interface RunStoreLimits {
  /** Of both kinds together. */
  readonly attempts: number
  readonly runs: number
}

/**
 * Attempts are kept in memory, because a verdict reads all of them and a run whose auditor died has none anyway. One
 * takes some 700 bytes, one about ten seats twice as many, so that these are less than 400 MB; the demo makes some 40,000 of them.
 */
const defaultLimits: RunStoreLimits = { attempts: 250_000, runs: 8 }

/** A run that hurts the system every second for a quarter of an hour. */
const disturbancesLimit = 1_000

/**
 * Holds the histories of the latest runs. Where there is no room for another one, the oldest goes; a run that does not
 * fit by itself is refused from then on, which its clients must take as a failure, not as an end.
 */
export function createRunStore(limits: RunStoreLimits = defaultLimits): RunStore {
  const runs = new Map<string, MutableRun>()
  let held = 0

  function makeRoom(forName: string, attempts: number): boolean {
    while (held + attempts > limits.attempts || (!runs.has(forName) && runs.size >= limits.runs)) {
      const oldest = [...runs.values()].find((run) => run.name !== forName)
      if (oldest === undefined) return false
      runs.delete(oldest.name)
      held -= oldest.attempts.length + oldest.seatAttempts.length
    }
    return true
  }

  function take(name: string, batch: Batch, append: (run: MutableRun) => void): 'added' | 'known' | 'full' {
    const known = runs.get(name)
    if (known?.numbers.get(batch.sender)?.has(batch.number)) return 'known'
    if (!makeRoom(name, batch.attempts.length)) return 'full'
    const run = known ?? emptyRun(name)
    runs.set(name, run)
    const numbers = run.numbers.get(batch.sender) ?? new Set()
    run.numbers.set(batch.sender, numbers.add(batch.number))
    append(run)
    held += batch.attempts.length
    return 'added'
  }

  return {
    find: (name) => runs.get(name),
    add: (name, batch) =>
      take(name, batch, (run) => {
        for (const attempt of batch.attempts) {
          run.attempts.push(attempt)
          run.orderIds.add(attempt.orderId)
        }
      }),
    addSeats: (name, batch) =>
      take(name, batch, (run) => {
        for (const attempt of batch.attempts) run.seatAttempts.push(attempt)
      }),
    declare(name, disturbance) {
      const run = runs.get(name)
      if (run === undefined) return 'unknown-run'
      if (run.disturbances.length === disturbancesLimit) return 'full'
      run.disturbances.push(disturbance)
      return 'noted'
    },
  }
}

/** What both kinds have in common. */
interface Batch {
  readonly sender: string
  readonly number: number
  readonly attempts: readonly unknown[]
}

interface MutableRun extends Run {
  readonly attempts: Attempt[]
  readonly seatAttempts: SeatAttempt[]
  readonly orderIds: Set<string>
  readonly disturbances: Disturbance[]
  readonly numbers: Map<string, Set<number>>
}

function emptyRun(name: string): MutableRun {
  const numbers = new Map<string, Set<number>>()
  return {
    name,
    attempts: [],
    seatAttempts: [],
    orderIds: new Set(),
    disturbances: [],
    numbers,
    sendersWithGaps: () => [...numbers].filter(([, seen]) => Math.max(...seen) !== seen.size).map(([sender]) => sender),
  }
}
