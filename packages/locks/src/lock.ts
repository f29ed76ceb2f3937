/**
 * The one contract that every lock of this package keeps.
 *
 * A refusal is a value with its reason; what throws is a mistake in the arguments. An `acquire` that is not granted leaves
 * nothing behind that its caller must clean up.
 */
export interface Lock<L extends Lease = Lease> {
  /** Which pattern this is, for metrics and logs: `redis`, `redlock`, ... */
  readonly strategy: string
  /**
   * Asks for the exclusive right to `resource`.
   *
   * Fails fast unless `waitMs` is given. Throws a `RangeError` for arguments that could never work.
   */
  acquire(resource: string, options: AcquireOptions): Promise<Acquisition<L>>
}

export interface AcquireOptions {
  /** The lock ends by itself this long after its holder was last heard of. */
  readonly ttlMs: number
  /** Waits up to this long for the present holder; 0, the default, does not wait. */
  readonly waitMs?: number | undefined
  /** Ends the asking and waiting. It has no power over a lease that was granted. */
  readonly signal?: AbortSignal | undefined
}

export type Acquisition<L extends Lease = Lease> = { readonly acquired: true; readonly lease: L } | LockRefusal

export interface LockRefusal {
  readonly acquired: false
  readonly reason: RefusalReason
  /** When asking again makes sense, where the pattern knows it. */
  readonly retryAfterMs?: number
  /** Why the lock's server was not available. */
  readonly cause?: unknown
}

export type RefusalReason =
  /** Somebody else holds it, and no wait was asked for. */
  | 'contended'
  /** Somebody else held it during the whole wait. */
  | 'timed-out'
  /** The caller's signal fired. */
  | 'aborted'
  /** The lock's server did not answer in time or with an error: nothing is known about the holder. */
  | 'unavailable'

/** The right to a resource, for a time. */
export interface Lease extends AsyncDisposable {
  readonly resource: string
  /** Unique per acquisition. It is not a fence: it does not grow. See `FencedLease`. */
  readonly token: string
  /**
   * The lock cannot have ended before this moment of `performance.now()`; it moves on with each renewal. Look at it right
   * before an effect: after a pause of the whole process, code can run before the signal does.
   */
  readonly deadline: number
  /**
   * Fires when the lease is lost, **before** somebody else can have the lock (unless its server lost its data). Its reason is a
   * `LeaseLost`. It does not fire on `release`.
   */
  readonly signal: AbortSignal
  /** Gives the lock back. Once is enough, twice does no harm. Never throws: work that is done must not fail because of its lock. */
  release(): Promise<ReleaseOutcome>
}

/**
 * A lease with a number that is greater than that of every holder before: what a write carries so that the store can
 * refuse it from whoever was deposed.
 *
 * No lock of this package gives one by itself, and a `Lease` has none, so that nobody finds `undefined` where a fence was
 * meant: a token that only grows needs a counter that outlives the lock's server. A Redis that lost its data begins its
 * counters anew, the nodes of a quorum have no common one, and an advisory lock has none. `fencedLock` (`fencing.ts`)
 * joins any lock with a counter that does.
 */
export interface FencedLease extends Lease {
  readonly fence: bigint
}

export type ReleaseOutcome =
  | 'released'
  /** It was over before: somebody else may have worked at the same time. */
  | 'already-lost'
  /** Its server did not answer. It is given back in the background, at the latest by its TTL. */
  | 'unknown'

/** The reason of a lease's signal. */
export class LeaseLost extends Error {
  readonly code = 'lease-lost'
  readonly why: 'expiring' | 'not-held'

  /** `expiring`: it could not be renewed in time. `not-held`: the server says that it is not ours any more. */
  constructor(resource: string, why: 'expiring' | 'not-held') {
    super(
      why === 'expiring'
        ? `the lock on ${resource} could not be renewed in time`
        : `the lock on ${resource} is not held any more: it was deleted, or its server lost its data`,
    )
    this.name = 'LeaseLost'
    this.why = why
  }
}

/** Long enough for any id with its kind before it, short enough that a body pasted into a name is noticed. */
export const maxResourceLength = 256
/** A holder that was killed blocks its resource for this long: longer is no lock but an outage. */
export const maxTtlMs = 10 * 60_000
/** Whoever waits longer wants a queue. */
export const maxWaitMs = 60_000

/** Throws for a name that cannot name anything. */
export function assertResource(resource: string): void {
  if (resource.length === 0) throw new RangeError('a lock needs the name of a resource; this one is empty')
  if (resource.length > maxResourceLength) {
    throw new RangeError(
      `a resource's name has at most ${maxResourceLength} characters; this one has ${resource.length}`,
    )
  }
  if (resource.includes('\0')) throw new RangeError('a resource has a NUL character in its name')
}

/** Throws for times that cannot work. `minTtlMs` is what the pattern needs to renew in time. */
export function assertTimes({ ttlMs, waitMs = 0 }: AcquireOptions, minTtlMs: number): void {
  if (!Number.isInteger(ttlMs) || ttlMs < minTtlMs || ttlMs > maxTtlMs) {
    throw new RangeError(
      `ttlMs must be a whole number from ${minTtlMs} (less leaves no room for a renewal that fails once) to ${maxTtlMs}; it is ${ttlMs}`,
    )
  }
  if (!Number.isFinite(waitMs) || waitMs < 0 || waitMs > maxWaitMs) {
    throw new RangeError(`waitMs must be from 0 (do not wait) to ${maxWaitMs}; it is ${waitMs}`)
  }
}
