import {
  type AcquireOptions,
  assertResource,
  type Lease,
  type Lock,
  type LockRefusal,
  type ReleaseOutcome,
} from './lock.ts'

/**
 * Lock many: several resources at once, all or none.
 *
 * **Guarantees**: no deadlock among all who use it (or who take single locks), because everybody takes them in one
 * order, that of their names; in whatever order, and however often, they are named. After a refusal none is held. One
 * wait bounds all of them together. The lease's signal fires as soon as one of the locks is lost, and its deadline is
 * the earliest.
 *
 * **Does not guarantee**: an instant at which nothing was held and then everything: they are taken one after the other,
 * and those taken first block others while it waits for the rest. Nothing for whoever holds one of them and then asks
 * for several: that is a second order, so ask for all at once. Two strategies for one resource do not exclude each
 * other. It takes one round trip for each resource.
 *
 * **Fails with**: the refusal of the lock that was not granted, with its `resource`; `unavailable` if one was lost
 * while the others were asked for. Throws a `RangeError` for no or too many resources, or for arguments that the lock
 * does not take; then too, what was taken has been given back.
 *
 * **Source**: E. W. Havender, "Avoiding deadlock in multitasking systems", 1968 (ordered resources).
 */
export async function acquireMany(
  lock: Lock,
  resources: readonly string[],
  { waitMs = 0, ...options }: AcquireOptions,
): Promise<{ readonly acquired: true; readonly lease: ManyLease } | ManyRefusal> {
  const ordered = inOneOrder(resources)
  const waitUntilMs = performance.now() + waitMs
  const leases: Lease[] = []
  try {
    for (const resource of ordered) {
      // Not below 1 while a wait was asked for: 0 would say `contended` of what has been waited for.
      const leftMs = waitMs === 0 ? 0 : Math.max(1, waitUntilMs - performance.now())
      const acquisition = await lock.acquire(resource, { ...options, waitMs: leftMs })
      if (!acquisition.acquired) {
        await releaseAll(leases)
        return { ...acquisition, resource }
      }
      leases.push(acquisition.lease)
    }
  } catch (error) {
    await releaseAll(leases)
    throw error
  }
  const lost = leases.find(({ signal }) => signal.aborted)
  if (lost !== undefined) {
    await releaseAll(leases)
    return { acquired: false, reason: 'unavailable', resource: lost.resource, cause: lost.signal.reason }
  }
  return { acquired: true, lease: new ManyLease(leases) }
}

export type ManyRefusal = LockRefusal & {
  /** The one that was not granted. */
  readonly resource: string
}

/** One lease for all of them. */
export class ManyLease implements AsyncDisposable {
  /** In the order in which they were taken. */
  readonly leases: readonly Lease[]
  /** Fires with the first one that is lost; see `Lease.signal`. */
  readonly signal: AbortSignal

  constructor(leases: readonly Lease[]) {
    this.leases = leases
    this.signal = AbortSignal.any(leases.map(({ signal }) => signal))
  }

  /** None of the locks can have ended before this moment of `performance.now()`. */
  get deadline(): number {
    return Math.min(...this.leases.map(({ deadline }) => deadline))
  }

  /** Gives all of them back, and says the worst of what became of them. Never throws. */
  release(): Promise<ReleaseOutcome> {
    return releaseAll(this.leases)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

/** A basket has a dozen things in it; who needs more locks the basket. */
const mostResources = 64

/** By code units, which every process and every language setting sorts alike. */
function inOneOrder(resources: readonly string[]): string[] {
  const ordered = [...new Set(resources)].sort()
  if (ordered.length === 0) throw new RangeError('lock-many needs the name of at least one resource')
  if (ordered.length > mostResources) {
    throw new RangeError(`lock-many takes at most ${mostResources} resources; these are ${ordered.length}`)
  }
  for (const resource of ordered) assertResource(resource)
  return ordered
}

/** The last one first, so that whoever waits for the first finds the others free. */
async function releaseAll(leases: readonly Lease[]): Promise<ReleaseOutcome> {
  const outcomes = await Promise.all([...leases].reverse().map((lease) => lease.release()))
  return severity.find((outcome) => outcomes.includes(outcome)) ?? 'released'
}

const severity = ['already-lost', 'unknown', 'released'] as const satisfies readonly ReleaseOutcome[]
