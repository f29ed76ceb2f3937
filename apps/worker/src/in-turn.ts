import type { Recover } from './run-recovery.ts'

/**
 * One recovery of several. Each call begins with another one, so that many who are due with the first, or a fault of it, do
 * not keep the others waiting; it goes on with the next where nothing is due.
 */
export function inTurn(...recoveries: readonly Recover[]): Recover {
  let calls = 0
  return async () => {
    const first = calls++ % recoveries.length
    for (const recover of [...recoveries.slice(first), ...recoveries.slice(0, first)]) {
      const recovered = await recover()
      if (recovered) return recovered
    }
    return null
  }
}
