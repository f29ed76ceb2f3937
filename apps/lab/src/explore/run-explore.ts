import { availableParallelism } from 'node:os'
import { makeTemplate, startTestServers } from '../stack/test-servers.ts'
import { buildExploreReport } from './build-explore-report.ts'
import { nameOf, type Plan, planExploration } from './explore-plan.ts'
import { graceMs, runInWorkers } from './explore-workers.ts'
import { renderExploreSummary } from './render-explore-summary.ts'
import type { TaskOutcome } from './run-task.ts'
import { writeExploreReport } from './write-explore-report.ts'

export interface ExploreCommandOptions {
  readonly root: string
  /** Two minutes instead of fifteen, with few schedules of each workload, in a report of its own. */
  readonly quick: boolean
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const

/** More processes would wait for the one PostgreSQL. */
const mostWorkers = 4

/** To end what runs, and then to stop the servers and write the report, which takes 8 s at most. */
const closingMs = graceMs + 8_000

/** What was explored so far. It outlives the run, so that there is a report also when the run fails. */
interface Findings {
  readonly outcomes: TaskOutcome[]
  exploredSeconds: number | null
}

/**
 * Explores every interleaving within the bounds, measures every claim, and always writes the report. Resolves to the
 * exit code: 0 valid, 1 invalid, 2 unknown.
 */
export async function runExplore(options: ExploreCommandOptions): Promise<number> {
  const { root, quick, say, signal } = options
  const startedAt = new Date()
  const plan = planExploration({ quick })
  const findings: Findings = { outcomes: [], exploredSeconds: null }
  let brokenOffBecause: string | null = null
  try {
    await exploreAll(options, plan, findings)
  } catch (error) {
    brokenOffBecause = signal.aborted ? `interrupted by ${String(signal.reason)}` : describeError(error)
  }
  const report = buildExploreReport({
    startedAt,
    durationSeconds: secondsSince(startedAt.getTime()),
    exploredSeconds: findings.exploredSeconds,
    quick,
    brokenOffBecause,
    tasks: plan.tasks,
    outcomes: findings.outcomes,
  })
  const page = writeExploreReport(root, report)
  say(renderExploreSummary(report))
  say(`Report: ${page}`)
  signal.throwIfAborted()
  return exitCodes[report.verdict]
}

async function exploreAll(options: ExploreCommandOptions, plan: Plan, findings: Findings): Promise<void> {
  const { root, say, signal } = options
  const timeUp = AbortSignal.timeout(plan.withinMs - closingMs)
  say('servers     starting PostgreSQL and Redis ...')
  const { environment, stop } = await startTestServers({ root, say, signal, purpose: 'explore' })
  try {
    await makeTemplate(environment.TEST_DATABASE_URL)
    const count = Math.min(mostWorkers, 1 + availableParallelism())
    say(`explore     ${plan.tasks.length} explorations in ${count} processes ...`)
    const beganMs = Date.now()
    try {
      await runInWorkers(plan.tasks, {
        root,
        maintenanceUrl: environment.TEST_DATABASE_URL,
        redisUrl: environment.TEST_REDIS_URL,
        temporaryFolder: environment.TMPDIR,
        count,
        timeUp,
        signal,
        onOutcome: (outcome, ms) => {
          findings.outcomes.push(outcome)
          if (outcome.result || outcome.failure)
            say(progressLine(outcome, ms, `${findings.outcomes.length} of ${plan.tasks.length}`))
        },
      })
    } finally {
      findings.exploredSeconds = secondsSince(beganMs)
    }
  } finally {
    await stop()
  }
}

function progressLine({ task, result, failure }: TaskOutcome, ms: number, place: string): string {
  return `${place.padEnd(12)}${nameOf(task)}: ${failure ?? wordsOf(result)}, ${(ms / 1_000).toFixed(1)} s`
}

function wordsOf(result: TaskOutcome['result']): string {
  switch (result?.kind) {
    case undefined:
      return 'not begun'
    case 'claim':
      return `${result.measured.measured}${result.isCertain ? '' : ', not all'}`
    case 'mutant':
      return `${result.measured.found ? 'found' : 'not found'} after ${result.measured.schedules} schedules`
    case 'game':
      return `${result.schedules} schedules recorded`
    case 'row':
      return `${result.schedules} schedules, ${result.violations} violations${result.isComplete ? '' : ', not all'}`
  }
}

function secondsSince(startMs: number): number {
  return Math.round((Date.now() - startMs) / 100) / 10
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
