import type { LockSeries } from './locks-report.ts'
import type { PinnedConnections } from './pinned-connections.ts'
import { type Cell, runSlice, type Slice } from './run-slice.ts'
import { median, quantile, rounded } from './statistics.ts'
import type { Strategy } from './strategies.ts'

export interface ContentionPlan {
  readonly cells: readonly Cell[]
  /** By the work under the lock: a slice holds at least a dozen of it. */
  readonly sliceMs: (workMs: number) => number
}

export interface Contention {
  /** Measures every cell once with every strategy. */
  runRound(): Promise<void>
  series(): LockSeries[]
}

/**
 * Every cell with every strategy. The strategies take turns within each cell, and the rounds of one cell are spread over the whole
 * run: what disturbs the machine for a while hits all of them, and no cell alone.
 */
export function measureContention(
  strategies: readonly Strategy[],
  { cells, sliceMs }: ContentionPlan,
  { pinned, signal }: { readonly pinned: PinnedConnections; readonly signal: AbortSignal },
): Contention {
  const slices = new Map<Cell, Map<Strategy, Slice[]>>(
    cells.map((cell) => [cell, new Map(strategies.map((strategy) => [strategy, []]))]),
  )
  let round = 0
  return {
    async runRound() {
      for (const [cell, ofCell] of slices) {
        for (const strategy of inTurns(strategies, round)) {
          signal.throwIfAborted()
          ofCell.get(strategy)?.push(await runSlice(strategy, cell, { sliceMs: sliceMs(cell.workMs), pinned }))
        }
      }
      round++
    },
    series: () =>
      [...slices].flatMap(([cell, ofCell]) => [...ofCell].map(([{ name }, all]) => summarize(name, cell, all))),
  }
}

/**
 * Another one begins each round, and every second round goes backwards: otherwise each would always have the same one before it,
 * whose garbage it collects.
 */
export function inTurns<T>(list: readonly T[], round: number): T[] {
  const start = round % list.length
  const turns = [...list.slice(start), ...list.slice(0, start)]
  return round % 2 === 0 ? turns : turns.reverse()
}

function summarize(strategy: string, cell: Cell, slices: readonly Slice[]): LockSeries {
  const sum = (of: (slice: Slice) => number) => slices.reduce((total, slice) => total + of(slice), 0)
  const latencies = slices.flatMap(({ latenciesMs }) => latenciesMs)
  const wasted = sum(({ wastedWorks }) => wastedWorks)
  const perBracket = (total: number) => (latencies.length === 0 ? null : rounded(total / latencies.length))
  return {
    strategy,
    ...cell,
    rounds: slices.length,
    brackets: latencies.length,
    throughputPerSecond: rounded(
      median(slices.map(({ latenciesMs, elapsedMs }) => (latenciesMs.length / elapsedMs) * 1_000)),
    ),
    p50Ms: rounded(quantile(latencies, 0.5)),
    // Of fewer it would be the greatest under another name.
    p99Ms: latencies.length < 50 ? null : rounded(quantile(latencies, 0.99)),
    maxMs: rounded(quantile(latencies, 1)),
    retriesPerBracket: perBracket(sum(({ retries }) => retries)),
    wastedWorkShare: wasted + latencies.length === 0 ? null : rounded(wasted / (wasted + latencies.length)),
    gaveUp: sum(({ gaveUp }) => gaveUp),
    pinnedConnections: {
      mean: rounded(median(slices.map(({ pinned }) => pinned.mean))),
      peak: Math.max(...slices.map(({ pinned }) => pinned.peak)),
    },
  }
}
