import { cancelWithoutRefund, openBooking } from '@seatbelt/booking'
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
import type { Operator } from '@seatbelt/payments'
import { configSchema } from './config.ts'
import { type ReviewCommand, readArguments } from './read-arguments.ts'
import { runReview } from './run-review.ts'

// For the operator, over all accounts: `read-arguments.ts` says which words there are. Exit code 0: done. 1: there was
// nothing to look at, what was seen is no evidence, or the gateway could not be asked. 2: no such id.

const command = readArgumentsOrExit()
const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))
await prepareOrExit(logger, () => assertPoolerFits(config.DATABASE_URL, { prepared: config.DATABASE_PREPARED }))

const { connections, payments, booking, close } = openBooking({
  ...connectionOptions(config),
  registry: createMetrics({ processMetrics: false }).registry,
  renderings,
  bookingRenderings,
  log: logger,
  reportsDurability: false,
})
try {
  const parts = {
    payments,
    gateway: connections.gateway,
    cancelWithoutRefund: (bookingId: string, operator: Operator) => cancelWithoutRefund(booking, bookingId, operator),
  }
  const { text, exitCode } = await runReview(parts, command)
  process.stdout.write(text)
  process.exitCode = exitCode
} finally {
  await close()
}

function readArgumentsOrExit(): ReviewCommand {
  try {
    return readArguments(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exit(2)
  }
}
