import { createHook } from 'node:async_hooks'
import { eventually } from './eventually.ts'

export interface LeakCheck {
  /** What was opened since the check began and is still open, with the line that opened it. */
  open(): string[]
  /**
   * Throws with the list of them, after a grace in which closing ones may finish. Ends the check. Call it last in a
   * file (`afterAll`), when everything is closed.
   */
  assertNoLeaks(grace?: { readonly graceMs: number }): Promise<void>
  /** Ends the check without looking. */
  stop(): void
}

/**
 * Sockets need a turn or two of the event loop to close, and ioredis keeps a timer of 2 s when it disconnects from a
 * server that has gone already. A handle that is still there after this was forgotten. The grace is as long as a busy
 * machine needs.
 */
const defaultGraceMs = 15_000

/** Timers (also those that keep no process alive), sockets, servers, pipes and child processes. */
const watched = new Set(['Timeout', 'TCPWRAP', 'TCPSERVERWRAP', 'PIPEWRAP', 'PIPESERVERWRAP', 'PROCESSWRAP'])

/**
 * Watches every timer, socket and child process that this process opens from now on.
 *
 * Those of the test runner itself are left out, by the first file in their stack that is not Node's own.
 */
export function startLeakCheck(): LeakCheck {
  const live = new Map<number, string>()
  const hook = createHook({
    init(asyncId, type) {
      if (!watched.has(type)) return
      const opener = openerOf(type, new Error().stack ?? '')
      if (opener !== null) live.set(asyncId, `${type} ${opener}`)
    },
    destroy(asyncId) {
      live.delete(asyncId)
    },
  }).enable()

  const open = () => [...live.values()]
  return {
    open,
    async assertNoLeaks({ graceMs } = { graceMs: defaultGraceMs }) {
      // The grace polls with timers of its own, which must not be counted.
      const before = new Set(live.keys())
      const leaks = () => [...live].filter(([id]) => before.has(id)).map(([, line]) => line)
      try {
        await eventually('everything is closed', () => leaks().length === 0, { boundMs: graceMs })
      } catch {
        throw new Error(`still open:\n  ${leaks().join('\n  ')}`)
      } finally {
        hook.disable()
      }
    },
    stop: () => void hook.disable(),
  }
}

/** The lines of the stack that say who opened it, or `null` for what is not a test's. */
function openerOf(type: string, stack: string): string | null {
  const lines = stack.split('\n').filter((line) => line.includes('/') && !line.includes('node:'))
  // The first is this file's own hook.
  const opener = lines.slice(1, 4).map((line) => line.trim())
  if (opener[0] !== undefined) return /\/(@vitest|vitest|tinypool|vite)\//.test(opener[0]) ? null : opener.join(' ')
  // Only Node in the stack: an accepted connection, a socket after a look-up. Node's own timers go with their sockets.
  return type === 'Timeout' ? null : 'opened inside Node'
}
