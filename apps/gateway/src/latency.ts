import type { Random } from './random.ts'

/**
 * How long one request takes: between a half and one and a half of the mean, evenly. A constant would keep requests
 * that started together in lockstep and hide the interleavings that matter.
 */
export function drawLatencyMs(meanMs: number, random: Random): number {
  return meanMs * (0.5 + random())
}

/** Does not keep a closing process alive. */
export async function sleep(delayMs: number): Promise<void> {
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs).unref())
}
