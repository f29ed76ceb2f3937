import {
  CommitUnknown,
  DatabaseUnavailable,
  GuardFailed,
  LockNotAvailable,
  TransactionConflict,
} from '@seatbelt/database'
import type { Runtime } from '@seatbelt/domain'

/**
 * Runs `write` again while the database is away, for some 5 s. It is for facts that only this process knows.
 *
 * A try whose COMMIT was not answered may have happened, so `write` must recognize that, by a generation, and return
 * it. Fails with the error of the last try, or with the first one that time does not heal. `mayContinue` is asked after
 * each failed try, by callers whose own time is bounded.
 */
export async function retryWhileUnavailable<T>(
  { pause }: Pick<Runtime, 'pause'>,
  write: () => Promise<T>,
  reportFault: (fault: unknown) => void,
  mayContinue: () => boolean = () => true,
): Promise<T> {
  for (const pauseMs of pausesMs) {
    try {
      return await write()
    } catch (fault) {
      if (!mayPass(fault) || !mayContinue()) throw fault
      reportFault(fault)
      await pause(pauseMs)
    }
  }
  return write()
}

/**
 * Long enough for a PostgreSQL that restarts. It may outlast a lease; then another owner writes, and this one loses.
 */
const pausesMs = [100, 400, 1_000, 1_500, 2_000]

export const outageMs = pausesMs.reduce((sum, pauseMs) => sum + pauseMs)
export const longestPauseMs = Math.max(...pausesMs)

/**
 * Errors of the moment: the database is away, or another transaction held a lock.
 *
 * Not a guard: each run read the row anew and failed, so the row does not fit, and time does not heal it.
 */
export function mayPass(fault: unknown): boolean {
  if (fault instanceof GuardFailed) return false
  return fault instanceof DatabaseUnavailable || fault instanceof CommitUnknown || isContention(fault)
}

/** A lock was not granted in time, or a row changed under three tries in a row. PostgreSQL has rolled back. */
export function isContention(fault: unknown): boolean {
  return fault instanceof LockNotAvailable || fault instanceof TransactionConflict
}
