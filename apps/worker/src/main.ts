import { endOverdueCheckout, expireHolds, openBooking } from '@seatbelt/booking'
import { assertMigrated, assertPoolerFits } from '@seatbelt/database'
import {
  bookingRenderings,
  connectionOptions,
  createLogger,
  createMetrics,
  listen,
  prepareOrExit,
  readConfig,
  renderings,
} from '@seatbelt/http'
import {
  billHour,
  countOrphans,
  createReceiptSender,
  createWebhookSender,
  defaultPageSize,
  drawBillingFence,
  judgedAfterMs,
  purgeExpired,
  readBillingHour,
  readStandingDifferences,
  reconcile,
  recoverExpiredAuthorization,
  recoverPayment,
  recoverRefund,
} from '@seatbelt/payments'
import { configSchema } from './config.ts'
import { inTurn } from './in-turn.ts'
import { measureOpenWork } from './measure-open-work.ts'
import { runBilling } from './run-billing.ts'
import { runHoldExpiry } from './run-hold-expiry.ts'
import { runPurge } from './run-purge.ts'
import { runReconciliation } from './run-reconciliation.ts'
import { runRecovery } from './run-recovery.ts'
import { runRelays } from './run-relays.ts'
import { showOrphans } from './show-orphans.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const { registry, answerMetrics } = createMetrics()

await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))
await prepareOrExit(logger, () => assertPoolerFits(config.DATABASE_URL, { prepared: config.DATABASE_PREPARED }))

const { connections, payments, booking, close } = openBooking({
  ...connectionOptions(config),
  registry,
  renderings,
  bookingRenderings,
  log: logger,
})

/** Each transaction locks expired rows for a few milliseconds. Only a new buyer could contend for them. */
const holdsAtOnce = 100

measureOpenWork(connections.database, registry)
const stop = new AbortController()
const recovery = runRecovery({
  recover: inTurn(
    () => recoverPayment(payments),
    () => recoverExpiredAuthorization(payments),
    () => recoverRefund(payments),
  ),
  lanes: config.RECOVERY_LANES,
  idlePauseMs: config.RECOVERY_IDLE_MS,
  onWake: connections.onGatewayBack,
  signal: stop.signal,
  logger,
  registry,
})

const relayTimes = { sendDeadlineMs: config.RELAY_SEND_DEADLINE_MS, leaseMs: config.RELAY_LEASE_MS }
const deadlineMs = relayTimes.sendDeadlineMs
const webhooks = createWebhookSender({ targets: config.WEBHOOK_TARGETS, deadlineMs })
const relays = runRelays({
  database: connections.database,
  send: {
    receipt:
      config.SMTP_URL && config.MAIL_FROM
        ? createReceiptSender({ smtpUrl: config.SMTP_URL, from: config.MAIL_FROM, deadlineMs })
        : null,
    webhook: webhooks.send,
  },
  lanes: config.RELAY_LANES,
  idlePauseMs: config.RELAY_IDLE_MS,
  times: relayTimes,
  signal: stop.signal,
  logger,
  registry,
})
const purge = runPurge({
  purge: (what) => purgeExpired(connections.database, what),
  signal: stop.signal,
  logger,
  registry,
})

const holdExpiry = runHoldExpiry({
  expire: () => expireHolds(booking, holdsAtOnce),
  endOverdue: () => endOverdueCheckout(booking),
  signal: stop.signal,
  logger,
  registry,
})

const billing = runBilling({
  readHour: () => readBillingHour(payments, config.BILLING_INTERVAL_SECONDS),
  bill: (run) =>
    billHour(payments, {
      ...run,
      lanes: config.BILLING_LANES,
      onFault: (err, id) => logger.error({ err, id }, 'this could not be billed, and is tried again by the next run'),
    }),
  leadership: {
    lock: connections.lock,
    ttlMs: connections.lockTtlMs,
    draw: () => drawBillingFence(connections.database),
  },
  signal: stop.signal,
  logger,
  registry,
})

const reconciliation = runReconciliation({
  compare: (signal) => {
    const limits = { judgedAfterMs: judgedAfterMs({ leaseMs: config.LEASE_MS }), pageSize: defaultPageSize }
    const { gateway } = connections
    return reconcile({ payments, gateway, ...limits }, { mode: 'report', from: null, to: null }, signal)
  },
  readStanding: () => readStandingDifferences(connections.database),
  everyMs: config.RECONCILE_HOURS * 3_600_000,
  signal: stop.signal,
  logger,
  registry,
})

showOrphans(registry, () => countOrphans(connections))

await listen({
  app: answerMetrics,
  host: config.HOST,
  port: config.PORT,
  isReady: connections.database.isReady,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  stopWork: () => {
    stop.abort()
    return Promise.all([recovery, relays, purge, holdExpiry, billing, reconciliation]).then(() => undefined)
  },
  onDrained: async () => {
    await Promise.all([webhooks.close(), close()])
  },
})
