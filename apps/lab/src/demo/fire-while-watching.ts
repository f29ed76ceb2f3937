import { join } from 'node:path'
import { signalGroup } from '../../../../scripts/process-groups.mjs'
import { recordProcess } from '../../../../scripts/run-records.mjs'
import { readPeakMb } from '../stack/peak-memory.ts'
import { type LoadOptions, type LoadOutcome, runK6 } from '../stack/run-k6.ts'
import type { Stack } from '../stack/start-stack.ts'
import { type K6Summary, readK6Summary } from './k6-summary.ts'

export interface Firing extends Omit<LoadOptions, 'stack' | 'summaryPath' | 'log' | 'onStart'> {
  /** Whose run it is: k6 is among its processes, and its output among its logs. */
  readonly stack: Stack
  readonly target: LoadOptions['stack']
  /** Names the run in the auditor, and begins each idempotency key. */
  readonly run: string
  readonly signal: AbortSignal
}

export interface Fired {
  readonly outcome: LoadOutcome
  readonly summary: K6Summary | null
  readonly k6PeakMb: number | null
}

/** What a watcher has to do with the load. */
export interface Watched {
  /** Fires when the load is over. What the watcher has begun by then it may bring to its end. */
  readonly over: AbortSignal
  /** To be called as often as the watcher looks at the load. */
  readonly onLook: () => void
  /** Has the load end now, and sum up. May be called again. */
  readonly endLoad: () => void
}

/**
 * Fires a load test, and does something to the system meanwhile.
 *
 * Fails with whatever `watch` fails with: a load that goes on without the faults that it was meant to meet is of no use.
 */
export async function fireWhileWatching<T>(
  { stack, target, ...load }: Firing,
  watch: (load: Watched) => Promise<T>,
): Promise<Fired & { readonly watched: T }> {
  const { run, signal } = load
  const summaryPath = join(stack.run.logs, `k6-${run}.json`)
  const loadIsOver = new AbortController()
  const watchBroke = new AbortController()
  let k6Pid: number | null = null

  // A k6 that is asked politely would still run its teardown, which waits for a verdict that nobody wants any more.
  const end = AbortSignal.any([signal, watchBroke.signal])
  end.addEventListener('abort', () => k6Pid !== null && signalGroup(k6Pid, 'SIGKILL'))

  const firing = runK6({
    ...{ ...load, stack: target, summaryPath, signal: end },
    log: join(stack.run.logs, `k6-${run}.log`),
    onStart: (pid) => {
      k6Pid = pid
      recordProcess(stack.run, 'k6', { pid })
    },
  }).finally(() => {
    k6Pid = null
    loadIsOver.abort()
  })

  let k6PeakMb: number | null = null
  let wasAsked = false
  const watching = watch({
    over: AbortSignal.any([signal, loadIsOver.signal]),
    onLook: () => {
      if (k6Pid !== null) k6PeakMb = readPeakMb(k6Pid) ?? k6PeakMb
    },
    endLoad: () => {
      // Asked once more, it would end without summing up.
      if (k6Pid !== null && !wasAsked) wasAsked = signalGroup(k6Pid, 'SIGINT')
    },
  }).catch((error: unknown) => {
    watchBroke.abort(error)
    throw error
  })

  // Both ends are waited for: whichever fails, the other must not be left behind.
  const [fired, watched] = await Promise.allSettled([firing, watching])
  signal.throwIfAborted()
  if (watched.status === 'rejected') throw watched.reason
  if (fired.status === 'rejected') throw fired.reason
  return { outcome: fired.value, summary: readK6Summary(summaryPath), watched: watched.value, k6PeakMb }
}
