import { LeaseLost } from './lock.ts'

/**
 * Heartbeat: keeps a lease alive while its holder works, and tells the holder in time when it cannot.
 *
 * **Guarantees**: renewal at a third of the TTL. The signal fires before the lock can have expired, whatever the server does
 * (hangs, dies, answers late or nonsense), because it depends on this process's monotonic clock alone: the lease is counted
 * from when the last confirmed command was *sent*, and given up a lead before its deadline. One timer per lease, which
 * keeps no process alive. It stops renewing after `maxHeldMs`, so that work that hangs does not hold a resource for ever.
 *
 * **Does not guarantee**: that the holder has stopped when the lock ends. A signal is a request; code that does not look goes
 * on, and a request that is on the wire arrives. While the event loop is blocked, or the whole process paused, nothing
 * fires at all; afterwards `signal`, when read from the lease, and `deadline` tell the truth at once.
 *
 * **Fails with**: the signal's reason `LeaseLost`: `expiring` (not renewed in time) or `not-held` (the server denies it).
 *
 * **Source**: Martin Kleppmann, "How to do distributed locking", 2016 (pauses, and why a fence is needed besides);
 * Redis, "Distributed Locks with Redis" (extending; the drift).
 */
export function startHeartbeat({
  resource,
  ttlMs,
  sentAtMs,
  attemptTimeoutMs,
  maxHeldMs,
  renew,
}: HeartbeatOptions): Heartbeat {
  const renewUntilMs = sentAtMs + maxHeldMs
  const driftMs = clockDriftMs(ttlMs)
  const leadMs = abortLeadMs(ttlMs)
  let isOver = false
  let lostWhy: LeaseLost['why'] | undefined
  let confirmedAtMs = sentAtMs
  let nextAttemptAtMs = sentAtMs + ttlMs / 3
  let timer: NodeJS.Timeout | undefined
  // Made when somebody looks: most brackets are over before anybody does, and it is the dearest part of a lease.
  let controller: AbortController | undefined

  const deadline = () => confirmedAtMs + ttlMs - driftMs

  function wake(): void {
    const nowMs = performance.now()
    giveUpIfDue()
    if (isOver) return
    if (nowMs >= nextAttemptAtMs) attempt(nowMs)
    schedule(nowMs)
  }

  /** An attempt that has not been answered when its time is over is followed by another; its answer counts when it comes. */
  function attempt(startedAtMs: number): void {
    if (startedAtMs >= renewUntilMs) {
      nextAttemptAtMs = Number.POSITIVE_INFINITY
      return
    }
    nextAttemptAtMs = startedAtMs + attemptTimeoutMs
    renew().then(
      (isOurs) => {
        if (isOver) return
        if (!isOurs) {
          lose('not-held')
          return
        }
        confirmedAtMs = Math.max(confirmedAtMs, startedAtMs)
        nextAttemptAtMs = confirmedAtMs + ttlMs / 3
        wake()
      },
      () => {
        // It may or may not have been renewed: the next attempt is due, the deadline stands.
      },
    )
  }

  function schedule(nowMs: number): void {
    clearTimeout(timer)
    const wakeAtMs = Math.min(nextAttemptAtMs, deadline() - leadMs)
    timer = setTimeout(wake, Math.max(1, wakeAtMs - nowMs))
    timer.unref()
  }

  function lose(why: LeaseLost['why']): void {
    stop()
    lostWhy = why
    controller?.abort(new LeaseLost(resource, why))
  }

  function stop(): void {
    isOver = true
    clearTimeout(timer)
  }

  /** After a pause of the process, whoever asks may be earlier than the timer. */
  function giveUpIfDue(): void {
    if (!isOver && performance.now() >= deadline() - leadMs) lose('expiring')
  }

  schedule(performance.now())
  return {
    deadline,
    signal() {
      giveUpIfDue()
      if (controller === undefined) {
        controller = new AbortController()
        if (lostWhy !== undefined) controller.abort(new LeaseLost(resource, lostWhy))
      }
      return controller.signal
    },
    isLost() {
      giveUpIfDue()
      return lostWhy !== undefined
    },
    deny() {
      if (!isOver) lose('not-held')
    },
    stop,
  }
}

export interface HeartbeatOptions {
  readonly resource: string
  readonly ttlMs: number
  /** The moment of `performance.now()` just before the command that took the lock was sent. */
  readonly sentAtMs: number
  /** An attempt without an answer is followed by another one after this time. */
  readonly attemptTimeoutMs: number
  /** No renewal is begun later than this after the lock was taken. */
  readonly maxHeldMs: number
  /** Renews for another TTL. `false`: the server says that the lock is not ours any more. Rejecting: nothing is known. */
  readonly renew: () => Promise<boolean>
}

export interface Heartbeat {
  deadline(): number
  signal(): AbortSignal
  isLost(): boolean
  /** The lock is known to be gone: fires the signal now, and not at the next beat. */
  deny(): void
  /** Ends the renewing without firing the signal. */
  stop(): void
}

/** The server's clock may run this much faster than ours: a hundredth, and the precision of its expiry (as in Redlock). */
export function clockDriftMs(ttlMs: number): number {
  return ttlMs / 100 + 2
}

/**
 * How long before the deadline the signal fires: a tenth of the TTL, at most 250 ms. Timers of a loaded process are late by
 * some ms; and the holder needs a moment to stop.
 */
function abortLeadMs(ttlMs: number): number {
  return Math.min(ttlMs / 10, 250)
}
