import { createDatabase, type Database } from '@seatbelt/database'
import {
  createLockMetrics,
  createRedisLock,
  createRedlock,
  type Lock,
  measureLock,
  redisLockClientOptions,
} from '@seatbelt/locks'
import { Redis } from 'ioredis'
import type { Registry } from 'prom-client'
import { v7 as newId } from 'uuid'
import { createPaymentLayers } from './create-payment-layers.ts'
import { createStripeGateway } from './gateway/stripe-gateway.ts'
import type { Renderings } from './operations.ts'
import { leaseProblem, type PaymentDeps, type PaymentPolicy } from './payment-deps.ts'

export interface PaymentsOptions extends PaymentPolicy {
  readonly databaseUrl: string
  readonly databasePoolSize: number
  /** `single`: the lock is on the first node alone. `quorum`: Redlock over all of them, an odd number from three. */
  readonly redisLock: 'single' | 'quorum'
  readonly redisUrls: readonly [string, ...string[]]
  readonly gatewayUrl: string
  readonly gatewayApiKey: string
  /** This process's name, in histories and in pg_stat_activity. */
  readonly by: string
  readonly registry: Registry
  readonly renderings: Renderings
  readonly log: Log
}

/** What is used of a logger; pino's fits. */
export interface Log {
  info(message: string): void
  warn(about: { readonly err: unknown }, message: string): void
  error(about: { readonly err: unknown; readonly resource: string }, message: string): void
}

export interface Payments {
  readonly deps: PaymentDeps
  readonly database: Database
  close(): Promise<void>
}

/** How long a killed process keeps others from an order. Several heartbeats long, and a fraction of any lease. */
const lockTtlMs = 5_000
/** A healthy Redis answers in a millisecond. What costs more than this is not worth waiting for: the layers below decide. */
const redisBudgetMs = 100
/**
 * A request holds one for 50 ms, and a payment sends two: enough for a thousand payments a second, and a bound for a
 * gateway that hangs.
 */
const gatewayConnections = 100

/** Opens what the operations need and composes it by hand: the one place where production's parts are put together. */
export function openPayments(options: PaymentsOptions): Payments {
  const { by, registry, renderings, log, gatewayDeadlineMs, leaseMs } = options
  const policy = { gatewayDeadlineMs, leaseMs }
  const problem = leaseProblem(policy)
  if (problem) throw new RangeError(problem)

  const database = createDatabase({
    url: options.databaseUrl,
    poolSize: options.databasePoolSize,
    applicationName: by,
  })
  const redis = openRedisLock(options)
  const gateway = createStripeGateway({
    url: options.gatewayUrl,
    apiKey: options.gatewayApiKey,
    deadlineMs: gatewayDeadlineMs,
    maxConnections: gatewayConnections,
  })
  const metrics = createLockMetrics(registry)
  const lock = measureLock(redis.lock, metrics)
  const reportFault = (err: unknown, resource: string) =>
    log.error({ err, resource }, 'a fault after a commit: what is open is left to recovery')
  const layers = createPaymentLayers({ database, gateway, lock, lockTtlMs, metrics, by, reportFault })

  return {
    deps: { database, layers, renderings, policy, newId, by },
    database,
    close: async () => {
      redis.disconnect()
      await Promise.all([gateway.close(), database.close()])
    },
  }
}

interface RedisLock {
  readonly lock: Lock
  disconnect(): void
}

/** Either form keeps the same contract, so that nothing above knows which one it has. */
function openRedisLock({ redisLock, redisUrls, log }: PaymentsOptions): RedisLock {
  const nodes = (redisLock === 'single' ? redisUrls.slice(0, 1) : redisUrls).map((url) => connectRedis(url, log))
  const [first] = nodes
  if (!first) throw new RangeError('no Redis node is given')
  const lock =
    redisLock === 'single'
      ? createRedisLock({ client: first, commandBudgetMs: redisBudgetMs })
      : createRedlock({ nodes, commandBudgetMs: redisBudgetMs, longestTtlMs: lockTtlMs })
  return { lock, disconnect: () => nodes.forEach((node) => void node.disconnect()) }
}

/** A client that fails at once while Redis is away, and says once that it went and once that it is back. */
function connectRedis(url: string, log: Log): Redis {
  const redis = new Redis(url, redisLockClientOptions)
  let isAway = false
  redis.on('error', (err) => {
    if (!isAway) log.warn({ err }, 'redis is away: payments go on under the layers below its lock')
    isAway = true
  })
  redis.on('ready', () => {
    if (isAway) log.info('redis is back')
    isAway = false
  })
  return redis
}
