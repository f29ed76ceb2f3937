import { pause, type Random } from './backoff.ts'
import { fencedLock, StaleFence } from './fencing.ts'
import type { FencedLease, Lock, LockRefusal, ReleaseOutcome } from './lock.ts'

/**
 * Leadership: of several processes one does the work, and another takes over when it is gone.
 *
 * **Guarantees**: each term has a fence that is greater than those of all terms before it, and a signal that fires
 * before the lock can be somebody else's. A leader that is stopped resigns, so that the next one need not wait for the
 * TTL; after one that was killed or cut off, the next begins within a TTL and a third. No two terms of one process
 * overlap: the next campaign begins when the work of the last term has ended. A lock or a counter that is not available
 * ends no campaign.
 *
 * **Does not guarantee**: that there is only one who *believes* that it leads: a paused leader does until it wakes.
 * That is what the fence is for: give it to every write (`admitFence`), and a deposed leader's writes are refused from
 * the moment on at which the next one has its fence. Nor that there is one at any moment. Work that does not end when
 * its signal fires keeps its process from leading again.
 *
 * **Fails with**: the work's own error while it leads, after resigning. An error of work whose term is over, or a
 * `StaleFence`, ends the term and not the candidacy; both are told to `onEvent`.
 *
 * **Source**: Mike Burrows, "The Chubby lock service", 2006 (2.4, sequencers); Martin Kleppmann, "How to do distributed
 * locking", 2016.
 */
export async function lead(
  { lock, draw, resource, ttlMs, signal, onEvent = () => {}, random = Math.random }: LeadershipOptions,
  work: (term: Term) => Promise<void>,
): Promise<'done' | 'stopped'> {
  const fenced = fencedLock(lock, draw)
  while (!signal.aborted) {
    const elected = await fenced.acquire(resource, { ttlMs, signal })
    if (!elected.acquired) {
      onEvent({ kind: 'not-elected', refusal: elected })
      // As often as a leader renews, and not at the same moment as all the others.
      await pause((ttlMs / 3) * (0.5 + random() / 2), signal)
      continue
    }
    const { lease } = elected
    const { fence } = lease
    onEvent({ kind: 'began', fence })
    const end = await serve({ fence, lease, signal: AbortSignal.any([lease.signal, signal]) }, work)
    onEvent({ kind: 'ended', fence, error: end.error, release: await lease.release() })
    if (end.kind === 'failed') throw end.error
    if (end.kind === 'done') return 'done'
  }
  return 'stopped'
}

export interface LeadershipOptions {
  readonly lock: Lock
  /** `(resource) => drawFence(query, resource)`. */
  readonly draw: (resource: string) => Promise<bigint>
  /** What is led: all candidates name the same. */
  readonly resource: string
  /** The longer, the longer nobody leads after a crash; the shorter, the sooner a slow network deposes a leader. */
  readonly ttlMs: number
  /** Ends the term and the candidacy. */
  readonly signal: AbortSignal
  /** For logs and metrics. What it throws comes through. */
  readonly onEvent?: (event: LeadershipEvent) => void
  readonly random?: Random
}

export interface Term {
  /** For every write. */
  readonly fence: bigint
  readonly lease: FencedLease
  /** Fires when the lease is lost or the candidacy is stopped. */
  readonly signal: AbortSignal
}

export type LeadershipEvent =
  | { readonly kind: 'began'; readonly fence: bigint }
  | { readonly kind: 'ended'; readonly fence: bigint; readonly release: ReleaseOutcome; readonly error: unknown }
  | { readonly kind: 'not-elected'; readonly refusal: LockRefusal }

type EndOfTerm = { readonly kind: 'done' | 'over' | 'failed'; readonly error?: unknown }

/** `done`: the work ended by itself, and there is nothing left to lead. */
async function serve(term: Term, work: (term: Term) => Promise<void>): Promise<EndOfTerm> {
  try {
    await work(term)
    return { kind: term.signal.aborted ? 'over' : 'done' }
  } catch (error) {
    return { kind: term.signal.aborted || error instanceof StaleFence ? 'over' : 'failed', error }
  }
}
