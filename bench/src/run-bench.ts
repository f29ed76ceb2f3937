import { readMachine } from '@seatbelt/lab/bench-locks/read-machine.ts'
import { type LoadClient, startLoadClient } from './load/load-client.ts'
import { CellMeasurement } from './measure/measure-cells.ts'
import { SeriesBook } from './measure/series-book.ts'
import { type BenchPlan, fullPlan, planFor, quickPlan } from './plan.ts'
import { countFilesPerPayment } from './probe/files-per-payment.ts'
import { profileSeatbelt } from './probe/profile-system.ts'
import type { BenchReport, FilesPerPayment, Profile, RoundTrips } from './report/bench-report.ts'
import { judge } from './report/judge.ts'
import { notesOf } from './report/notes.ts'
import { computeRatios, goals } from './report/ratios.ts'
import { renderSummary } from './report/render-summary.ts'
import { writeReport } from './report/write-report.ts'
import { countRoundTrips } from './round-trips/count-round-trips.ts'
import { readServerVersions } from './systems/read-server-versions.ts'
import { type BenchStack, startBenchStack } from './systems/start-bench-stack.ts'
import { type SystemName, systemNames } from './systems/systems.ts'

export interface BenchOptions {
  readonly root: string
  /** Two minutes instead of eleven, with fewer rounds, in a report of its own. */
  readonly quick: boolean
  /** One system alone, in a report of its own. Nothing is compared then. */
  readonly only: SystemName | null
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** What was measured so far. It outlives the phases, so that there is a report also when one of them fails. */
interface Findings {
  readonly book: SeriesBook
  rounds: number
  roundTrips: readonly RoundTrips[]
  filesPerPayment: FilesPerPayment | null
  profiles: readonly Profile[]
  versions: { readonly postgres: string | null; readonly redis: string | null }
}

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const

/**
 * Measures everything and always writes the report. Resolves to the exit code: 0 when every goal holds, 1 when one is
 * missed, 2 when it is unknown.
 */
export async function runBench(options: BenchOptions): Promise<number> {
  const { root, quick, only, say, signal } = options
  const startedAt = new Date()
  const machine = readMachine()
  const findings: Findings = {
    book: new SeriesBook(),
    rounds: 0,
    roundTrips: [],
    filesPerPayment: null,
    profiles: [],
    versions: { postgres: null, redis: null },
  }
  let brokenOffBecause: string | null = null
  try {
    await measureAll(options, findings)
  } catch (error) {
    brokenOffBecause = signal.aborted ? `interrupted by ${String(signal.reason)}` : describeError(error)
  }
  const measured = measuredIn(findings)
  const ratios = computeRatios(measured)
  const report: BenchReport = {
    ...judge(ratios, { only, brokenOffBecause, failures: findings.book.failures }),
    startedAt: startedAt.toISOString(),
    durationSeconds: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
    quick,
    only,
    machine: { ...machine, ...findings.versions },
    ratios,
    ...measured,
    failures: findings.book.failures,
    profiles: findings.profiles,
    notes: notesOf(measured.series, { done: findings.rounds, planned: (quick ? quickPlan : fullPlan).rounds }),
  }
  const page = writeReport(root, report)
  say(renderSummary(report))
  say(`Report: ${page}`)
  signal.throwIfAborted()
  return exitCodes[report.verdict]
}

async function measureAll(options: BenchOptions, findings: Findings): Promise<void> {
  const { root, quick, only, say, signal } = options
  const plan = planFor(quick ? quickPlan : fullPlan, only)
  const names = systemNames.filter((name) => only === null || name === only)
  say('servers     starting PostgreSQL, Redis, the gateway simulator and all systems ...')
  const bench = await startBenchStack({ root, systemNames: names, say, signal })
  const client = startLoadClient(root)
  try {
    findings.versions = await readServerVersions(bench)
    await measureSystems(options, { plan, names, bench, client, findings })
  } finally {
    await client.stop()
    await bench.stop()
  }
}

interface Running {
  readonly plan: BenchPlan
  readonly names: readonly SystemName[]
  readonly bench: BenchStack
  readonly client: LoadClient
  readonly findings: Findings
}

/** First the timed runs: counting and profiling may slow the measured processes down. */
async function measureSystems({ root, say, signal }: BenchOptions, running: Running): Promise<void> {
  const { plan, names, bench, client, findings } = running
  const cells = new CellMeasurement({ plan, bench, client, book: findings.book, say, signal })
  await cells.warmUp()
  await runRounds(cells, plan, findings, say)
  findings.roundTrips = await countRoundTrips({ plan, bench, client, say, signal }, names)
  if (!names.includes('seatbelt')) return
  signal.throwIfAborted()
  say('files       counting the files that one first payment runs through ...')
  findings.filesPerPayment = await countFilesPerPayment(root, bench, client)
  findings.profiles = await profileMissed({ root, say, signal }, running)
}

async function runRounds(
  cells: CellMeasurement,
  plan: BenchPlan,
  findings: Findings,
  say: (text: string) => void,
): Promise<void> {
  const startedMs = performance.now()
  let lastRoundMs = 0
  for (let round = 1; round <= plan.rounds; round += 1) {
    const beganMs = performance.now()
    if (beganMs - startedMs + lastRoundMs > plan.roundsWithinMs) {
      say(`round ${round} and later ones are left out, so that the run ends in time`)
      return
    }
    await cells.runRound(round)
    lastRoundMs = performance.now() - beganMs
    findings.rounds = round
  }
}

/** One profile for each operation that missed a goal. */
async function profileMissed(
  { root, say, signal }: Pick<BenchOptions, 'root' | 'say' | 'signal'>,
  { plan, bench, client, findings }: Running,
): Promise<Profile[]> {
  const ratios = computeRatios(measuredIn(findings))
  const missed = goals.filter(({ name }) => ratios.some((ratio) => ratio.name === name && ratio.holds === false))
  const operations = new Set(missed.map(({ operation }) => operation))
  const profiles: Profile[] = []
  for (const operation of [...operations].slice(0, plan.profiledOperations)) {
    signal.throwIfAborted()
    say(`profile     ${operation}, because a goal is missed ...`)
    const because = missed.filter((goal) => goal.operation === operation).map(({ name }) => name)
    profiles.push(await profileSeatbelt({ root, bench, client }, operation, because))
  }
  return profiles
}

function measuredIn({ book, roundTrips, filesPerPayment }: Findings) {
  return { series: book.list(), roundTrips, filesPerPayment }
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
