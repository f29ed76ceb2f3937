import type { Machine, Ratio } from '@seatbelt/lab/bench-locks/locks-report.ts'
import type { CpuMs } from '../load/slice.ts'
import type { OperationName } from '../plan.ts'
import type { SystemName } from '../systems/systems.ts'

/** `.seatbelt/reports/bench.json`. Fields are added, never renamed. A figure that was not measured is null, never 0. */
export interface BenchReport {
  readonly verdict: 'valid' | 'invalid' | 'unknown'
  /** Why the verdict is not `valid`; empty where it is. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  readonly quick: boolean
  readonly only: SystemName | null
  readonly machine: Machine
  readonly ratios: readonly Ratio[]
  readonly series: readonly Series[]
  /** Slices that have no figures, because an answer was wrong. One makes the run invalid. */
  readonly failures: readonly Failure[]
  readonly roundTrips: readonly RoundTrips[]
  /** Null: not measured. */
  readonly filesPerPayment: FilesPerPayment | null
  /** Where the CPU time of a system goes that missed a goal. */
  readonly profiles: readonly Profile[]
  readonly notes: readonly string[]
}

/** `gateway`: the load client asks the simulator, with no API between them. */
export type Subject = SystemName | 'gateway'

/** One kind of request at one concurrency at one system. Medians are over the runs. */
export interface Series {
  readonly system: Subject
  readonly operation: OperationName
  readonly inFlight: number
  readonly throughputPerSecond: number | null
  readonly p50Ms: number | null
  /** Over the requests of all runs together; null below a hundred of them. */
  readonly p99Ms: number | null
  readonly cpuMsPerRequest: CpuMs
  readonly runs: readonly SeriesRun[]
}

export interface Failure {
  readonly system: Subject
  readonly operation: OperationName
  readonly inFlight: number
  readonly round: number
  readonly message: string
}

export interface SeriesRun {
  readonly round: number
  readonly windowSeconds: number
  /** Answered within the window. */
  readonly requests: number
  readonly throughputPerSecond: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly meanMs: number | null
  readonly cpuMsPerRequest: CpuMs
  /** CPU time of the load client over the window; near 1 it would be the bottleneck itself. */
  readonly clientCores: number | null
  /** CPU time of everything that was not part of the measurement, over the window: other programs, and idle systems. */
  readonly otherCores: number | null
}

/** The round trips of one operation that runs alone. */
export interface RoundTrips {
  readonly system: SystemName
  readonly operation: OperationName
  /** Medians over the samples. */
  readonly postgres: number
  readonly redis: number
  readonly samples: readonly { readonly postgres: number; readonly redis: number }[]
  /** Of a typical sample, in order: what each round trip carried. */
  readonly trips: readonly { readonly to: 'postgres' | 'redis'; readonly carried: readonly string[] }[]
}

export interface FilesPerPayment {
  /** Outside packages/http and packages/locks. */
  readonly files: readonly string[]
  readonly filesOfHttpAndLocks: readonly string[]
}

export interface Profile {
  readonly system: SystemName
  readonly operation: OperationName
  /** The ratios that were missed. */
  readonly because: readonly string[]
  /** Shares of the time in which the process was busy, the largest first. */
  readonly packages: readonly { readonly name: string; readonly share: number }[]
  readonly functions: readonly { readonly name: string; readonly share: number }[]
}
