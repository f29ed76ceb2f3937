import { type NaiveBillingDeps, runNaiveBilling } from './naive-billing.ts'

/**
 * A cron job in each server: at every full interval of its own clock it bills what is due, whatever the other servers do.
 * Resolves the returned function when no run is under way any more.
 */
export function billNaivelyAtIntervals(deps: NaiveBillingDeps, intervalSeconds: number): () => Promise<void> {
  if (intervalSeconds === 0) return async () => undefined
  const intervalMs = intervalSeconds * 1_000
  let running: Promise<unknown> = Promise.resolve()
  let timer = setTimeout(wake, intervalMs - (Date.now() % intervalMs))

  function wake(): void {
    timer = setTimeout(wake, intervalMs - (Date.now() % intervalMs))
    // One after the other, as a cron job that looks whether its last run has ended.
    running = running.then(() => runNaiveBilling(deps)).catch(deps.onFault)
  }

  return async () => {
    clearTimeout(timer)
    await running
  }
}
