import type pg from 'pg'

export interface PinnedConnections {
  reset(): void
  /** How many connections were checked out since the reset: over time, and at most. */
  read(): { mean: number; peak: number }
}

/** Counts what is checked out of these pools: connections that nobody else can use meanwhile. */
export function watchPinnedConnections(pools: readonly pg.Pool[]): PinnedConnections {
  let current = 0
  let peak = 0
  let area = 0
  let sinceMs = performance.now()
  let changedAtMs = sinceMs

  const change = (by: number) => {
    const nowMs = performance.now()
    area += current * (nowMs - changedAtMs)
    changedAtMs = nowMs
    current += by
    peak = Math.max(peak, current)
  }
  for (const pool of pools) {
    pool.on('acquire', () => change(1))
    pool.on('release', () => change(-1))
  }
  return {
    reset() {
      change(0)
      area = 0
      peak = current
      sinceMs = changedAtMs
    },
    read() {
      change(0)
      const elapsedMs = changedAtMs - sinceMs
      return { mean: elapsedMs === 0 ? current : area / elapsedMs, peak }
    },
  }
}
