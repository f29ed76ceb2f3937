import { createDatabase, type Database } from '@seatbelt/database'
import {
  createLockMetrics,
  createRedisLock,
  createRedlock,
  type Lock,
  measureLock,
  redisLockClientOptions,
} from '@seatbelt/locks'
import { createGatewayGate, type Gateway } from '@seatbelt/safety'
import { Redis } from 'ioredis'
import type { Registry } from 'prom-client'
import { v7 as newId } from 'uuid'
import { createPaymentLayers } from './create-payment-layers.ts'
import { createGatewayGateMetrics } from './gateway/create-gateway-gate-metrics.ts'
import { createStripeGateway } from './gateway/stripe-gateway.ts'
import type { Renderings } from './shared/operations.ts'
import { leaseProblem, type PaymentDeps, type PaymentPolicy } from './shared/payment-deps.ts'
import type { CheckoutSteps } from './shared/purposes.ts'
import { makePutOffDue } from './shared/retry-postponed-now.ts'

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
  /** Made with the client of the first Redis, for what is no lock and may be lost. It fails at once while Redis is away. */
  readonly checkouts: (redis: Redis) => CheckoutSteps
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
  /** The gateway behind its gate: for reconciliation, which asks it for what no operation does. */
  readonly gateway: Gateway
  /** For electing a leader, with leases of this length. The same lock as the operations have. */
  readonly leadership: { readonly lock: Lock; readonly ttlMs: number }
  /** The gateway was away and answers again, and what was put off is due: whoever recovers need not wait. */
  onGatewayBack(listener: () => void): void
  close(): Promise<void>
}

/** How long a killed process keeps others from an order. Several heartbeats long, and a fraction of any lease. */
const lockTtlMs = 5_000
/** A healthy Redis answers in a millisecond. What costs more than this is not worth waiting for: the layers below decide. */
const redisBudgetMs = 100
/**
 * How many effects may wait for the gateway at once. Through 100 places some 700 payments a second can go while it
 * answers in 50 ms (two requests, claim and settle), several times what a process can do. When it hangs, so many are what
 * one deadline brings back at once: a read waits some 20 ms for their settles at most. What nobody
 * waits for has as many as a worker may have lanes: `lanesProblem`.
 */
const gatewayPlaces = { forRequests: 100, forRecovery: 32 }
/** One for each place, which sends one request at a time: whoever was admitted never waits for a connection. */
const gatewayConnections = gatewayPlaces.forRequests + gatewayPlaces.forRecovery

/**
 * Why a worker cannot have so many lanes that ask the gateway, or null. Each has a place, and so has the one repair that
 * reconciliation may be at: whoever of them is not admitted then knows that the gateway is away.
 */
export function lanesProblem(lanes: number): string | null {
  const mostLanes = gatewayPlaces.forRecovery - 1
  return lanes <= mostLanes ? null : `${lanes} lanes would ask the gateway at once; ${mostLanes} have a place there`
}

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
  const gateway = openGateway(options, database)
  const metrics = createLockMetrics(registry)
  const lock = measureLock(redis.lock, metrics)
  const reportFault = (err: unknown, resource: string) =>
    log.error({ err, resource }, 'a fault after a commit: what is open is left to recovery')
  const { gate } = gateway
  const layers = createPaymentLayers({
    ...{ database, lock, lockTtlMs, metrics, by, reportFault },
    ...{ gateway: gate.gateway, gatewayGate: gate },
  })

  return {
    deps: { database, layers, renderings, checkouts: options.checkouts(redis.first), policy, newId, by },
    database,
    gateway: gate.gateway,
    leadership: { lock, ttlMs: lockTtlMs },
    onGatewayBack: gateway.onBack,
    close: async () => {
      redis.disconnect()
      await gateway.close()
      await database.close()
    },
  }
}

/** The gateway's client behind its gate. When it is back, what was put off is made due, then the listeners are told. */
function openGateway(
  { gatewayUrl, gatewayApiKey, gatewayDeadlineMs, registry, log }: PaymentsOptions,
  database: Database,
) {
  const client = createStripeGateway({
    url: gatewayUrl,
    apiKey: gatewayApiKey,
    deadlineMs: gatewayDeadlineMs,
    maxConnections: gatewayConnections,
  })
  const listeners: (() => void)[] = []
  let wakingUp = Promise.resolve()
  const wakeUp = async () => {
    // Where this fails, what was put off is looked at in its own time, 20 s later at most.
    await makePutOffDue(database).catch((err: unknown) => log.warn({ err }, 'what was put off could not be made due'))
    for (const listener of listeners) listener()
  }
  const gate = createGatewayGate({
    gateway: client,
    places: gatewayPlaces,
    metrics: createGatewayGateMetrics(registry),
    onAway: (reason) => log.warn({ err: { reason } }, 'the gateway is away: payments are refused until it answers'),
    onBack: () => {
      log.info('the gateway is back')
      wakingUp = wakeUp()
    },
  })
  return {
    gate,
    onBack: (listener: () => void) => void listeners.push(listener),
    close: async () => {
      gate.close()
      await client.close()
      await wakingUp
    },
  }
}

interface RedisLock {
  readonly lock: Lock
  /** The client of the first node. */
  readonly first: Redis
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
  return { lock, first, disconnect: () => nodes.forEach((node) => void node.disconnect()) }
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
