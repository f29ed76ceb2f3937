import { faultsOfRows, nameOf, type RowTask, type Task } from './explore-plan.ts'
import { type ExploredRow, type ExploreRunReport, layerNames, type MeasuredClaim } from './explore-report.ts'
import type { KnownFinding, RowResult } from './explore-row.ts'
import type { TaskOutcome } from './run-task.ts'

export interface RunFacts {
  readonly startedAt: Date
  readonly durationSeconds: number
  /** Without the start of the servers. Null: nothing was explored. */
  readonly exploredSeconds: number | null
  readonly quick: boolean
  readonly brokenOffBecause: string | null
  readonly tasks: readonly Task[]
  readonly outcomes: readonly TaskOutcome[]
}

/** The page and the terminal list at most this many reasons of a kind. */
const mostReasons = 10
/** Enough to find what they have in common. */
const mostUncertain = 50

export function buildExploreReport(facts: RunFacts): ExploreRunReport {
  const { outcomes, durationSeconds, exploredSeconds } = facts
  const results = outcomes.flatMap(({ task, result }) => (result ? [{ task, result }] : []))
  const rows = results.flatMap(({ task, result }) =>
    task.kind === 'row' && result.kind === 'row' ? [{ task, result }] : [],
  )
  const claims = results.flatMap(({ result }) => (result.kind === 'claim' ? [result] : []))
  const mutants = results.flatMap(({ result }) => (result.kind === 'mutant' ? [result] : []))
  const games = results.flatMap(({ result }) => (result.kind === 'game' ? [result] : []))
  const ofRows = sum(rows.map(({ result }) => result.schedules))
  const executedForRows = sum(rows.map(({ result }) => result.executed))
  const others = sum([
    ...games.map((game) => game.schedules),
    ...claims.map(({ measured }) => measured.schedulesWithout + measured.schedulesWith),
    ...mutants.map(({ measured }) => measured.schedules),
  ])
  const layers = rows.map(({ task, result }) => rowOf(task, result)).toSorted(byPlace)
  const uncertain = results.flatMap(({ task, result }) =>
    result.uncertain.map(({ schedule, why }) => ({ what: nameOf(task), schedule, why })),
  )
  const messages = claims.find((claim) => claim.messages !== null)?.messages ?? null
  const parts = { layers, claims: claims.map(({ measured }) => measured), mutants: mutants.map((one) => one.measured) }
  return {
    ...judge(facts, parts),
    startedAt: facts.startedAt.toISOString(),
    durationSeconds,
    schedules: ofRows + others,
    schedulesPerSecond: perSecond(executedForRows + others, exploredSeconds),
    violations: violationsIn(layers),
    ...parts,
    known: knownIn(rows.map(({ result }) => result)),
    games: games.map(({ game }) => game),
    quick: facts.quick,
    redisLock: messages && { messagesWithout: messages.without, messagesWith: messages.with },
    uncertain: uncertain.slice(0, mostUncertain),
  }
}

function rowOf({ workload, off, fault }: RowTask, result: RowResult): ExploredRow {
  const { schedules, violations, shortest } = result
  return { off, fault, workload, schedules, bound: null, violations, shortest }
}

function perSecond(count: number, seconds: number | null): number | null {
  return seconds === null ? null : Math.round((count / seconds) * 10) / 10
}

/** The rows without any layer off come first, and those of one workload stand together. */
function byPlace(one: ExploredRow, other: ExploredRow): number {
  return (
    one.off.length - other.off.length ||
    one.workload.localeCompare(other.workload) ||
    faultsOfRows.indexOf(one.fault) - faultsOfRows.indexOf(other.fault)
  )
}

function violationsIn(layers: readonly ExploredRow[]): number {
  return sum(layers.flatMap(({ off, violations }) => (off.length === 0 ? [violations] : [])))
}

function knownIn(rows: readonly RowResult[]): KnownFinding[] {
  const byWhat = new Map<string, KnownFinding>()
  for (const { known } of rows) for (const one of known) if (!byWhat.has(one.what)) byWhat.set(one.what, one)
  return [...byWhat.values()]
}

function judge(
  facts: RunFacts,
  parts: Pick<ExploreRunReport, 'layers' | 'claims' | 'mutants'>,
): Pick<ExploreRunReport, 'verdict' | 'reasons'> {
  const wrong = reasonsForInvalid(facts, parts)
  const unclear = reasonsForUnknown(facts)
  const verdict = wrong.length > 0 ? 'invalid' : unclear.length > 0 ? 'unknown' : 'valid'
  return { verdict, reasons: [...wrong, ...unclear] }
}

function reasonsForInvalid(
  { tasks, outcomes }: RunFacts,
  { layers, claims, mutants }: Pick<ExploreRunReport, 'layers' | 'claims' | 'mutants'>,
): string[] {
  // The rows are with all layers on, or without the Redis lock, on which nothing may depend.
  const broken = layers.filter(({ violations }) => violations > 0)
  const planned = new Set(tasks.flatMap((task) => (task.kind === 'claim' ? [task.claim.layer] : [])))
  const uncertain = new Set(outcomes.filter((outcome) => !isCertain(outcome)).map(({ task }) => nameOf(task)))
  const isSettled = (name: string) => !uncertain.has(name)
  return [
    ...broken.map(({ workload, fault, off, violations }) => {
      const layers = off.length === 0 ? 'all layers on' : `without ${off.join(', ')}`
      return `${workload}, ${fault}, ${layers}: ${violations} violations`
    }),
    ...claims
      .filter(
        (claim) =>
          claim.measured === 'not as claimed' &&
          (isRefuted(claim) || isSettled(nameOf({ kind: 'claim', claim, limit: null }))),
      )
      .map((claim) => `the claim of the layer "${claim.layer}" (${claim.workload}) ${whyNot(claim)}`),
    ...mutants
      .filter(({ found, name }) => !found && isSettled(`mutant ${name}`))
      .map(({ name }) => `the mutant "${name}" was not found`),
    ...layerNames.filter((layer) => !planned.has(layer)).map((layer) => `the layer "${layer}" has no claim`),
  ]
}

/** A violation with the layer on needs no further schedule. */
function isRefuted({ violationsWith }: MeasuredClaim): boolean {
  return violationsWith > 0
}

function whyNot({ without, violationsWith }: MeasuredClaim): string {
  if (violationsWith > 0) return `has ${violationsWith} violations with the layer on`
  return without === null ? 'has no violation without the layer' : 'measures otherwise'
}

function reasonsForUnknown({ outcomes, tasks, quick, brokenOffBecause }: RunFacts): string[] {
  const failed = outcomes.flatMap(({ task, failure }) => (failure === null ? [] : [`${nameOf(task)}: ${failure}`]))
  const done = new Set(outcomes.filter(isCertain).map(({ task }) => task))
  const begun = new Set(outcomes.flatMap(({ task, result }) => (result ? [task] : [])))
  // A quick run does not mean to reach the bounds.
  const open = tasks.filter((task) => !(quick ? begun : done).has(task)).map(nameOf)
  const uncertain = outcomes.flatMap(({ task, result }) =>
    result && result.uncertain.length > 0 ? [`${nameOf(task)}: ${result.uncertain.length} uncertain schedules`] : [],
  )
  const unchecked = outcomes.flatMap(({ task, result }) =>
    result && 'unchecked' in result && result.unchecked.length > 0
      ? [`${nameOf(task)}: ${result.unchecked.join(', ')} had nothing to check`]
      : [],
  )
  return [
    ...(brokenOffBecause === null ? [] : [brokenOffBecause]),
    ...(quick ? ['a quick run explores a few schedules of each workload: it only shows that the explorer works'] : []),
    ...atMost(failed),
    ...atMost(uncertain),
    ...atMost(unchecked),
    ...atMost(open.map((name) => `${name}: not explored to its bounds`)),
  ]
}

function isCertain({ result }: TaskOutcome): boolean {
  if (result === null) return false
  return 'isComplete' in result ? result.isComplete : result.isCertain
}

function atMost(reasons: readonly string[]): string[] {
  const left = reasons.length - mostReasons
  return left <= 0 ? [...reasons] : [...reasons.slice(0, mostReasons), `and ${left} more like it`]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
