import type { Execution, FaultKind, Schedule } from '@seatbelt/explore'

/** Reports/explore.json. A figure that was not measured is null. */
export interface ExploreReport {
  /** `unknown`: a schedule ran differently the second time, or a workload was not explored to its bounds. */
  readonly verdict: 'valid' | 'invalid' | 'unknown'
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  /** Schedules of rows, claims, mutants and games. Those of one row are in no other row. */
  readonly schedules: number
  /** Also of those that were run again, to find the places for a fault. */
  readonly schedulesPerSecond: number | null
  /** With all layers on, without the known ones. */
  readonly violations: number
  /** Each row: these layers off, these schedules of this workload. The row without any layer off comes first. */
  readonly layers: readonly ExploredRow[]
  readonly claims: readonly ReportedClaim[]
  readonly mutants: readonly MeasuredMutant[]
  /** Violations that a later issue mends, each with the schedule that shows it. */
  readonly known: readonly { readonly what: string; readonly mendedBy: string; readonly execution: Execution | null }[]
  /** For the reader who wants to be the scheduler. */
  readonly games: readonly Game[]
  /** Messages to PostgreSQL and the gateway per schedule, without the Redis lock and with it. */
  readonly redisLock: { readonly messagesWithout: number; readonly messagesWith: number } | null
}

/** What `npm run explore` writes. */
export interface ExploreRunReport extends ExploreReport {
  /** A quick run explores a few schedules of each workload. It shows that the explorer works. */
  readonly quick: boolean
  readonly claims: readonly MeasuredClaim[]
  /** Schedules that ran differently the second time, or that got stuck. */
  readonly uncertain: readonly { readonly what: string; readonly schedule: Schedule; readonly why: string }[]
}

/** `random`: beyond the bounds, with any fault or none. */
export type RowFault = FaultKind | 'none' | 'random'

export interface ExploredRow {
  readonly off: readonly LayerName[]
  readonly fault: RowFault
  readonly workload: string
  /** With this fault. */
  readonly schedules: number
  /** By a formula. Null: there is none, because the steps of these workloads depend on the schedule. */
  readonly bound: number | null
  readonly violations: number
  readonly shortest: Execution | null
}

export const layerNames = [
  'idempotency key',
  'redis lock',
  'advisory lock',
  'version',
  'unique constraint',
  'gateway reference',
  'gateway fence',
  'generation',
  'seat claim',
] as const

export type LayerName = (typeof layerNames)[number]

/** The purpose of one layer, and the other layers with which it is measured. */
export interface Claim {
  readonly layer: LayerName
  /** In a sentence, such as "Two payments of one order are both claimed." */
  readonly prevents: string
  /** The layers that are on beside it. All others are off. */
  readonly given: readonly LayerName[]
  readonly workload: string
  /** The one kind of fault that shows it. Without: schedules without faults are tried, then all kinds. */
  readonly fault?: FaultKind
}

export interface MeasuredClaim extends Claim {
  readonly measured: 'as claimed' | 'not as claimed'
  /** Without the layer: the shortest schedule that breaks something. Null: none did. */
  readonly without: Execution | null
  /** The same schedule with the layer on. */
  readonly with: Execution | null
  readonly schedulesWithout: number
  readonly schedulesWith: number
  readonly violationsWith: number
}

/** A claim as a reader of the report finds it. Null is not measured, except where nothing broke. */
export type ReportedClaim = Claim & {
  readonly [Figure in Exclude<keyof MeasuredClaim, keyof Claim>]: MeasuredClaim[Figure] | null
}

export interface MeasuredMutant {
  readonly name: string
  /** The text of a statement that was replaced, or the index that was dropped. */
  readonly change: string
  readonly found: boolean
  readonly schedules: number
  readonly shortest: Execution | null
}

/** A tree of real executions of one workload: at each step, who could go on and what happened then. */
export interface Game {
  readonly workload: string
  readonly off: readonly LayerName[]
  readonly executions: readonly Execution[]
}
