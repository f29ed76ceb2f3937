import { flushAttempts } from './attempts.ts'
import { scriptErrors } from './metrics.ts'
import { flushSeatAttempts } from './seat-attempts.ts'

/** Runs one iteration so that neither an exception nor an attempt gets lost: k6 would log the one and go on. */
export function runIteration(iteration: () => void): void {
  counted(iteration)
  counted(flushAttempts)
  counted(flushSeatAttempts)
}

/** The same of one that waits for several things at once. */
export async function runIterationAsync(iteration: () => Promise<void>): Promise<void> {
  await iteration().catch(countError)
  counted(flushAttempts)
  counted(flushSeatAttempts)
}

function counted(step: () => void): void {
  try {
    step()
  } catch (error) {
    countError(error)
  }
}

function countError(error: unknown): void {
  scriptErrors.add(1)
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
