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
import { cancelMissingPayment, failMissingRefund, listInReview, reviewAsOperator } from '@seatbelt/payments'
import { configSchema } from './config.ts'
import { describeInReview } from './describe-in-review.ts'
import { describeEnd, describeReview } from './describe-review.ts'

// For the operator, over all accounts: without an argument it lists what waits for a person; with the id of a payment
// or a refund it looks at the gateway now; with `--fail` after a refund's id, or `--cancel` after a payment's, it ends
// what the gateway does not have. Exit code 0: done. 1: there was nothing to look at, what was seen is no evidence, or
// the gateway could not be asked. 2: no such id.

const [id, end] = process.argv.slice(2)
const isId = id === undefined || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)
if (!isId || ![undefined, '--fail', '--cancel'].includes(end)) {
  process.stderr.write(
    'Usage: review [ID of a payment or a refund], review REFUND-ID --fail, review PAYMENT-ID --cancel. Without an id, all that wait are listed.\n',
  )
  process.exit(2)
}

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))
await prepareOrExit(logger, () => assertPoolerFits(config.DATABASE_URL, { prepared: config.DATABASE_PREPARED }))

const { connections, payments, close } = openBooking({
  ...connectionOptions(config),
  registry: createMetrics({ processMetrics: false }).registry,
  renderings,
  bookingRenderings,
  log: logger,
})
try {
  if (id === undefined) process.exitCode = await list()
  else process.exitCode = end === undefined ? await look(id) : await endMissing(id, end)
} finally {
  await close()
}

async function list(): Promise<number> {
  process.stdout.write(describeInReview(await listInReview(connections), new Date()))
  return 0
}

async function look(asked: string): Promise<number> {
  const { text, exitCode } = describeReview(asked, await reviewAsOperator(payments, asked))
  process.stdout.write(text)
  return exitCode
}

async function endMissing(asked: string, flag: string): Promise<number> {
  const parts = { payments, gateway: connections.gateway, command: `npm run review -- ${asked} ${flag}` }
  const { text, exitCode } =
    flag === '--fail'
      ? describeEnd('refund', asked, await failMissingRefund(parts, asked))
      : describeEnd('payment', asked, await cancelMissingPayment(parts, asked))
  process.stdout.write(text)
  return exitCode
}
