import type { Bounds, Execution, FaultKind, RandomPart } from '@seatbelt/explore'
import { claims } from './claims.ts'
import { type Claim, type LayerName, layerNames, type RowFault } from './explore-report.ts'
import { type Mutant, type MutantName, mutants } from './mutants.ts'
import { type ScenarioName, scenarios } from './scenarios.ts'

/** One piece of work for one process. Plain data. */
export type Task = RowTask | ClaimTask | MutantTask | GameTask

export interface RowTask {
  readonly kind: 'row'
  readonly workload: ScenarioName
  readonly off: readonly LayerName[]
  readonly fault: RowFault
  /** Schedules at most. Null: all within the bounds. */
  readonly limit: number | null
}

export interface ClaimTask {
  readonly kind: 'claim'
  readonly claim: Claim
  /** Schedules with the layer on at most. Null: all within the bounds. */
  readonly limit: number | null
}

export interface MutantTask {
  readonly kind: 'mutant'
  readonly name: MutantName
  readonly change: string
  readonly workload: ScenarioName
  readonly off: readonly LayerName[]
  readonly fault: FaultKind | undefined
}

export interface GameTask {
  readonly kind: 'game'
  readonly workload: ScenarioName
  readonly off: readonly LayerName[]
}

export interface Plan {
  readonly tasks: readonly Task[]
  /** Of the whole run, with its servers. */
  readonly withinMs: number
  readonly isQuick: boolean
}

const workloads = Object.keys(scenarios) as readonly ScenarioName[]

/**
 * The Redis lock refuses the second request early, and by the gateway reference two payments of one order meet one
 * intent. Both hide what the layers between them do.
 */
const hiding: readonly LayerName[] = ['redis lock', 'gateway reference']

export const faultsOfRows = ['none', 'crash', 'lose-answer', 'pause', 'flush', 'time-out', 'random'] as const

/** Three actors have many more schedules than two, and so has a loss, after which recovery and two clients act. */
const longWorkloads: ReadonlySet<ScenarioName> = new Set([
  'checkout against expiry',
  'two keys and the webhook',
  'lost commits',
])

/** With a fault, an exploration also runs the schedules without it: it finds the places for a fault in them. */
export function boundsOf(workload: ScenarioName, fault: RowFault | 'any'): Bounds {
  if (fault === 'random') return { preemptions: 0, preemptionsWithFault: null }
  const fewer = longWorkloads.has(workload) ? 1 : 0
  if (fault === 'none') return { preemptions: 2 - fewer, preemptionsWithFault: null }
  return { preemptions: 1 - fewer, preemptionsWithFault: 1 - fewer }
}

/** Beyond the bounds: up to three actors fall behind all others, and every second schedule has a fault. */
export const randomPart: RandomPart = { firstSeed: 1, schedules: 200, changes: 3 }

/** The kind of fault in an execution's schedule. */
export function faultIn({ schedule }: Execution): FaultKind | 'none' {
  for (const { kind } of schedule.deviations) if (kind !== 'switch' && kind !== 'victim') return kind
  return 'none'
}

export function planExploration({ quick }: { readonly quick: boolean }): Plan {
  const rows = quick ? quickRows() : allRows()
  return {
    // Claims and mutants decide the verdict and are short. Of the rows, the longest start first, so that no core is
    // left alone with a long one at the end.
    tasks: [...claimTasks(quick ? quickLimit : null), ...mutantTasks(), ...gameTasks, ...longestFirst(rows)],
    withinMs: quick ? 120_000 : 900_000,
    isQuick: quick,
  }
}

/** Enough to see that the explorer works. Most rows reach this limit in two seconds. */
const quickLimit = 20

function quickRows(): RowTask[] {
  return [[], hiding].flatMap((off) => rowsOf(off, ['none', 'crash'], quickLimit))
}

/** Without the layers that hide others, a part is enough: all layers that decide are the same. */
function allRows(): RowTask[] {
  return [...rowsOf([], faultsOfRows, null), ...rowsOf(hiding, ['none', 'crash', 'random'], null)]
}

function rowsOf(off: readonly LayerName[], faults: readonly RowFault[], limit: number | null): RowTask[] {
  // Commits that are lost are what the gateway reference is for: without it, this workload breaks.
  const sound = workloads.filter((workload) => workload !== 'lost commits' || !off.includes('gateway reference'))
  return sound.flatMap((workload) => faults.map((fault): RowTask => ({ kind: 'row', workload, off, fault, limit })))
}

function claimTasks(limit: number | null): ClaimTask[] {
  return claims.map((claim) => ({ kind: 'claim', claim, limit }))
}

function mutantTasks(): MutantTask[] {
  return (Object.keys(mutants) as MutantName[]).map((name) => {
    const { change, workload, off, fault }: Mutant = mutants[name]
    return { kind: 'mutant', name, change, workload, off, fault }
  })
}

const gameTasks: readonly GameTask[] = [
  { kind: 'game', workload: 'two keys', off: [...hiding, 'advisory lock', 'version', 'unique constraint'] },
  { kind: 'game', workload: 'two keys', off: hiding },
]

/** The layers that are off where the claim's layer is measured. The others are on beside it. */
export function offWithout({ layer, given }: Claim): LayerName[] {
  return layerNames.filter((one) => one === layer || !given.includes(one))
}

export function offWith(claim: Claim): LayerName[] {
  return offWithout(claim).filter((one) => one !== claim.layer)
}

/** Roughly the time of a row, in relation to that of other rows. A sleeper meets recovery as a third actor. */
const sizes: Readonly<Record<RowTask['fault'], number>> = {
  pause: 20,
  crash: 10,
  'lose-answer': 10,
  flush: 10,
  random: 5,
  none: 2,
  'time-out': 1,
}

function longestFirst(rows: readonly RowTask[]): RowTask[] {
  return rows.toSorted((one, other) => sizes[other.fault] - sizes[one.fault])
}

/** For progress and for reasons. */
export function nameOf(task: Task): string {
  switch (task.kind) {
    case 'claim':
      return `claim ${task.claim.layer}, ${task.claim.workload}`
    case 'mutant':
      return `mutant ${task.name}`
    case 'game':
      return `game ${task.workload}, ${without(task.off)}`
    case 'row':
      return `${task.workload}, ${wordsOf(task.fault)}, ${without(task.off)}`
  }
}

function wordsOf(fault: RowFault): string {
  const { firstSeed, schedules } = randomPart
  if (fault === 'random') return `random with seeds ${firstSeed} to ${firstSeed + schedules - 1}`
  return fault === 'none' ? 'no fault' : fault
}

function without(off: readonly LayerName[]): string {
  return off.length === 0 ? 'all layers on' : `without ${off.join(', ')}`
}

export function workloadNamed(name: string): ScenarioName {
  const found = workloads.find((workload) => workload === name)
  if (!found) throw new Error(`There is no workload "${name}". Choose one of: ${workloads.join(', ')}.`)
  return found
}
