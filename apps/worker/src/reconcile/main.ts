import { writeFileSync } from 'node:fs'
import { openBooking } from '@seatbelt/booking'
import { assertMigrated, assertPoolerFits } from '@seatbelt/database'
import {
  bookingRenderings,
  connectionOptions,
  createLogger,
  createMetrics,
  prepareOrExit,
  readConfig,
  renderings,
} from '@seatbelt/http'
import {
  type CommandResult,
  defaultPageSize,
  judgedAfterMs,
  type Reconciled,
  readRun,
  reconcile,
  recordAction,
  runLeaseMs,
} from '@seatbelt/payments'
import { operatorConfigSchema } from '../operator-config.ts'
import { describeReport } from './describe-report.ts'
import { readArguments } from './read-arguments.ts'
import { type ReconciliationReport, toReport, unknownReport } from './reconciliation-report.ts'

// For the operator: holds the gateway's lists against our books. Only --act changes anything. Exit code 0: nothing
// differs. 1: differences stand. 2: it is not known.

const { request, operator, asJson, reportPath } = readArgumentsOrExit()
const config = readConfig(operatorConfigSchema('reconcile'))
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))
await prepareOrExit(logger, () => assertPoolerFits(config.DATABASE_URL, { prepared: config.DATABASE_PREPARED }))

const { connections, payments, close } = openBooking({
  ...connectionOptions(config),
  registry: createMetrics({ processMetrics: false }).registry,
  renderings,
  bookingRenderings,
  log: logger,
  reportsDurability: false,
})
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

try {
  const { text, exitCode } = await run()
  process.stdout.write(text)
  process.exitCode = exitCode
} catch (fault) {
  logger.error({ err: fault }, 'reconciliation broke off; it is gone on with when its lease is over')
  process.exitCode = 2
} finally {
  await close()
}

function run(): Promise<CommandResult> {
  if (operator === null) return compareAndDescribe()
  return recordAction(payments, { operator, action: 'reconcile --act', subjectId: null }, compareAndDescribe)
}

async function compareAndDescribe(): Promise<CommandResult> {
  const report = await compare()
  if (reportPath !== null) writeFileSync(reportPath, `${JSON.stringify(report, null, 2)}\n`)
  const text = asJson ? `${JSON.stringify(report, null, 2)}\n` : describeReport(report)
  return { text, exitCode: { valid: 0, invalid: 1, unknown: 2 }[report.verdict] }
}

async function compare(): Promise<ReconciliationReport> {
  const startedAt = new Date()
  const { gateway } = connections
  const limits = { judgedAfterMs: judgedAfterMs(payments.policy), pageSize: defaultPageSize }
  const result = await reconcile({ payments, gateway, ...limits }, request, stop.signal)
  if (result.kind === 'busy' || result.kind === 'empty-window') return unknownReport(describeRefusal(result), startedAt)
  const interruptedBy = result.kind === 'interrupted' ? result.reason : null
  const durationMs = Date.now() - startedAt.getTime()
  return toReport(await readRun(connections.database, result.runId), {
    interruptedBy,
    startedAt,
    durationMs,
    judgedAfterMs: limits.judgedAfterMs,
  })
}

function describeRefusal(result: Extract<Reconciled, { kind: 'busy' | 'empty-window' }>): string {
  if (result.kind === 'busy') {
    const leaseMinutes = Math.ceil(runLeaseMs(payments.policy) / 60_000)
    return `${result.by} is at it (or was, up to ${leaseMinutes} minutes ago)`
  }
  const minutes = Math.ceil(judgedAfterMs(payments.policy) / 60_000)
  return `there is nothing to judge in that time: what is younger than ${minutes} minutes is not judged, and more than 400 days are not read`
}

function readArgumentsOrExit() {
  try {
    return readArguments(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exit(2)
  }
}
