import { CommitUnknown, DatabaseUnavailable, LockNotAvailable, TransactionConflict } from '@seatbelt/database'
import type { Execution } from '@seatbelt/explore'
import type { World } from './world.ts'

/**
 * Failures of actors and faults that replicas reported, which no injected fault explains.
 *
 * A fault of the scheduler takes a server from an actor, so that its requests and its writes may fail. A row that
 * another actor has changed meanwhile is no fault. Everything else is a fault of the code.
 */
export function unexplained({ faults, isDisturbed }: World, endings: Execution['endings']): string[] {
  const reported = faults.flatMap(({ actor, fault }) =>
    isContention(fault) || (isDisturbed && isOutage(fault)) ? [] : [`${actor} reported: ${describe(fault)}`],
  )
  const failed = Object.entries(endings).flatMap(([actor, words]) =>
    words === null || !words.startsWith('failed:') || (isDisturbed && outage.test(words)) ? [] : [`${actor} ${words}`],
  )
  return [...reported, ...failed]
}

function isContention(fault: unknown): boolean {
  return fault instanceof LockNotAvailable || fault instanceof TransactionConflict
}

function isOutage(fault: unknown): boolean {
  return fault instanceof DatabaseUnavailable || fault instanceof CommitUnknown
}

/** The texts of an outage, or of a lock that was not granted in time: how an actor ended is known in words alone. */
const outage = /database|commit|connection|key is taken|lock was not granted/i

function describe(fault: unknown): string {
  return fault instanceof Error ? `${fault.name}: ${fault.message}` : String(fault)
}
