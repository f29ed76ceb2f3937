import type { HallSize } from '../../../../loadtests/lib/hall.ts'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import type { Verdict } from '../auditor/invariant.ts'
import { announceStack } from '../commands/start.ts'
import { forgetCurrentStack } from '../stack/current-stack.ts'
import { mailSink, worker } from '../stack/description.ts'
import { findK6 } from '../stack/k6-binary.ts'
import { keepAlive } from '../stack/keep-alive.ts'
import type { PeakMemory } from '../stack/peak-memory.ts'
import { type Stack, startStack } from '../stack/start-stack.ts'
import { buildReport } from './build-report.ts'
import type { DemoReport } from './demo-report.ts'
import { type LoadResult, loadUnderFaults, type Workers } from './load-under-faults.ts'
import { renderTable } from './render-table.ts'
import { type SaleResult, sellOutUnderFaults } from './sell-out-under-faults.ts'
import { startControl } from './start-control.ts'
import { readVersions } from './versions.ts'
import { type BooksWatch, watchBooks } from './watch-books.ts'
import { writeReport } from './write-report.ts'

export interface DemoOptions {
  readonly root: string
  /** Leaves the stack up until the signal is aborted. */
  readonly keep: boolean
  /** What its report is called: `npm test` must not overwrite the one of `npm run demo`. */
  readonly report: 'demo' | 'test-load'
  /** How many orders the protected run has; undefined: the demo's own choice. */
  readonly orders: number | undefined
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

const defaultOrders = 1_500
const copies = 10
/** Latency-bound: with fewer at a time the run takes longer, with more two cores become the thing that is measured. */
const concurrency = 16
/** One answer in a hundred. Where that would be too few to be sure of any, as many as make twelve. */
const lostAnswersRate = (orders: number) => Math.min(0.25, Math.max(0.01, 12 / orders))
/** The control goes wrong at once; a hundred and fifty orders are more than enough to see it. */
const controlOrders = (orders: number) => Math.min(150, Math.ceil(orders / 4))

/**
 * A killed replica's payments wait until its lease is over, so the demo makes the lease as short as the deadline allows:
 * twenty times the gateway's latency. Nobody watches a demo for the half a minute that is right for a real gateway.
 */
const impatience = { GATEWAY_DEADLINE_MS: '1000', LEASE_MS: '16000' }

/** The hour of the billing run, which nobody waits for. */
const billingIntervalSeconds = 5
/** As many as keep a leader busy for some seconds, so that it can be caught half way. The control goes wrong at once. */
const subscriptions = { guarded: 60, control: 20 }

/** Messages that one worker sends at once. */
const relayLanes = 2
const workerEnvironment = {
  ...impatience,
  // A killed relay's messages wait for its lease, too: this is little more than what a sending and the statements around it may take.
  RELAY_SEND_DEADLINE_MS: '5000',
  RELAY_LEASE_MS: '32000',
  RELAY_LANES: String(relayLanes),
  RELAY_IDLE_MS: '200',
  BILLING_INTERVAL_SECONDS: String(billingIntervalSeconds),
}

/** In containers some ten minutes: nobody watches a demo for so long until what was walked away from can be had again. */
const holdSeconds = 5
/** As the demo sells; with fewer orders a smaller one, and the control's is smaller still: it goes wrong at once. */
const hallOf = (orders: number): HallSize => (orders < 1_000 ? { seats: 150, places: 50 } : { seats: 400, places: 200 })
/** What the control has not answered by then it never will: nobody goes on with what it dropped. */
const controlSettlesWithinMs = 5_000
const controlHall: HallSize = { seats: 150, places: 50 }

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const satisfies Record<Verdict, number>

/** What the phases have found so far. It outlives them, so that there is a report also when one of them fails. */
interface Findings {
  setupSeconds: number | null
  versions: Record<string, string | null>
  guarded: LoadResult | null
  control: LoadResult | null
  sale: SaleResult | null
  controlSale: SaleResult | null
  memory: readonly PeakMemory[]
  readonly unexpectedEnds: string[]
}

/**
 * The whole proof: the stack, the load with faults, the audit, and the same load against the control. Its report is
 * always written. Resolves to the exit code: 0 valid, 1 invalid, 2 unknown. Rejects only when `signal` is aborted before
 * the end; the report then says so.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { root, keep, say, signal } = options
  const startedAt = new Date()
  const findings: Findings = {
    ...{ setupSeconds: null, versions: { node: process.versions.node }, memory: [], unexpectedEnds: [] },
    ...{ guarded: null, control: null, sale: null, controlSale: null },
  }
  let stack: Stack | null = null
  let failure: unknown = null
  try {
    stack = await runPhases(options, findings, (started) => {
      stack = started
    })
  } catch (error) {
    failure = error
  }

  const report = buildReport({
    ...findings,
    startedAt,
    endedAt: new Date(),
    brokenOffBecause: failure === null ? null : describeFailure(failure, signal),
  })
  try {
    tell(report, writeReport(root, options.report, report), say)
    if (keep && failure === null && stack !== null) await keepUp(options, stack)
  } finally {
    await stack?.stop()
  }
  if (failure !== null) signal.throwIfAborted()
  return exitCodes[report.verdict]
}

async function runPhases(
  { root, keep, orders = defaultOrders, say, signal }: DemoOptions,
  findings: Findings,
  onStarted: (stack: Stack) => void,
): Promise<Stack> {
  const startedAtMs = performance.now()
  say(
    'stack       starting PostgreSQL, Redis, the gateway, three replicas of each API, two workers, a mail sink and the auditor ...',
  )
  const booking = { ...impatience, HOLD_SECONDS: String(holdSeconds) }
  const environment = { 'payments-api': impatience, 'booking-api': booking, worker: workerEnvironment }
  const stack = await startStack({ root, purpose: 'demo', preferFixedPorts: keep, environment, say, signal })
  onStarted(stack)
  stack.onUnexpectedEnd(({ name, how }) => findings.unexpectedEnds.push(`${name} ended by itself: ${how}`))
  const k6 = await findK6({ cache: cacheFolder(), environment: process.env, logs: stack.run.logs, say, signal })
  findings.versions = await readVersions(root, stack, k6)
  const rate = lostAnswersRate(orders)
  const common = { root, k6, stack, copies, concurrency, say, signal, lostAnswersRate: rate }

  // Keys begin with it, and a database that was given may know the keys of an earlier demo.
  const runId = Date.now().toString(36)
  findings.setupSeconds = Math.round((performance.now() - startedAtMs) / 100) / 10
  say(`load        ${describeLoad(orders, rate)}; layers on`)
  const watch = await watchBooks(stack.databaseUrl)
  try {
    findings.guarded = await loadUnderFaults({
      ...{ ...common, target: stack, run: `protected-${runId}`, orders, victim: 'payments-api-2' },
      billing: { subscriptions: subscriptions.guarded, intervalSeconds: billingIntervalSeconds },
      workers: workersOf(stack, watch),
    })
    const hall = hallOf(orders)
    say(`sale        ${describeHall(hall)} goes on sale; layers on`)
    findings.sale = await sellOutUnderFaults({
      ...{ ...common, target: stack, run: `sale-${runId}`, hall, watch },
      ...{ victim: 'booking-api-2', naive: null },
    })
  } finally {
    findings.memory = stack.peakMemory()
    await watch.close()
  }

  say('control     starting the same APIs with naive payments and bookings, on a database without unique indexes ...')
  const control = await startControl(stack, { billingIntervalSeconds, holdSeconds })
  const controlWatch = await watchBooks(control.databaseUrl)
  try {
    const target = control.addresses
    say(`load        ${describeLoad(controlOrders(orders), rate)}; layers off`)
    findings.control = await loadUnderFaults({
      ...{ ...common, target, run: `control-${runId}`, orders: controlOrders(orders), victim: 'control-2' },
      billing: { subscriptions: subscriptions.control, intervalSeconds: billingIntervalSeconds },
      workers: null,
    })
    say(`sale        ${describeHall(controlHall)} goes on sale; layers off`)
    findings.controlSale = await sellOutUnderFaults({
      ...{ ...common, target, run: `control-sale-${runId}`, hall: controlHall, watch: controlWatch },
      ...{ victim: 'control-2', naive: { settleWithinMs: controlSettlesWithinMs } },
    })
  } finally {
    findings.memory = stack.peakMemory()
    await controlWatch.close()
    // Also when it broke off: on a server that was given, its database would outlive the demo.
    await control.remove()
  }
  return stack
}

function workersOf(stack: Stack, watch: BooksWatch): Workers {
  const [victim] = worker.instances
  if (victim === undefined) throw new Error('the stack has no worker')
  const mailLanes = worker.instances.length * relayLanes
  return { watch, victim: victim.name, mailSinkUrl: stack.url(mailSink.name), mailLanes }
}

function describeLoad(orders: number, rate: number): string {
  const share = (rate * 100).toLocaleString('en-US', { maximumFractionDigits: 1 })
  return `${orders.toLocaleString('en-US')} orders, ${concurrency} at a time, each payment sent ${copies} times at once; ${share} % of the gateway's answers are lost`
}

function describeHall({ seats, places }: HallSize): string {
  return `a hall of ${seats} seats and ${places} standing places`
}

function tell(report: DemoReport, page: string, say: (text: string) => void): void {
  say(renderTable(report))
  say(`Report: ${page}`)
}

async function keepUp({ root, say, signal }: DemoOptions, stack: Stack): Promise<void> {
  // The control is gone; its names are only remembered.
  await announceStack({ ...stack, names: stack.names.filter((name) => stack.pid(name) !== null) }, { root, say })
  try {
    await keepAlive(stack, { signal, say })
  } finally {
    forgetCurrentStack(root)
  }
}

function describeFailure(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return `interrupted by ${String(signal.reason)}`
  if (!(error instanceof Error)) return String(error)
  // What a person can act on is one message; anything else is a defect, whose place matters.
  return 'expected' in error ? error.message : (error.stack ?? error.message)
}
