/** Often enough that a test loses no time, seldom enough that eight test files leave the processor alone. */
const pollEveryMs = 10

/**
 * Longer than anything takes on a machine that is busy twenty times over, shorter than a test's own time-out, so that
 * this bound says what did not come.
 */
export const patienceMs = 30_000

/**
 * For `createDatabase`: no test that is about something else runs into a bound of a connection. Locks keep their bound,
 * because a lock that is not granted is an outcome and not a fault.
 */
export const unhurried = {
  connectTimeoutMs: patienceMs,
  silenceTimeoutMs: 2 * patienceMs,
  serverBounds: { statement_timeout: patienceMs, idle_in_transaction_session_timeout: patienceMs },
} as const

/**
 * Resolves with the first value of `look` that is neither `undefined`, `null` nor `false`; rejects after `boundMs`.
 *
 * For what can only be watched from outside (another process, a server's table). Where the thing can be held instead,
 * use a latch or the proxy: polling shows that something happens, never that it happens in between.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  { boundMs = patienceMs }: { boundMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + boundMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== null && seen !== false) return seen
    if (performance.now() >= deadline) throw new Error(`not within ${boundMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
}
