import { flushAttempts } from './attempts.ts'
import { scriptErrors } from './metrics.ts'

/** Runs one iteration so that neither an exception nor an attempt gets lost: k6 would log the one and go on. */
export function runIteration(iteration: () => void): void {
  counted(iteration)
  counted(flushAttempts)
}

function counted(step: () => void): void {
  try {
    step()
  } catch (error) {
    scriptErrors.add(1)
    console.error(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}
