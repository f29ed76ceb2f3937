import { join } from 'node:path'
import { type Load, type LoadName, loads } from '../../../../loadtests/lib/loads.ts'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { closeRun, openRun, type Run, recordProcess } from '../../../../scripts/run-records.mjs'
import { readProgress } from '../demo/auditor-client.ts'
import { startControl } from '../demo/start-control.ts'
import { buildLoadReport, exitCodeOf, type Fired, tellLoad } from '../load/load-report.ts'
import { readLoadSummary } from '../load/read-load-summary.ts'
import { withGatewayHealedAfter } from '../load/with-gateway-healed-after.ts'
import { writeLoadReport } from '../load/write-load-report.ts'
import { findCurrentStack, type StackAddresses } from '../stack/current-stack.ts'
import { findK6 } from '../stack/k6-binary.ts'
import { runK6 } from '../stack/run-k6.ts'
import { startStack } from '../stack/start-stack.ts'

export interface LoadCommand {
  readonly root: string
  readonly name: string
  /** Fires at the unsafe twin instead, where violations must be found. */
  readonly control: boolean
  readonly orders?: number | undefined
  readonly copies?: number | undefined
  readonly concurrency?: number | undefined
  /** How many seats the hall has that is sold, with half as many standing places. */
  readonly seats?: number | undefined
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/**
 * Runs a load test against the stack that runs, or, where none does or it cannot be used, against one that is started for it
 * and stopped after it. The control is always started for it. Its report is always written.
 *
 * Resolves to the exit code: 0 valid, 1 invalid, 2 unknown; against the control 0 where violations were found, as they must
 * be, 1 where not, 2 where nothing is known. Rejects only when `signal` is aborted.
 */
export async function load(command: LoadCommand): Promise<number> {
  const { root, name, control, signal, say } = command
  const startedAt = new Date()
  const run = openRun(join(root, '.seatbelt'), `load ${name}`)
  let fired: Fired | null = null
  let failure: unknown = null
  try {
    // First, because it may take minutes, and may turn out not to be had.
    const k6 = await findK6({ ...command, cache: cacheFolder(), environment: process.env, logs: run.logs })
    fired = await withTarget(command, (target) => fire(command, { run, k6, target }))
  } catch (error) {
    failure = error
  } finally {
    closeRun(run)
  }
  const brokenOffBecause = failure === null ? null : failure instanceof Error ? failure.message : String(failure)
  const report = buildLoadReport({
    name: name as LoadName,
    control,
    startedAt,
    endedAt: new Date(),
    fired,
    brokenOffBecause,
  })
  tellLoad(report, writeLoadReport(root, report), say)
  signal.throwIfAborted()
  return exitCodeOf(report)
}

async function withTarget<T>(command: LoadCommand, work: (target: StackAddresses) => Promise<T>): Promise<T> {
  const { root, name, control, say, signal } = command
  const { environment, twin }: Load = loads[name as LoadName]
  const current = findCurrentStack(root)
  if (current !== null && !control && environment === undefined) return work(current)
  say(describeStart(command, current !== null))
  const stack = await startStack({
    ...{ root, purpose: 'load', preferFixedPorts: false, parts: control ? 'data' : 'all', say, signal },
    ...(environment && { environment }),
  })
  try {
    if (!control) return await work(stack)
    const { addresses, remove } = await startControl(stack, twin)
    try {
      return await work(addresses)
    } finally {
      await remove()
    }
  } finally {
    await stack.stop()
  }
}

function describeStart({ control }: LoadCommand, oneRuns: boolean): string {
  if (control)
    return 'starting the control: the same API with naive operations, on a database without unique indexes ...'
  const why = oneRuns ? 'It needs a stack that is configured for it' : 'No stack is running here (npm start keeps one)'
  return `${why}, so one is started for this load test and stopped after it ...`
}

const controlSettlesWithinMs = 5_000

interface Target {
  readonly run: Run
  readonly k6: string
  readonly target: StackAddresses
}

async function fire(command: LoadCommand, { run: records, k6, target }: Target): Promise<Fired> {
  const run = `${command.name}-${Date.now()}`
  const summaryPath = join(records.logs, `k6-${run}.json`)
  const onStart = (pid: number) => recordProcess(records, 'k6', { pid })
  // What the control has not answered by then it never will: nobody goes on with what it dropped.
  const settleWithinMs = command.control ? controlSettlesWithinMs : undefined
  return withGatewayHealedAfter({ gatewayUrl: target.gatewayUrl, say: command.say }, async () => {
    const size = { ...sizeOf(command), settleWithinMs }
    const outcome = await runK6({ ...command, ...size, k6, stack: target, run, summaryPath, log: null, onStart })
    const progress = await readProgress(target.auditorUrl, run).catch(() => null)
    return { outcome, run, summary: readLoadSummary(summaryPath), audit: progress?.verdict ?? null }
  })
}

/** As it was asked for, else as the load has it. */
function sizeOf({ name, orders, copies, concurrency, seats }: LoadCommand) {
  const { size = {} }: Load = loads[name as LoadName]
  return {
    orders: orders ?? size.orders,
    copies: copies ?? size.copies,
    concurrency: concurrency ?? size.concurrency,
    hall: seats === undefined ? undefined : { seats, places: Math.floor(seats / 2) },
  }
}
