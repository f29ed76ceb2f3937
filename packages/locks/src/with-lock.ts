import type { AcquireOptions, Lease, Lock, LockRefusal, ReleaseOutcome } from './lock.ts'

export type Bracketed<T> =
  | {
      readonly acquired: true
      readonly value: T
      /** Not `released`: somebody else may have worked at the same time. The work is done all the same. */
      readonly release: ReleaseOutcome
    }
  | LockRefusal

/**
 * Runs `work` while the lock is held, and gives it back however the work ends. What most callers want.
 *
 * The work is not stopped when the lease is lost: look at `lease.signal`, or hand it on. Throws what the work throws, never
 * anything of its own about the release; a refusal is a value, and then the work was not begun.
 */
export async function withLock<T, L extends Lease = Lease>(
  lock: Lock<L>,
  options: AcquireOptions & { readonly resource: string },
  work: (lease: L) => Promise<T>,
): Promise<Bracketed<T>> {
  const acquisition = await lock.acquire(options.resource, options)
  if (!acquisition.acquired) return acquisition
  const { lease } = acquisition
  let value: T
  try {
    value = await work(lease)
  } catch (error) {
    await lease.release()
    throw error
  }
  return { acquired: true, value, release: await lease.release() }
}
