import { endOverdueCheckout, expireHolds, openBooking } from '@seatbelt/booking'
import { assertMigrated } from '@seatbelt/database'
import {
  bookingRenderings,
  createLogger,
  createMetrics,
  listen,
  prepareOrExit,
  readConfig,
  renderings,
} from '@seatbelt/http'
import {
  billHour,
  createReceiptSender,
  createWebhookSender,
  defaultPageSize,
  drawBillingFence,
  judgedAfterMs,
  purgeExpired,
  readBillingHour,
  readStandingDifferences,
  reconcile,
  recoverLapsingHold,
  recoverPayment,
  recoverRefund,
} from '@seatbelt/payments'
import { configSchema } from './config.ts'
import { inTurn } from './in-turn.ts'
import { runBilling } from './run-billing.ts'
import { runHoldExpiry } from './run-hold-expiry.ts'
import { runPurge } from './run-purge.ts'
import { runReconciliation } from './run-reconciliation.ts'
import { runRecovery } from './run-recovery.ts'
import { runRelays } from './run-relays.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const { registry, answerMetrics } = createMetrics()

await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))

const payments = openBooking({
  databaseUrl: config.DATABASE_URL,
  databasePoolSize: config.DATABASE_POOL_SIZE,
  redisLock: config.REDIS_LOCK,
  redisUrls: config.REDIS_URLS,
  gatewayUrl: config.GATEWAY_URL,
  gatewayApiKey: config.GATEWAY_API_KEY,
  gatewayDeadlineMs: config.GATEWAY_DEADLINE_MS,
  leaseMs: config.LEASE_MS,
  by: config.INSTANCE,
  registry,
  renderings,
  bookingRenderings,
  log: logger,
})

/** In one transaction: a few milliseconds of locks on rows that nobody wants but whoever takes them over. */
const holdsAtOnce = 100

const stop = new AbortController()
const recovery = runRecovery({
  recover: inTurn(
    () => recoverPayment(payments.deps),
    () => recoverLapsingHold(payments.deps),
    () => recoverRefund(payments.deps),
  ),
  lanes: config.RECOVERY_LANES,
  idlePauseMs: config.RECOVERY_IDLE_MS,
  onWake: payments.onGatewayBack,
  signal: stop.signal,
  logger,
  registry,
})

const relayTimes = { sendDeadlineMs: config.RELAY_SEND_DEADLINE_MS, leaseMs: config.RELAY_LEASE_MS }
const deadlineMs = relayTimes.sendDeadlineMs
const webhooks = createWebhookSender({ targets: config.WEBHOOK_TARGETS, deadlineMs })
const relays = runRelays({
  database: payments.database,
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
  purge: (what) => purgeExpired(payments.database, what),
  signal: stop.signal,
  logger,
  registry,
})

const holdExpiry = runHoldExpiry({
  expire: () => expireHolds(payments.booking, holdsAtOnce),
  endOverdue: () => endOverdueCheckout(payments.booking),
  signal: stop.signal,
  logger,
  registry,
})

const billing = runBilling({
  readHour: () => readBillingHour(payments.deps, config.BILLING_INTERVAL_SECONDS),
  bill: (run) =>
    billHour(payments.deps, {
      ...run,
      lanes: config.BILLING_LANES,
      onFault: (err, id) => logger.error({ err, id }, 'this could not be billed, and is tried again by the next run'),
    }),
  leadership: { ...payments.leadership, draw: () => drawBillingFence(payments.database) },
  signal: stop.signal,
  logger,
  registry,
})

const reconciliation = runReconciliation({
  compare: (signal) => {
    const limits = { judgedAfterMs: judgedAfterMs({ leaseMs: config.LEASE_MS }), pageSize: defaultPageSize }
    const { deps, gateway } = payments
    return reconcile({ payments: deps, gateway, ...limits }, { mode: 'report', from: null, to: null }, signal)
  },
  readStanding: () => readStandingDifferences(payments.database),
  everyMs: config.RECONCILE_HOURS * 3_600_000,
  signal: stop.signal,
  logger,
  registry,
})

await listen({
  app: answerMetrics,
  host: config.HOST,
  port: config.PORT,
  isReady: payments.database.isReady,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  stopWork: () => {
    stop.abort()
    return Promise.all([recovery, relays, purge, holdExpiry, billing, reconciliation]).then(() => undefined)
  },
  onDrained: async () => {
    await Promise.all([webhooks.close(), payments.close()])
  },
})
