import { setTimeout as sleep } from 'node:timers/promises'
import type { Stack } from '../stack/start-stack.ts'

export interface Kill {
  readonly instance: string
  readonly at: Date
  readonly readyAgainAt: Date
  /** Payments that it had begun and did not live to finish; null where nobody can tell. */
  readonly payments: number | null
}

export interface KillOptions {
  readonly stack: Pick<Stack, 'kill' | 'startAgain' | 'pid'>
  readonly instance: string
  /** How many payments the instance is working on right now; null: there is nothing that would tell. */
  readonly countPaymentsOf: ((instance: string) => Promise<number>) | null
  /** Told once the process is gone, before anybody goes on with what it had in its hands. */
  readonly onKilled?: () => Promise<void>
  /** Fires when the load is over: then there is nothing left to wait for. */
  readonly signal: AbortSignal
  /** Stops and continues a process; a test's own in tests. */
  readonly send?: (pid: number, signal: 'SIGSTOP' | 'SIGCONT') => void
}

/**
 * Two, because one of them may be in the hands of PostgreSQL already, as a COMMIT that needs nobody any more. Where two are not to be
 * had for half of the looks, as at the end of a small load, one has to do.
 */
const wantedPayments = (looks: number) => (looks < mostLooks / 2 ? 2 : 1)
/** A replica under load begins a payment every few dozen milliseconds: this many looks miss only one that has no load. */
const mostLooks = 100
const pauseBetweenLooksMs = 20

/**
 * Kills a process with SIGKILL in the middle of payments, and starts it again.
 *
 * It is stopped first and looked at then: what a stopped process has begun, it cannot finish before it is killed. So the
 * kill does not hit by luck.
 */
export async function killInTheMiddle(options: KillOptions): Promise<Kill> {
  const { stack, instance, countPaymentsOf, onKilled } = options
  if (countPaymentsOf !== null) await stopInTheMiddle({ ...options, countPaymentsOf })
  const at = new Date()
  await stack.kill(instance)
  await onKilled?.()
  const payments = countPaymentsOf === null ? null : await countPaymentsOf(instance)
  await stack.startAgain(instance)
  return { instance, at, readyAgainAt: new Date(), payments }
}

async function stopInTheMiddle({
  stack,
  instance,
  countPaymentsOf,
  signal,
  send = process.kill,
}: KillOptions & { readonly countPaymentsOf: (instance: string) => Promise<number> }): Promise<void> {
  for (let looks = 0; looks < mostLooks && !signal.aborted; looks++) {
    const pid = stack.pid(instance)
    if (pid === null) return
    send(pid, 'SIGSTOP')
    if ((await countPaymentsOf(instance)) >= wantedPayments(looks)) return
    send(pid, 'SIGCONT')
    await sleep(pauseBetweenLooksMs, undefined, { signal }).catch(() => undefined)
  }
}
