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
  readonly stack: Pick<Stack, 'kill' | 'startAgain'>
  readonly instance: string
  /** How many payments the instance is working on right now; null: there is nothing that would tell. */
  readonly countPaymentsOf: ((instance: string) => Promise<number>) | null
  readonly signal: AbortSignal
}

/** In a few hundred milliseconds of load a replica begins some dozens of payments; this waits for two at once. */
const wantedPayments = 2
const waitAtMostMs = 3_000
/** A payment takes some hundred milliseconds, most of them at the gateway, so that a look every five hits it. */
const lookEveryMs = 5
/** A replica that died between two payments has shown nothing; a third miss in a row is no bad luck any more. */
const mostKills = 3

/**
 * Kills a replica with SIGKILL while it is in the middle of payments, and starts it again. If the kill came a moment too
 * late to hit any, it is done again.
 */
export async function killInTheMiddle({ stack, instance, countPaymentsOf, signal }: KillOptions): Promise<Kill[]> {
  const kills: Kill[] = []
  while (kills.length < mostKills) {
    if (countPaymentsOf !== null) await waitForPayments(() => countPaymentsOf(instance), signal)
    const at = new Date()
    await stack.kill(instance)
    const payments = countPaymentsOf === null ? null : await countPaymentsOf(instance)
    await stack.startAgain(instance)
    kills.push({ instance, at, readyAgainAt: new Date(), payments })
    if (payments !== 0) break
  }
  return kills
}

async function waitForPayments(count: () => Promise<number>, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + waitAtMostMs
  while ((await count()) < wantedPayments && performance.now() < deadline) {
    await sleep(lookEveryMs, undefined, { signal })
  }
}
