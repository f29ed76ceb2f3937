import type { Attempt } from './attempt.ts'

/** One slice of a run's time. Nulls: no such answer in it. */
export interface LatencySlice {
  /** Seconds since the first attempt was sent. */
  readonly atSeconds: number
  /** Attempts that ended in this slice. */
  readonly requests: number
  /** Those of them after which the client could not know what had happened. */
  readonly unknownOutcomes: number
  readonly firstPaymentP50Ms: number | null
  readonly firstPaymentP99Ms: number | null
  readonly replayP50Ms: number | null
  readonly replayP99Ms: number | null
}

export interface LatencySeries {
  /** When the first attempt was sent, in milliseconds since 1970 on the clients' clock. */
  readonly startedAtMs: number
  readonly loadSeconds: number
  readonly sliceSeconds: number
  readonly slices: readonly LatencySlice[]
}

/** More slices than this no chart can show. */
const slicesLimit = 240

/** How the answers came over time: what a killed replica or a slow gateway looks like from outside. */
export function latencySeries(attempts: readonly Attempt[]): LatencySeries | null {
  if (attempts.length === 0) return null
  let startedAtMs = Number.POSITIVE_INFINITY
  let endedAtMs = Number.NEGATIVE_INFINITY
  for (const attempt of attempts) {
    startedAtMs = Math.min(startedAtMs, attempt.sentAt)
    endedAtMs = Math.max(endedAtMs, attempt.endedAt)
  }
  const loadSeconds = (endedAtMs - startedAtMs) / 1_000
  const sliceSeconds = Math.max(1, Math.ceil(loadSeconds / slicesLimit))
  const sliced = Array.from({ length: Math.floor(loadSeconds / sliceSeconds) + 1 }, (): Attempt[] => [])
  for (const attempt of attempts) {
    sliced[Math.floor((attempt.endedAt - startedAtMs) / 1_000 / sliceSeconds)]?.push(attempt)
  }
  const slices = sliced.map((ended, index) => summarize(ended, index * sliceSeconds))
  return { startedAtMs, loadSeconds, sliceSeconds, slices }
}

function summarize(ended: readonly Attempt[], atSeconds: number): LatencySlice {
  const paid = ended.filter(({ outcome, operation }) => outcome === 'ok' && operation === 'pay')
  const first = sortedMs(paid.filter((attempt) => !attempt.replayed))
  const replays = sortedMs(paid.filter((attempt) => attempt.replayed))
  return {
    atSeconds,
    requests: ended.length,
    unknownOutcomes: ended.filter((attempt) => attempt.outcome === 'info').length,
    firstPaymentP50Ms: percentile(first, 50),
    firstPaymentP99Ms: percentile(first, 99),
    replayP50Ms: percentile(replays, 50),
    replayP99Ms: percentile(replays, 99),
  }
}

function sortedMs(attempts: readonly Attempt[]): number[] {
  return attempts.map((attempt) => attempt.inFlightMs).sort((one, other) => one - other)
}

/** The smallest value that at least so many of a hundred do not exceed. Null: there are no values. */
export function percentile(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? null
}
