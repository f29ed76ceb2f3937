import { inTurns } from './measure-contention.ts'
import type { PinnedConnections } from './pinned-connections.ts'
import { runSlice } from './run-slice.ts'
import { median } from './statistics.ts'
import type { Strategy } from './strategies.ts'

export interface Comparison {
  readonly inFlight: number
  /** Measures so many rounds more. */
  run(rounds: number, context: { readonly pinned: PinnedConnections; readonly signal: AbortSignal }): Promise<void>
  /** How the first strategy's throughput relates to this one's: the median of the rounds. */
  ratioTo(other: Strategy): number | null
  /** Medians, brackets a second, by name. */
  throughputs(): ReadonlyMap<string, number | null>
}

/**
 * The first strategy against the others, without contention and without work, in short slices that alternate. Each round gives a
 * ratio of its own, and the median of them counts: a second in which the machine does something else spoils a round and not
 * the result. The first round of each `run` is for the compiler and is not counted.
 */
export function compareThroughput(
  strategies: readonly [Strategy, ...Strategy[]],
  { inFlight, sliceMs }: { readonly inFlight: number; readonly sliceMs: number },
): Comparison {
  // A resource for each: nobody meets anybody.
  const cell = { contenders: inFlight, resources: inFlight, workMs: 0 }
  const perSecond = new Map<string, number[]>(strategies.map(({ name }) => [name, []]))
  let round = 0
  return {
    inFlight,
    async run(rounds, { pinned, signal }) {
      for (let warming = true, left = rounds; left > 0; warming = false, round++) {
        for (const strategy of inTurns(strategies, round)) {
          signal.throwIfAborted()
          const { latenciesMs, elapsedMs } = await runSlice(strategy, cell, { sliceMs, pinned })
          if (!warming) perSecond.get(strategy.name)?.push((latenciesMs.length / elapsedMs) * 1_000)
        }
        if (!warming) left--
      }
    },
    ratioTo(other) {
      const others = perSecond.get(other.name) ?? []
      const ours = perSecond.get(strategies[0].name) ?? []
      return median(ours.map((value, index) => value / (others[index] ?? Number.NaN)))
    },
    throughputs: () => new Map([...perSecond].map(([name, values]) => [name, median(values)])),
  }
}
