import { assertMigrated } from '@seatbelt/database'
import { createLogger, createMetrics, listen, prepareOrExit, readConfig, renderings } from '@seatbelt/http'
import { openPayments, recoverPayment } from '@seatbelt/payments'
import { configSchema } from './config.ts'
import { runRecovery } from './run-recovery.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const { registry, answerMetrics } = createMetrics()

await prepareOrExit(logger, () => assertMigrated(config.DATABASE_URL, { waitMs: config.DATABASE_WAIT_MS }))

const payments = openPayments({
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
  log: logger,
})

const stop = new AbortController()
const recovery = runRecovery({
  recover: () => recoverPayment(payments.deps),
  lanes: config.RECOVERY_LANES,
  idlePauseMs: config.RECOVERY_IDLE_MS,
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
    return recovery
  },
  onDrained: payments.close,
})
