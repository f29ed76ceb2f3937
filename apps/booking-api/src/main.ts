import { createBookingOperations, openBooking } from '@seatbelt/booking'
import { assertMigrated, assertPoolerFits, findAccountByKeyHash } from '@seatbelt/database'
import {
  acceptsDevelopmentKeys,
  bookingRenderings,
  connectionOptions,
  createAuthenticate,
  createEventStreams,
  createLogger,
  createMetrics,
  createTokenBuckets,
  listen,
  prepareOrExit,
  readConfig,
  renderings,
} from '@seatbelt/http'
import { configSchema } from './config.ts'
import { createApp } from './create-app.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const metrics = createMetrics()

await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))
await prepareOrExit(logger, () => assertPoolerFits(config.DATABASE_URL, { prepared: config.DATABASE_PREPARED }))

const { connections, booking, changes, close } = openBooking({
  ...connectionOptions(config),
  registry: metrics.registry,
  renderings,
  bookingRenderings,
  log: logger,
})
const policy = { holdMs: 1_000 * config.HOLD_SECONDS, pauseMs: 1_000 * config.HOLD_PAUSE_SECONDS }
const streams = createEventStreams({ registry: metrics.registry })

await listen({
  app: createApp({
    operations: createBookingOperations({ ...booking, policy }),
    changes: { log: changes, streams },
    authenticate: createAuthenticate({
      findAccountByKeyHash: findAccountByKeyHash(connections.database),
      developmentKeys: acceptsDevelopmentKeys(config) ? 'accepted' : 'refused',
      strangers: createTokenBuckets({
        perSecond: config.STRANGER_LIMIT_PER_SECOND,
        burst: 5 * config.STRANGER_LIMIT_PER_SECOND,
      }),
    }),
    accounts: createTokenBuckets({ perSecond: config.RATE_LIMIT_PER_SECOND, burst: 2 * config.RATE_LIMIT_PER_SECOND }),
    metrics,
    logger,
    instance: config.INSTANCE,
    trustedProxyHops: config.TRUSTED_PROXY_HOPS,
  }),
  host: config.HOST,
  port: config.PORT,
  // Neither Redis nor the gateway: without the one the stream is 503, without the other checkouts are.
  isReady: connections.database.isReady,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  isBehindBalancer: config.TRUSTED_PROXY_HOPS > 0,
  stopWork: async () => streams.end(),
  onDrained: close,
})
