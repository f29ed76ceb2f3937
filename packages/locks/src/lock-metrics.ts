import { Counter, Histogram, type Registry } from 'prom-client'
import { onLost } from './held-lease.ts'
import type { Lease, Lock, RefusalReason, ReleaseOutcome } from './lock.ts'

/** What to watch. Times are given in milliseconds and exported in seconds, as Prometheus wants them. */
export interface LockMetrics {
  acquired(strategy: string, tookMs: number): void
  refused(strategy: string, reason: RefusalReason): void
  held(strategy: string, heldMs: number): void
  lost(strategy: string): void
  /** The caller went on without the lock, under the layers below. */
  bypassed(strategy: string): void
}

/**
 * The metrics of all locks that use this registry; asking twice gives the same ones.
 *
 * Their only label is `lock`, the strategy. Names of resources would make a series for every order.
 */
export function createLockMetrics(registry: Registry): LockMetrics {
  const known = metricsOf.get(registry)
  if (known !== undefined) return known
  const metrics = registerMetrics(registry)
  metricsOf.set(registry, metrics)
  return metrics
}

/** The same lock, watched. A lease counts as lost once, and its time ends when it is released or lost. */
export function measureLock(lock: Lock, metrics: LockMetrics): Lock {
  const { strategy } = lock
  return {
    strategy,
    async acquire(resource, options) {
      const askedAtMs = performance.now()
      const acquisition = await lock.acquire(resource, options)
      if (!acquisition.acquired) {
        metrics.refused(strategy, acquisition.reason)
        return acquisition
      }
      metrics.acquired(strategy, performance.now() - askedAtMs)
      return { acquired: true, lease: new MeasuredLease(acquisition.lease, strategy, metrics) }
    },
  }
}

/** A class for the same reason as `HeldLease`: accessors belong on a prototype. */
class MeasuredLease implements Lease {
  readonly resource: string
  readonly token: string
  readonly #lease: Lease
  readonly #strategy: string
  readonly #metrics: LockMetrics
  readonly #heldSinceMs = performance.now()
  #isOver = false

  constructor(lease: Lease, strategy: string, metrics: LockMetrics) {
    this.resource = lease.resource
    this.token = lease.token
    this.#lease = lease
    this.#strategy = strategy
    this.#metrics = metrics
    onLost(lease, () => this.#end(true))
  }

  get deadline(): number {
    return this.#lease.deadline
  }

  get signal(): AbortSignal {
    return this.#lease.signal
  }

  async release(): Promise<ReleaseOutcome> {
    const outcome = await this.#lease.release()
    this.#end(outcome === 'already-lost')
    return outcome
  }

  #end(isLost: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#metrics.held(this.#strategy, performance.now() - this.#heldSinceMs)
    if (isLost) this.#metrics.lost(this.#strategy)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

const metricsOf = new WeakMap<Registry, LockMetrics>()

/** From a Redis round trip to the longest wait. */
const acquireBucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
/** From an empty bracket to a lease that hangs. */
const heldBucketsSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600]

function registerMetrics(registry: Registry): LockMetrics {
  const registers = [registry]
  const labelNames = ['lock'] as const
  const counter = (name: string, help: string) => new Counter({ name, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, labelNames, registers })

  const acquire = histogram('lock_acquire_seconds', 'From asking for a lock to having it.', acquireBucketsSeconds)
  const held = histogram('lock_held_seconds', 'From having a lock to its release or loss.', heldBucketsSeconds)
  const lost = counter('lock_lost_total', 'Leases that ended before they were released.')
  const bypassed = counter('lock_bypassed_total', 'Work that was done without the lock, because it was not available.')
  const refused: Record<RefusalReason, Counter<'lock'>> = {
    contended: counter('lock_contended_total', 'Refused at once: somebody else held it.'),
    'timed-out': counter('lock_timed_out_total', 'Refused after waiting: somebody else held it all the time.'),
    aborted: counter('lock_aborted_total', 'The caller stopped asking.'),
    unavailable: counter('lock_unavailable_total', 'The server of the lock did not answer in time, or with an error.'),
  }

  return {
    acquired: (lock, tookMs) => acquire.observe({ lock }, tookMs / 1000),
    refused: (lock, reason) => refused[reason].inc({ lock }),
    held: (lock, heldMs) => held.observe({ lock }, heldMs / 1000),
    lost: (lock) => lost.inc({ lock }),
    bypassed: (lock) => bypassed.inc({ lock }),
  }
}
