import { LeaseLost } from './lock.ts'
import { roundingMs, type Sleeper, type WakeSlot, wakeAt, wakeNoMore } from './wake-times.ts'

/**
 * Heartbeat: keeps a lease alive while its holder works, and tells the holder in time when it cannot.
 *
 * **Guarantees**: renewal at a third of the TTL. The signal fires before the lock can have expired, whatever the server
 * does (hangs, dies, answers late or nonsense), because it depends on this process's monotonic clock alone: the lease is
 * counted from when the last confirmed command was *sent*, and given up a lead before its deadline. It keeps no process
 * alive. It stops renewing after `maxHeldMs`, so that work that hangs does not hold a resource for ever.
 *
 * **Does not guarantee**: that the holder has stopped when the lock ends. A signal is a request; code that does not look
 * goes on, and a request that is on the wire arrives. While the event loop is blocked, or the whole process paused,
 * nothing fires at all; afterwards `signal`, when read from the lease, and `deadline` tell the truth at once.
 *
 * **Fails with**: the signal's reason `LeaseLost`: `expiring` (not renewed in time) or `not-held` (the server denies it).
 *
 * **Source**: Martin Kleppmann, "How to do distributed locking", 2016 (pauses, and why a fence is needed besides);
 * Redis, "Distributed Locks with Redis" (extending; the drift).
 *
 * A class, because each lease has one: its methods are there once and not once a lease.
 */
export class Heartbeat implements Sleeper {
  slot: WakeSlot | undefined
  next: Sleeper | undefined
  previous: Sleeper | undefined
  readonly #resource: string
  readonly #options: HeartbeatOptions
  readonly #renew: () => Promise<boolean>
  readonly #roundingMs: number
  #isOver = false
  #lostWhy: LeaseLost['why'] | undefined
  #confirmedAtMs = 0
  #nextAttemptAtMs = 0
  #giveUpAtMs = 0
  // Made when somebody looks: most brackets are over before anybody does, and it is the dearest part of a lease.
  #controller: AbortController | undefined
  #tell: (() => void) | undefined

  /** `renew` renews for another TTL. `false`: the server says that the lock is not ours any more. Rejecting: nothing is known. */
  constructor(resource: string, options: HeartbeatOptions, renew: () => Promise<boolean>) {
    this.#resource = resource
    this.#options = options
    this.#renew = renew
    this.#roundingMs = roundingMs(options.ttlMs, roundedShare)
    this.#confirm(options.sentAtMs)
  }

  /** The lock was granted. */
  start(): this {
    this.#schedule()
    return this
  }

  deadline(): number {
    const { ttlMs } = this.#options
    return this.#confirmedAtMs + ttlMs - clockDriftMs(ttlMs)
  }

  signal(): AbortSignal {
    this.#giveUpIfDue(performance.now())
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#lostWhy !== undefined) this.#controller.abort(new LeaseLost(this.#resource, this.#lostWhy))
    }
    return this.#controller.signal
  }

  /** Calls this once if the lease is lost, when its signal would fire: it costs less than a signal that nobody else reads. */
  onLost(tell: () => void): void {
    if (this.isLost()) tell()
    else this.#tell = tell
  }

  isLost(): boolean {
    this.#giveUpIfDue(performance.now())
    return this.#lostWhy !== undefined
  }

  /** The lock is known to be gone: fires the signal now, and not at the next beat. */
  deny(): void {
    if (!this.#isOver) this.#lose('not-held')
  }

  /** Ends the renewing without firing the signal. */
  stop(): void {
    this.#isOver = true
    wakeNoMore(this)
  }

  wake(nowMs: number): void {
    this.#giveUpIfDue(nowMs)
    if (this.#isOver) return
    if (nowMs >= this.#nextAttemptAtMs) this.#attempt()
    this.#schedule()
  }

  /** An attempt that has not been answered when its time is over is followed by another; its answer counts when it comes. */
  #attempt(): void {
    const { sentAtMs, maxHeldMs, attemptTimeoutMs } = this.#options
    const startedAtMs = performance.now()
    if (startedAtMs >= sentAtMs + maxHeldMs) {
      this.#nextAttemptAtMs = Number.POSITIVE_INFINITY
      return
    }
    this.#nextAttemptAtMs = this.#notBefore(startedAtMs + attemptTimeoutMs)
    this.#renew().then(
      (isOurs) => this.#hear(isOurs, startedAtMs),
      () => {
        // It may or may not have been renewed: the next attempt is due, the deadline stands.
      },
    )
  }

  #hear(isOurs: boolean, startedAtMs: number): void {
    if (this.#isOver) return
    if (!isOurs) {
      this.#lose('not-held')
      return
    }
    // Of two answers the earlier attempt's may come last.
    if (startedAtMs > this.#confirmedAtMs) this.#confirm(startedAtMs)
    this.wake(performance.now())
  }

  #confirm(sentAtMs: number): void {
    const { ttlMs } = this.#options
    this.#confirmedAtMs = sentAtMs
    this.#nextAttemptAtMs = this.#notBefore(sentAtMs + ttlMs / 3)
    this.#giveUpAtMs = Math.floor((this.deadline() - abortLeadMs(ttlMs)) / this.#roundingMs) * this.#roundingMs
  }

  #notBefore(atMs: number): number {
    return Math.ceil(atMs / this.#roundingMs) * this.#roundingMs
  }

  #schedule(): void {
    wakeAt(this, Math.min(this.#nextAttemptAtMs, this.#giveUpAtMs))
  }

  /** After a pause of the process, whoever asks may be earlier than the timer. */
  #giveUpIfDue(nowMs: number): void {
    if (!this.#isOver && nowMs >= this.#giveUpAtMs) this.#lose('expiring')
  }

  #lose(why: LeaseLost['why']): void {
    this.stop()
    this.#lostWhy = why
    this.#controller?.abort(new LeaseLost(this.#resource, why))
    this.#tell?.()
  }
}

export interface HeartbeatOptions {
  readonly ttlMs: number
  /** The moment of `performance.now()` just before the command that took the lock was sent. */
  readonly sentAtMs: number
  /** An attempt without an answer is followed by another one after this time. */
  readonly attemptTimeoutMs: number
  /** No renewal is begun later than this after the lock was taken. */
  readonly maxHeldMs: number
}

/** A renewal that is later and an end that is earlier by this share of the TTL matter to nobody. */
const roundedShare = 1 / 256

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
