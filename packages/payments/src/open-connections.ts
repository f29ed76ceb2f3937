import { createDatabase, type Database, type DatabaseOptions } from '@seatbelt/database'
import {
  createLockMetrics,
  createRedisLock,
  createRedlock,
  type Lock,
  type LockMetrics,
  measureLock,
  redisLockClientOptions,
} from '@seatbelt/locks'
import { createGatewayGate, type Gateway, type GatewayAdmission, type GatewayStop } from '@seatbelt/safety'
import { Redis } from 'ioredis'
import { Gauge, type Registry } from 'prom-client'
import { createGatewayGateMetrics } from './gateway/create-gateway-gate-metrics.ts'
import { createStripeGateway } from './gateway/stripe-gateway.ts'
import { createDurabilityWatch } from './shared/durability-watch.ts'
import { EffectsUnderWay } from './shared/effects-under-way.ts'
import { type GatewayAccount, LearnedAccount } from './shared/gateway-account.ts'
import { leaseProblem, type PaymentPolicy } from './shared/payment-deps.ts'
import { retryPostponedNow } from './shared/retry-postponed-now.ts'

export interface ConnectionOptions extends PaymentPolicy {
  readonly databaseUrl: string
  readonly databasePoolSize: number
  /** False behind a pooler that gives each transaction another connection. */
  readonly databasePrepared: boolean
  /** Other bounds than those of a service whose customers wait, for tests on a busy machine. */
  readonly databaseBounds?: Pick<DatabaseOptions, 'connectTimeoutMs' | 'silenceTimeoutMs' | 'serverBounds'>
  /** `single`: the lock is on the first node alone. `quorum`: Redlock over all of them, an odd number from three. */
  readonly redisLock: 'single' | 'quorum'
  readonly redisUrls: readonly [string, ...string[]]
  readonly gatewayUrl: string
  readonly gatewayApiKey: string
  /** Tells this installation from a copy of its database. See `createGatewayReferenceLayer`. */
  readonly installation: string
  /** This process's name, in histories and in pg_stat_activity. */
  readonly by: string
  readonly registry: Registry
  readonly log: Log
  /** Whether the log names the commits that may be lost; on by default. Off in a command that prints for a person. */
  readonly reportsDurability?: boolean
}

/** What is used of a logger; pino's fits. */
export interface Log {
  info(message: string): void
  warn(about: { readonly err: unknown }, message: string): void
  error(about: { readonly err: unknown; readonly resource: string }, message: string): void
}

/** Everything outside of the process that operations use, opened before any operation is composed. */
export interface Connections {
  readonly database: Database
  /** The client of the first Redis, for what is no lock and may be lost. It fails at once while Redis is away. */
  readonly redis: Redis
  readonly lock: Lock
  readonly lockTtlMs: number
  readonly lockMetrics: LockMetrics
  /** The gateway behind its gate: for reconciliation, which asks it for what no operation does. */
  readonly gateway: Gateway
  readonly gatewayGate: GatewayAdmission
  readonly gatewayAccount: GatewayAccount
  readonly installation: string
  /** Given up when the connections are closed. */
  readonly effects: EffectsUnderWay
  /** The gateway was away and answers again, and what was postponed is due: recovery need not wait. */
  onGatewayBack(listener: () => void): void
  close(): Promise<void>
}

/** How long a killed process keeps others from an order. Several heartbeats long, and a fraction of any lease. */
const lockTtlMs = 5_000
/**
 * A healthy Redis answers in a millisecond. A longer wait is not worth it: the layers below decide.
 */
const redisBudgetMs = 100
/**
 * How many effects may wait for the gateway at once. One account alone has 100 of the 150 (see `GatewayGate`): through
 * them some 700 payments a second can go while the gateway answers in 50 ms (two requests, claim and settle), several
 * times what a process can do. If the gateway hangs, all of them time out together, and their settles then delay a read
 * by at most 30 ms. Recovery has one slot per lane (see `lanesProblem`).
 */
const gatewaySlots = { forRequests: 150, forRecovery: 32 }
/** One for each slot, which sends one request at a time: an admitted effect never waits for a connection. */
const gatewayConnections = gatewaySlots.forRequests + gatewaySlots.forRecovery

/**
 * Why a worker cannot have so many lanes that ask the gateway, or null. Each lane, and the one repair that
 * reconciliation may run beside them, has its own slot, so a refusal can only mean that the gateway is away.
 */
export function lanesProblem(lanes: number): string | null {
  const mostLanes = gatewaySlots.forRecovery - 1
  return lanes <= mostLanes ? null : `${lanes} lanes would ask the gateway at once; ${mostLanes} have a place there`
}

export function openConnections(options: ConnectionOptions): Connections {
  const problem = leaseProblem(options)
  if (problem) throw new RangeError(problem)
  const durability = createDurabilityWatch(options)
  const database = createDatabase({
    onConnection: () => durability.onConnection(),
    url: options.databaseUrl,
    poolSize: options.databasePoolSize,
    prepared: options.databasePrepared,
    applicationName: options.by,
    ...options.databaseBounds,
  })
  if (options.reportsDurability ?? true) durability.start(database)
  const redis = openRedisLock(options)
  const gateway = openGateway(options, database)
  const lockMetrics = createLockMetrics(options.registry)
  const effects = new EffectsUnderWay()
  return {
    database,
    redis: redis.first,
    lock: measureLock(redis.lock, lockMetrics),
    lockTtlMs,
    lockMetrics,
    gateway: gateway.gate.gateway,
    gatewayGate: gateway.gate,
    gatewayAccount: gateway.account,
    installation: options.installation,
    effects,
    onGatewayBack: gateway.onBack,
    close: async () => {
      // First, because a process that stops has little time. Without the database the leases run out.
      await effects
        .giveUp(database)
        .catch((err: unknown) => options.log.warn({ err }, 'payments wait for their leases'))
      redis.disconnect()
      await gateway.close()
      await durability.close()
      await database.close()
    },
  }
}

/**
 * The gateway's client behind its gate. When it is back, what was postponed is made due, then the listeners are called.
 */
function openGateway(
  { gatewayUrl, gatewayApiKey, gatewayDeadlineMs, registry, log }: ConnectionOptions,
  database: Database,
) {
  const client = createStripeGateway({
    url: gatewayUrl,
    apiKey: gatewayApiKey,
    deadlineMs: gatewayDeadlineMs,
    maxConnections: gatewayConnections,
  })
  const account = new LearnedAccount({
    ask: client.retrieveAccount,
    onKnown: (id) => log.info(`the gateway's account is ${id}`),
    onUnknown: () =>
      log.warn(
        { err: { reason: 'GET /v1/account' } },
        'the gateway does not tell its account: its 404 is not believed until it does (may our key read the account?)',
      ),
  })
  void account.start()
  measureAccount(account, registry)
  const listeners: (() => void)[] = []
  let wakingUp = Promise.resolve()
  const wakeUp = async () => {
    // If this fails, what was postponed is tried in its own time, 20 s later at most.
    await retryPostponedNow(database).catch((err: unknown) =>
      log.warn({ err }, 'what was put off could not be made due'),
    )
    for (const listener of listeners) listener()
  }
  const gate = createGatewayGate({
    gateway: client,
    slots: gatewaySlots,
    metrics: createGatewayGateMetrics(registry),
    onStop: (stop) => logStop(log, stop),
    onResume: ({ operation, accountId }) => {
      log.info(`the gateway is back for ${nameOf({ operation, accountId })}`)
      if (operation === 'everything') wakingUp = wakeUp()
    },
    onRejected: ({ subject, request, status, errorCode, message, requestId }) =>
      log.error(
        { err: { request, status, errorCode, message, requestId }, resource: subject },
        'the gateway refused a request of ours: repair it, no client can',
      ),
  })
  return {
    gate,
    account,
    onBack: (listener: () => void) => void listeners.push(listener),
    close: async () => {
      account.close()
      gate.close()
      await client.close()
      await wakingUp
    },
  }
}

function measureAccount(account: GatewayAccount, registry: Registry): void {
  new Gauge({
    name: 'gateway_account_known',
    help: '1: the gateway has told which account our key opens. 0: it has not, and its 404 is not believed.',
    registers: [registry],
    collect() {
      this.set(account.id === null ? 0 : 1)
    },
  })
}

/** Only a person can repair a key. A gateway that is away comes back by itself. */
function logStop(log: Log, { operation, accountId, cause, request }: GatewayStop): void {
  const about = { err: { cause, request }, resource: nameOf({ operation, accountId }) }
  if (cause === 'unauthorized') log.error(about, 'the gateway refuses our API key (401): nothing new is begun')
  else if (cause === 'forbidden')
    log.error(about, 'the gateway forbids our API key this request (403): no such operation of this account is begun')
  else log.warn(about, 'the gateway is away: nothing new is begun until it answers')
}

function nameOf({ operation, accountId }: Pick<GatewayStop, 'operation' | 'accountId'>): string {
  return accountId === null ? operation : `${operation} of account ${accountId}`
}

/** Either form keeps the same contract, so that nothing above knows which one it has. */
function openRedisLock({ redisLock, redisUrls, log }: ConnectionOptions) {
  const nodes = (redisLock === 'single' ? redisUrls.slice(0, 1) : redisUrls).map((url) => connectRedis(url, log))
  const [first] = nodes
  if (!first) throw new RangeError('no Redis node is given')
  const lock =
    redisLock === 'single'
      ? createRedisLock({ client: first, commandBudgetMs: redisBudgetMs })
      : createRedlock({ nodes, commandBudgetMs: redisBudgetMs, longestTtlMs: lockTtlMs })
  return { lock, first, disconnect: () => nodes.forEach((node) => void node.disconnect()) }
}

/** A client that fails at once while Redis is away, and logs once that it went and once that it is back. */
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
