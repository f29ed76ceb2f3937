import type { Gateway } from '@seatbelt/safety'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { type Run, renewLease } from './runs.ts'

/** A fraction of the shortest lease, and rare enough to cost nothing. */
const renewEveryMs = 60_000

/**
 * The same parts, with a gateway that renews the run's lease before a request, at most once a minute. A page asks for
 * twenty objects one by one and is patient with each, so that its time is not bounded by the lease.
 *
 * Fails with: `RunLost` from any request, if another process has the run.
 */
export function keepLease(deps: ReconcileDeps, run: Run): ReconcileDeps {
  const { runtime } = deps.payments
  let renewedAtMs = runtime.monotonicMs()
  const renew = async () => {
    if (runtime.monotonicMs() - renewedAtMs < renewEveryMs) return
    renewedAtMs = runtime.monotonicMs()
    await renewLease(deps, run)
  }
  const requests = Object.entries(deps.gateway).map(([name, ask]) => [
    name,
    async (...args: unknown[]) => {
      await renew()
      return ask(...args)
    },
  ])
  return { ...deps, gateway: Object.fromEntries(requests) as Gateway }
}
