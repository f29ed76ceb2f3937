import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { signalGroup } from '../../../../scripts/process-groups.mjs'
import { recordProcess } from '../../../../scripts/run-records.mjs'
import type { RunVerdict } from '../auditor/judge-run.ts'
import type { StackAddresses } from '../stack/current-stack.ts'
import { readPeakMb } from '../stack/peak-memory.ts'
import { type LoadOutcome, runK6 } from '../stack/run-k6.ts'
import type { Stack } from '../stack/start-stack.ts'
import { askForVerdict, readProgress } from './auditor-client.ts'
import { behaveWell, countLostAnswers, loseAnswers } from './gateway-faults.ts'
import { type K6Summary, readK6Summary } from './k6-summary.ts'
import { type Kill, killInTheMiddle } from './kill-replica.ts'

export interface LoadUnderFaults {
  readonly root: string
  readonly k6: string
  readonly stack: Stack
  /** Whom the load is fired at: the stack's own replicas, or the control's. */
  readonly target: StackAddresses
  readonly run: string
  readonly orders: number
  readonly copies: number
  readonly concurrency: number
  /** Share of the gateway's answers to confirms that are lost after the charge. */
  readonly lostAnswersRate: number
  readonly victim: string
  readonly countPaymentsOf: ((instance: string) => Promise<number>) | null
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

export interface LoadResult {
  readonly outcome: LoadOutcome
  readonly summary: K6Summary | null
  readonly verdict: RunVerdict | null
  readonly lostAnswers: number
  readonly kills: readonly Kill[]
  readonly k6PeakMb: number | null
}

/** The kill comes when this share of the orders is through: all replicas are warm, and most of the load is still to come. */
const killAtShare = 0.3
const lookEveryMs = 100

/**
 * Fires `duplicate-payments` at three replicas, loses answers and kills a replica meanwhile, waits until everything is
 * quiet, and has the auditor judge. What happens happens at a point of the load's progress, never after a time.
 */
export async function loadUnderFaults(options: LoadUnderFaults): Promise<LoadResult> {
  const { target, run, say, signal } = options
  await loseAnswers(target.gatewayUrl, options.lostAnswersRate)
  const { outcome, summary, kills, k6PeakMb } = await fireAndKill(options)
  const lostAnswers = await countLostAnswers(target.gatewayUrl)
  await behaveWell(target.gatewayUrl)
  say('audit       waiting until nothing is being processed any more, then comparing all books ...')
  const verdict = await askForVerdict(target.auditorUrl, run, signal, (why) => say(`audit       ${why}`))
  return { outcome, summary, verdict, lostAnswers, kills, k6PeakMb }
}

async function fireAndKill(options: LoadUnderFaults) {
  const { root, k6, target, run, orders, copies, concurrency, stack, signal } = options
  const summaryPath = join(stack.run.logs, `k6-${run}.json`)
  const loadIsOver = new AbortController()
  const watchBroke = new AbortController()
  let k6Pid: number | null = null

  // A k6 that is asked politely would still run its teardown, which waits for a verdict that nobody wants any more.
  const end = AbortSignal.any([signal, watchBroke.signal])
  end.addEventListener('abort', () => k6Pid !== null && signalGroup(k6Pid, 'SIGKILL'))

  const firing = runK6({
    ...{ root, k6, run, orders, copies, concurrency, summaryPath },
    name: 'duplicate-payments',
    stack: target,
    log: join(stack.run.logs, `k6-${run}.log`),
    signal: end,
    onStart: (pid) => {
      k6Pid = pid
      recordProcess(stack.run, 'k6', { pid })
    },
  }).finally(() => {
    k6Pid = null
    loadIsOver.abort()
  })

  let k6PeakMb: number | null = null
  const watching = watchAndKill(options, AbortSignal.any([signal, loadIsOver.signal]), () => {
    if (k6Pid !== null) k6PeakMb = readPeakMb(k6Pid) ?? k6PeakMb
  }).catch((error: unknown) => {
    // A load that goes on without the fault that it was meant to meet is of no use.
    watchBroke.abort(error)
    throw error
  })

  // Both ends are waited for: whichever fails, the other must not be left behind.
  const [fired, watched] = await Promise.allSettled([firing, watching])
  signal.throwIfAborted()
  if (watched.status === 'rejected') throw watched.reason
  if (fired.status === 'rejected') throw fired.reason
  return { outcome: fired.value, summary: readK6Summary(summaryPath), kills: watched.value, k6PeakMb }
}

/** Looks at the load's progress until it is over, tells of it, and kills the victim when its time has come. */
async function watchAndKill(options: LoadUnderFaults, over: AbortSignal, onLook: () => void): Promise<Kill[]> {
  const { target, run, orders, victim, say } = options
  const kills: Kill[] = []
  let told = 0
  while (!over.aborted) {
    onLook()
    // An auditor that is gone fails the load test itself; one that is only slow must not.
    const progress = await readProgress(target.auditorUrl, run).catch(() => null)
    const tenths = Math.floor(((progress?.orders ?? 0) * 10) / orders)
    if (progress !== null && tenths > told) {
      told = tenths
      say(
        `load        ${count(progress.orders)} of ${count(orders)} orders, ${count(progress.attempts)} requests to pay`,
      )
    }
    if (kills.length === 0 && progress !== null && progress.orders >= orders * killAtShare) {
      const kill = await killInTheMiddle({ ...options, instance: victim, signal: over })
      kills.push(kill)
      say(`fault       ${describeKill(kill)}`)
    }
    await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined)
  }
  return kills
}

export function describeKill({ instance, at, readyAgainAt, payments }: Kill): string {
  const downSeconds = ((readyAgainAt.getTime() - at.getTime()) / 1_000).toFixed(1)
  const amid = payments === null ? '' : ` in the middle of ${payments} payments`
  return `${instance} was killed with SIGKILL${amid}, and was ready again ${downSeconds} s later`
}

function count(number: number): string {
  return number.toLocaleString('en-US')
}
