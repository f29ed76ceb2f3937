import { type BackoffOptions, backoffMs, pause, type Random } from './backoff.ts'
import type { LockMetrics } from './lock-metrics.ts'

/**
 * Optimistic locking: read a row with its version, decide, and write only if the version is still the one that was
 * read.
 *
 * **Guarantees**: no lost update among all who write this way: of several who decided on the same version one writes,
 * and the others decide again on what it wrote. Nothing is held while deciding, so nobody waits for a slow or dead one,
 * and nothing has to be given back. Tries are bounded by `maxAttempts`, with jittered pauses between them and not under
 * a transaction.
 *
 * **Does not guarantee**: anything against a writer that leaves the version out of its WHERE, nor about rows that do
 * not exist yet (a unique constraint does that), nor for a decision about several rows of which one is written. It is
 * not fair, and under heavy contention most work is wasted: N who collide need up to N rounds. Side effects of a
 * decision happen at every try: `decide` must have none. If the answer to a write is lost, the write may have happened:
 * that error comes through, and is not tried again.
 *
 * **Fails with**: the values `contended` (the tries are used up), `gave-up` (by the caller's choice, with its reason),
 * `missing`, `aborted`. Throws what the caller's functions throw, and a plain `Error` if one write changed several
 * rows.
 *
 * **Source**: H. T. Kung and J. T. Robinson, "On Optimistic Methods for Concurrency Control", 1981; Martin Fowler,
 * "Optimistic Offline Lock", 2002. In READ COMMITTED PostgreSQL looks at the WHERE of an UPDATE again after a wait for
 * the row ("Transaction Isolation", 13.2.1), which is what makes the single statement enough.
 */
export async function updateOptimistically<State extends Versioned, Change, Reason>(
  { read, decide, write }: OptimisticUpdate<State, Change, Reason>,
  {
    maxAttempts = defaultMaxAttempts,
    pauses = defaultPauses,
    random = Math.random,
    signal,
    metrics,
  }: OptimisticOptions = {},
): Promise<OptimisticOutcome<State, Change, Reason>> {
  assertAttempts(maxAttempts)
  const startedAtMs = performance.now()
  for (let attempts = 1; ; attempts++) {
    if (signal?.aborted) {
      metrics?.refused('optimistic', 'aborted')
      return { kind: 'aborted' }
    }
    const state = await read()
    if (state === null) return { kind: 'missing' }
    const decision = decide(state, attempts)
    if ('giveUp' in decision) return { kind: 'gave-up', reason: decision.giveUp, state }

    const changedRows = await write(decision.change, state.version)
    if (changedRows > 1) throw new Error(`a write by version changed ${changedRows} rows: its WHERE must name one row`)
    if (changedRows === 1) {
      metrics?.acquired('optimistic', performance.now() - startedAtMs)
      return { kind: 'updated', from: state, change: decision.change, attempts }
    }
    if (attempts >= maxAttempts) {
      metrics?.refused('optimistic', 'contended')
      return { kind: 'contended', attempts }
    }
    await pause(backoffMs(attempts - 1, { ...pauses, random }), signal)
  }
}

export interface Versioned {
  readonly version: number | bigint
}

export interface OptimisticUpdate<State extends Versioned, Change, Reason> {
  /** Reads the row as it is now, outside a transaction that would show an older one again. `null`: there is none. */
  readonly read: () => Promise<State | null>
  /** Looks at the state and says what to write, or gives up. Runs once a try, so it has no effects. */
  readonly decide: (state: State, attempt: number) => { readonly change: Change } | { readonly giveUp: Reason }
  /**
   * `UPDATE ... SET ..., version = version + 1 WHERE id = ... AND version = <expected>`; resolves with how many rows that
   * changed.
   */
  readonly write: (change: Change, expectedVersion: State['version']) => Promise<number>
}

export interface OptimisticOptions {
  /** 5 by default; 1 does not try again. */
  readonly maxAttempts?: number
  readonly pauses?: Pick<BackoffOptions, 'baseMs' | 'maxMs'>
  readonly random?: Random
  /** Ends the trying between two tries. */
  readonly signal?: AbortSignal
  readonly metrics?: LockMetrics
}

export type OptimisticOutcome<State, Change, Reason> =
  | { readonly kind: 'updated'; readonly from: State; readonly change: Change; readonly attempts: number }
  | { readonly kind: 'gave-up'; readonly reason: Reason; readonly state: State }
  | { readonly kind: 'contended'; readonly attempts: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'aborted' }

/** Who loses five times in a row competes with so many that a lock, and its queue, costs less. */
const defaultMaxAttempts = 5
/** More is no retry but a queue without an order. */
const mostAttempts = 100
/** From the length of one try to that of a few of them. */
const defaultPauses = { baseMs: 5, maxMs: 100 }

function assertAttempts(maxAttempts: number): void {
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > mostAttempts) {
    throw new RangeError(`maxAttempts must be a whole number from 1 to ${mostAttempts}; it is ${maxAttempts}`)
  }
}
