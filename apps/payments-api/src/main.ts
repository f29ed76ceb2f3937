import { openBooking } from '@seatbelt/booking'
import { assertMigrated, assertPoolerFits, findAccountByKeyHash } from '@seatbelt/database'
import {
  acceptsDevelopmentKeys,
  bookingRenderings,
  connectionOptions,
  createAuthenticate,
  createLogger,
  createMetrics,
  createTokenBuckets,
  listen,
  prepareOrExit,
  readConfig,
  renderings,
} from '@seatbelt/http'
import {
  applyGatewayEvent,
  createPaymentOperations,
  createStripeEventReader,
  createSubscriptionOperations,
  createWebhookOperations,
} from '@seatbelt/payments'
import { configSchema } from './config.ts'
import { createApp } from './create-app.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const metrics = createMetrics()

await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))
await prepareOrExit(logger, () => assertPoolerFits(config.DATABASE_URL, { prepared: config.DATABASE_PREPARED }))

// With booking: an event of the gateway may settle a checkout here, and its seats are booked in that commit.
const { connections, payments, close } = openBooking({
  ...connectionOptions(config),
  registry: metrics.registry,
  renderings,
  bookingRenderings,
  log: logger,
})

const secrets = config.GATEWAY_WEBHOOK_SECRETS
if (secrets.length === 0) {
  logger.warn(
    'GATEWAY_WEBHOOK_SECRETS is not set: webhooks are not taken, and late outcomes are found by looking alone',
  )
}

await listen({
  app: createApp({
    operations: createPaymentOperations(payments),
    subscriptions: createSubscriptionOperations(payments),
    webhooks: { operations: createWebhookOperations(payments), targets: config.WEBHOOK_TARGETS },
    authenticate: createAuthenticate({
      findAccountByKeyHash: findAccountByKeyHash(connections.database),
      developmentKeys: acceptsDevelopmentKeys(config) ? 'accepted' : 'refused',
      strangers: createTokenBuckets({
        perSecond: config.STRANGER_LIMIT_PER_SECOND,
        burst: 5 * config.STRANGER_LIMIT_PER_SECOND,
      }),
    }),
    accounts: createTokenBuckets({ perSecond: config.RATE_LIMIT_PER_SECOND, burst: 2 * config.RATE_LIMIT_PER_SECOND }),
    gatewayEvents:
      secrets.length === 0
        ? undefined
        : { read: createStripeEventReader({ secrets }), apply: (event) => applyGatewayEvent(payments, event) },
    metrics,
    logger,
    instance: config.INSTANCE,
    trustedProxyHops: config.TRUSTED_PROXY_HOPS,
  }),
  host: config.HOST,
  port: config.PORT,
  // Neither Redis nor the gateway: without the one payments are slower under contention, without the other they are
  // 202.
  isReady: connections.database.isReady,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  isBehindBalancer: config.TRUSTED_PROXY_HOPS > 0,
  onDrained: close,
})
