import { createBookingOperations, openBooking } from '@seatbelt/booking'
import { developmentAccounts, migrate, seedDevelopment } from '@seatbelt/database'
import { noDeclineLimits } from '@seatbelt/domain'
import { bookingRenderings, createMetrics, renderings } from '@seatbelt/http'
import pg from 'pg'
import type { Verdict } from '../auditor/invariant.ts'
import { judgeReport } from '../bench-locks/locks-report.ts'
import { readMachine } from '../bench-locks/read-machine.ts'
import { type Stack, startStack } from '../stack/start-stack.ts'
import { flatness, type HoldSeries, type HoldsReport, writeHoldsReport } from './holds-report.ts'
import { measureHolds } from './measure-holds.ts'
import { type OpenHall, openHall, type Shop } from './open-hall.ts'
import { type BenchPlan, fullPlan, quickPlan } from './plan.ts'

export interface BenchHoldsOptions {
  readonly root: string
  /** Some seconds instead of two minutes, without figures that mean anything, in a report of its own. */
  readonly quick: boolean
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const satisfies Record<Verdict, number>

/**
 * Measures what a hold costs as the event grows, with the operations that production has, on a PostgreSQL that waits
 * for its disk and a real Redis. Its report is always written. Resolves to the exit code: 0 valid, 1 invalid, 2
 * unknown.
 */
export async function runBenchHolds(options: BenchHoldsOptions): Promise<number> {
  const { root, quick, say, signal } = options
  const plan = quick ? quickPlan : fullPlan
  const startedAt = new Date()
  const machine = { ...readMachine(), postgres: null, redis: null }
  let series: readonly HoldSeries[] = []
  let brokenOffBecause: string | null = null
  try {
    say('servers     starting PostgreSQL and Redis ...')
    const stack = await startStack({
      root,
      purpose: 'bench:holds',
      preferFixedPorts: false,
      parts: 'data',
      say,
      signal,
    })
    try {
      series = await measureAll(stack, plan, options)
    } finally {
      await stack.stop()
    }
  } catch (error) {
    brokenOffBecause = signal.aborted
      ? `interrupted by ${String(signal.reason)}`
      : String(error instanceof Error ? (error.stack ?? error) : error)
  }
  // A quick run is too short to hold or to miss anything.
  const ratios = flatness(series, plan.sizes).map((ratio) => (quick ? { ...ratio, holds: null } : ratio))
  const report: HoldsReport = {
    ...judgeReport(ratios, { quick, brokenOffBecause }),
    startedAt: startedAt.toISOString(),
    durationSeconds: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
    ...{ quick, machine, ratios, series },
  }
  const path = writeHoldsReport(root, report)
  say(summary(report))
  say(`Report: ${path}`)
  signal.throwIfAborted()
  return exitCodes[report.verdict]
}

/** Nothing lapses while it is measured. */
const holdMs = 3_600_000
/** Nobody pays here. */
const noGateway = {
  gatewayUrl: 'http://127.0.0.1:9',
  gatewayApiKey: 'sk_test_none',
  gatewayDeadlineMs: 8_000,
  installation: 'bench',
}

async function measureAll(stack: Stack, plan: BenchPlan, { say, signal }: BenchHoldsOptions): Promise<HoldSeries[]> {
  const closing: (() => Promise<void>)[] = []
  try {
    const halls: OpenHall[] = []
    for (const size of plan.sizes) {
      signal.throwIfAborted()
      say(`hall        ${size} seats, half of them held ...`)
      const shop = await openShop(stack, `bench_${size}`, plan)
      closing.push(shop.close)
      halls.push(await openHall(shop, size))
    }
    const measurement = measureHolds(halls, plan)
    for (let round = 1; round <= plan.rounds; round += 1) {
      say(`round       ${round} of ${plan.rounds}`)
      await measurement.runRound(signal)
    }
    return measurement.series()
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

/** One in a database of its own, so that a look at a whole table would show, and not cost all sizes the same. */
async function openShop(stack: Stack, name: string, plan: BenchPlan): Promise<Shop & { close(): Promise<void> }> {
  const [first, ...others] = stack.redisUrls
  if (first === undefined) throw new Error('there is no Redis')
  const databaseUrl = await stack.createDatabase(name)
  await migrate(databaseUrl)
  const opened = openBooking({
    // A hold has one connection at a time.
    ...{
      databaseUrl,
      databasePoolSize: plan.inFlight,
      databasePrepared: true,
      redisLock: 'single',
      redisUrls: [first, ...others],
    },
    ...{
      ...noGateway,
      leaseMs: 60_000,
      declineLimits: noDeclineLimits,
      by: 'bench-holds',
      registry: createMetrics({ processMetrics: false }).registry,
    },
    ...{ renderings, bookingRenderings, log: silent },
  })
  await seedDevelopment(opened.connections.database)
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1, application_name: 'bench-holds-set-up' })
  // Its connection may still be closing when the database is dropped, because `pool.end()` resolves before. The event
  // alone would end the process.
  pool.on('error', () => undefined)
  const [{ id: accountId }] = developmentAccounts
  return {
    ...{ pool, accountId, operations: createBookingOperations({ ...opened.booking, policy: { holdMs, pauseMs: 0 } }) },
    close: async () => {
      await pool.end()
      await opened.close()
      await stack.dropDatabase(name)
    },
  }
}

/** What fails, fails the hold that is measured. */
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

function summary({ verdict, reasons, series, ratios }: HoldsReport): string {
  return [
    ...series.map(
      ({ kind, eventSeats, holds, p50Ms, p99Ms }) =>
        `  ${kind.padEnd(9)} ${String(eventSeats).padStart(7)} seats: p50 ${p50Ms} ms, p99 ${p99Ms} ms (${holds} holds)`,
    ),
    ...ratios.map(({ what, value, goal, holds }) => `  ${what}: ${value} (at most ${goal}: ${holds ?? 'not judged'})`),
    verdict.toUpperCase(),
    ...reasons.map((reason) => `  ${reason}`),
  ].join('\n')
}
