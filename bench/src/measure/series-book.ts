import { quantile, rounded } from '@seatbelt/lab/bench-locks/statistics.ts'
import { SliceFailed } from '../load/load-client.ts'
import type { CpuMs, SliceResult } from '../load/slice.ts'
import type { OperationName } from '../plan.ts'
import type { Failure, Series, SeriesRun, Subject } from '../report/bench-report.ts'
import { median } from './median.ts'

/** Below this many requests, the slowest of them is all that a 99th percentile would say. */
const fewestForP99 = 100

const mostFailures = 8

export interface SeriesName {
  readonly system: Subject
  readonly operation: OperationName
  readonly inFlight: number
}

/** Collects the runs of each series. */
export class SeriesBook {
  readonly #failures: Failure[] = []
  readonly #series = new Map<string, { name: SeriesName; runs: SeriesRun[]; latenciesMs: number[] }>()

  add(name: SeriesName, round: number, result: SliceResult): SeriesRun {
    const key = `${name.system} ${name.operation} ${name.inFlight}`
    const series = this.#series.get(key) ?? { name, runs: [], latenciesMs: [] }
    this.#series.set(key, series)
    const run = summarizeRun(round, result)
    series.runs.push(run)
    series.latenciesMs.push(...result.latenciesMs)
    return run
  }

  /** @throws when there are so many that going on would be a waste of time. */
  addFailure({ system, operation, inFlight }: SeriesName, round: number, message: string): void {
    this.#failures.push({ system, operation, inFlight, round, message })
    if (this.#failures.length >= mostFailures) throw new Error(`${mostFailures} slices failed; the last: ${message}`)
  }

  get failures(): readonly Failure[] {
    return this.#failures
  }

  list(): Series[] {
    return [...this.#series.values()].map(({ name, runs, latenciesMs }) => ({
      system: name.system,
      operation: name.operation,
      inFlight: name.inFlight,
      throughputPerSecond: medianOf(runs, (run) => run.throughputPerSecond),
      p50Ms: medianOf(runs, (run) => run.p50Ms),
      p99Ms: p99Of(latenciesMs),
      cpuMsPerRequest: medianCpu(runs),
      runs,
    }))
  }
}

/** @throws where nothing was answered: then the window or the jobs were too few. */
function summarizeRun(round: number, result: SliceResult): SeriesRun {
  const { windowMs, completed, latenciesMs, cpuMs, machineCpuMs } = result
  if (completed === 0) throw new SliceFailed('no request was answered within the measured window')
  const sum = latenciesMs.reduce((total, value) => total + value, 0)
  return {
    round,
    windowSeconds: rounded(windowMs / 1_000),
    requests: completed,
    throughputPerSecond: rounded((completed / windowMs) * 1_000),
    p50Ms: rounded(quantile(latenciesMs, 0.5)),
    p99Ms: p99Of(latenciesMs),
    meanMs: latenciesMs.length === 0 ? null : rounded(sum / latenciesMs.length),
    cpuMsPerRequest: mapCpu(cpuMs, (ms) => rounded(ms / completed)),
    clientCores: cpuMs.client === null ? null : rounded(cpuMs.client / windowMs),
    otherCores: machineCpuMs === null ? null : rounded(Math.max(0, machineCpuMs - sumOf(cpuMs)) / windowMs),
  }
}

function sumOf({ api, postgres, redis, simulator, client }: CpuMs): number {
  return [api, postgres, redis, simulator, client].reduce((total: number, ms) => total + (ms ?? 0), 0)
}

function p99Of(latenciesMs: readonly number[]): number | null {
  return latenciesMs.length < fewestForP99 ? null : rounded(quantile(latenciesMs, 0.99))
}

function medianOf(runs: readonly SeriesRun[], of: (run: SeriesRun) => number | null): number | null {
  return rounded(median(runs.flatMap((run) => of(run) ?? [])))
}

function medianCpu(runs: readonly SeriesRun[]): CpuMs {
  const of = (name: keyof CpuMs) => medianOf(runs, ({ cpuMsPerRequest }) => cpuMsPerRequest[name])
  return {
    api: of('api'),
    postgres: of('postgres'),
    redis: of('redis'),
    simulator: of('simulator'),
    client: of('client'),
  }
}

function mapCpu(cpuMs: CpuMs, change: (ms: number) => number): CpuMs {
  const of = (name: keyof CpuMs) => (cpuMs[name] === null ? null : change(cpuMs[name]))
  return {
    api: of('api'),
    postgres: of('postgres'),
    redis: of('redis'),
    simulator: of('simulator'),
    client: of('client'),
  }
}
