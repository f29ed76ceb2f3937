/** Gives a number from 0 up to but not including 1. Injected, so that a test can repeat a run. */
export type Random = () => number

export interface BackoffOptions {
  /** The first pause is at most this long; each following one at most twice the one before. */
  readonly baseMs: number
  /** No pause is longer. */
  readonly maxMs: number
  readonly random?: Random
}

/**
 * How long to pause before the try after `failures` failed ones: **full jitter**, anything from 1 ms to the bound.
 *
 * Spreading over the whole range and not only around the bound is what keeps contenders, who all started at the same
 * moment, from coming back at the same moment.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function backoffMs(failures: number, { baseMs, maxMs, random = Math.random }: BackoffOptions): number {
  const boundMs = Math.min(maxMs, baseMs * 2 ** failures)
  return Math.max(1, random() * boundMs)
}

/** Resolves after `ms`, or as soon as the signal fires; the caller looks at the signal. Leaves no timer and no listener behind. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    signal?.addEventListener('abort', finish)
  })
}
