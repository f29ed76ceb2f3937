import { createLogger, listen, readConfig } from '@seatbelt/http'
import { configSchema, webhooksIn } from './config.ts'
import { createApp } from './create-app.ts'
import { createSimulator } from './simulator.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })

const simulator = createSimulator({
  ledgerPath: config.GATEWAY_LEDGER_PATH,
  apiKey: config.GATEWAY_API_KEY,
  latencyMs: config.GATEWAY_LATENCY_MS,
  keyTtlMs: config.GATEWAY_KEY_TTL_SECONDS * 1000,
  refundChangeMs: config.GATEWAY_REFUND_CHANGE_MS,
  webhooks: webhooksIn(config),
  webhookTimes: {
    timeoutMs: config.GATEWAY_WEBHOOK_TIMEOUT_MS,
    firstPauseMs: config.GATEWAY_WEBHOOK_FIRST_PAUSE_MS,
    maxPauseMs: config.GATEWAY_WEBHOOK_MAX_PAUSE_MS,
    maxAttempts: config.GATEWAY_WEBHOOK_ATTEMPTS,
  },
  onError: (error) => logger.error({ err: error }, 'an event was not delivered, or a refund not changed'),
})
const readBack = simulator.books.entriesAfter(0, Number.POSITIVE_INFINITY).entries.length
logger.info({ ledger: simulator.ledgerFile, entries: readBack, latencyMs: config.GATEWAY_LATENCY_MS }, 'ledger opened')

await listen({
  app: createApp(simulator, { onError: (error) => logger.error({ err: error }, 'a request failed') }),
  host: config.HOST,
  port: config.PORT,
  isReady: async () => true,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  onDrained: async () => simulator.close(),
})
