import type { Explored } from '@seatbelt/explore'
import { boundsOf, type GameTask, type MutantTask, type Task } from './explore-plan.ts'
import type { Game, MeasuredMutant } from './explore-report.ts'
import { exploreRow, type RowResult } from './explore-row.ts'
import { findViolation, withoutTrace } from './find-violation.ts'
import { type ClaimResult, measureClaim } from './measure-claim.ts'
import { runItem, type Servers } from './run-item.ts'

/** The result of a task, as plain data. */
export type TaskResult =
  | ({ readonly kind: 'row' } & RowResult)
  | ({ readonly kind: 'claim' } & ClaimResult)
  | ({ readonly kind: 'mutant' } & MutantResult)
  | ({ readonly kind: 'game' } & GameResult)

export interface TaskOutcome {
  readonly task: Task
  /** Null: it failed, or the time was over before it began. */
  readonly result: TaskResult | null
  readonly failure: string | null
}

export interface MutantResult extends Pick<Explored, 'uncertain'> {
  readonly measured: MeasuredMutant
  readonly isCertain: boolean
}

export interface GameResult extends Pick<Explored, 'schedules' | 'isComplete' | 'uncertain'> {
  readonly game: Game
}

export async function runTask(task: Task, servers: Servers, signal: AbortSignal): Promise<TaskResult> {
  switch (task.kind) {
    case 'row':
      return { kind: 'row', ...(await exploreRow(task, servers, signal)) }
    case 'claim':
      return { kind: 'claim', ...(await measureClaim(task.claim, servers, signal, task.limit)) }
    case 'mutant':
      return { kind: 'mutant', ...(await measureMutant(task, servers, signal)) }
    case 'game':
      return { kind: 'game', ...(await recordGame(task, servers, signal)) }
  }
}

async function measureMutant(task: MutantTask, servers: Servers, signal: AbortSignal): Promise<MutantResult> {
  const { name, change, workload, off, fault } = task
  const { shortest, schedules, uncertain, isCertain } = await findViolation(
    { workload, off, mutant: name, fault },
    servers,
    signal,
  )
  return { measured: { name, change, found: shortest !== null, schedules, shortest }, uncertain, isCertain }
}

async function recordGame({ workload, off }: GameTask, servers: Servers, signal: AbortSignal): Promise<GameResult> {
  const item = { workload, off, bounds: boundsOf(workload, 'none'), isRecorded: true }
  const { executions, schedules, isComplete, uncertain } = await runItem(item, servers, signal)
  return { game: { workload, off, executions: executions.map(withoutTrace) }, schedules, isComplete, uncertain }
}
