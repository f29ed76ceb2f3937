import { openBooking } from '@seatbelt/booking'
import { assertMigrated, findAccountByKeyHash } from '@seatbelt/database'
import {
  acceptsDevelopmentKeys,
  bookingRenderings,
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

// With the steps of checkouts: what the gateway tells here may settle one, and its seats are booked in that commit.
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
    operations: createPaymentOperations(payments.deps),
    subscriptions: createSubscriptionOperations(payments.deps),
    webhooks: { operations: createWebhookOperations(payments.deps), targets: config.WEBHOOK_TARGETS },
    authenticate: createAuthenticate({
      findAccountByKeyHash: findAccountByKeyHash(payments.database),
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
        : { read: createStripeEventReader({ secrets }), apply: (event) => applyGatewayEvent(payments.deps, event) },
    metrics,
    logger,
    instance: config.INSTANCE,
    trustedProxyHops: config.TRUSTED_PROXY_HOPS,
  }),
  host: config.HOST,
  port: config.PORT,
  // Neither Redis nor the gateway: without the one payments are slower under contention, without the other they are 202.
  isReady: payments.database.isReady,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  onDrained: payments.close,
})
