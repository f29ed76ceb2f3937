import { CommitUnknown, DatabaseUnavailable, LockNotAvailable } from '@seatbelt/database'
import { isLockTimeout, pause } from '@seatbelt/locks'

/**
 * Runs `write` again while the database is away, for some 5 s: for what is known in this process and nowhere else.
 *
 * A try whose COMMIT was not answered may have happened, so `write` must find that and answer it: by a generation.
 * Fails with the fault of the last try, or with the first one that time does not heal. `mayGoOn` is asked after each failed
 * try, by callers whose own time is bounded.
 */
export async function throughOutage<T>(
  write: () => Promise<T>,
  reportFault: (fault: unknown) => void,
  mayGoOn: () => boolean = () => true,
): Promise<T> {
  for (const pauseMs of pausesMs) {
    try {
      return await write()
    } catch (fault) {
      if (!mayPass(fault) || !mayGoOn()) throw fault
      reportFault(fault)
      await pause(pauseMs)
    }
  }
  return write()
}

/** Long enough for a PostgreSQL that restarts. It may outlast a lease: then another owner writes, and this one loses to it. */
const pausesMs = [100, 400, 1_000, 1_500, 2_000]

export const outageMs = pausesMs.reduce((sum, pauseMs) => sum + pauseMs)
export const longestPauseMs = Math.max(...pausesMs)

/** Faults of the moment: the database is away, or somebody held the lock for too long. */
function mayPass(fault: unknown): boolean {
  return fault instanceof DatabaseUnavailable || fault instanceof CommitUnknown || isContention(fault)
}

export function isContention(fault: unknown): boolean {
  return isLockTimeout(fault) || fault instanceof LockNotAvailable
}
