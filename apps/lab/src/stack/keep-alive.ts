import { setTimeout as sleep } from 'node:timers/promises'
import type { Stack } from './start-stack.ts'
import type { ProcessEnd } from './supervisor.ts'

export interface KeepAliveOptions {
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** Long enough to be seen missing, so that somebody who kills a replica can watch the others go on. */
const restartAfterMs = 1_000

/** What ends more often than this is broken, and starting it again would only hide that. */
const mostRestarts = 5
const restartWindowMs = 60_000

/**
 * Keeps a stack running until `signal` is aborted: a process that ends without having been asked to is started again, a bounded
 * number of times. Resolves when the signal was aborted; stopping the stack is left to the caller.
 */
export async function keepAlive(stack: Stack, { signal, say }: KeepAliveOptions): Promise<void> {
  const restarts = new Map<string, number[]>()

  async function startAgain({ name, how, lastLines }: ProcessEnd): Promise<void> {
    const now = performance.now()
    const recent = (restarts.get(name) ?? []).filter((at) => now - at < restartWindowMs)
    restarts.set(name, [...recent, now])
    if (recent.length >= mostRestarts)
      return say(
        `${name} ended ${recent.length + 1} times within a minute (${how}) and stays down until the stack is started anew. Its last lines:\n${lastLines}`,
      )
    say(`${name} ended (${how}); starting it again`)
    await sleep(restartAfterMs, undefined, { signal })
    await stack.startAgain(name)
    say(`${name} is ready again`)
  }

  stack.onUnexpectedEnd((end) => {
    if (signal.aborted) return
    startAgain(end).catch((error: unknown) => {
      if (!signal.aborted)
        say(`${end.name} could not be started again: ${error instanceof Error ? error.message : error}`)
    })
  })
  // Something must be scheduled while nothing happens; the servers' handles alone would do, but are none of our business.
  const awake = setInterval(() => undefined, 60_000)
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  clearInterval(awake)
}
