import { backoffMs, pause, type Random } from './backoff.ts'
import type { AcquireOptions, Acquisition } from './lock.ts'

/**
 * Asks until it is granted, refused for another reason than contention, aborted, or the wait is over. What is between two
 * tries leaves nothing behind.
 */
export async function pollUntilGranted(
  { waitMs = 0, signal }: Pick<AcquireOptions, 'waitMs' | 'signal'>,
  pauses: { readonly baseMs: number; readonly maxMs: number; readonly random: Random },
  tryOnce: () => Promise<Acquisition | 'contended'>,
): Promise<Acquisition> {
  const waitUntilMs = performance.now() + waitMs
  for (let refusals = 0; ; refusals++) {
    if (signal?.aborted) return { acquired: false, reason: 'aborted' }
    const tried = await tryOnce()
    if (tried !== 'contended') return tried
    if (waitMs === 0) return { acquired: false, reason: 'contended' }
    const leftMs = waitUntilMs - performance.now()
    if (leftMs <= 0) return { acquired: false, reason: 'timed-out' }
    await pause(Math.min(backoffMs(refusals, pauses), leftMs), signal)
  }
}
