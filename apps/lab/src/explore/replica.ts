import { type BookingDeps, createCheckoutPurpose, createSeatChangePublisher } from '@seatbelt/booking'
import { createDatabase } from '@seatbelt/database'
import { noDeclineLimits } from '@seatbelt/domain'
import type { ActorClock, Urls } from '@seatbelt/explore'
import { bookingRenderings, renderings } from '@seatbelt/http'
import { createLockMetrics, createRedisLock, type Lock, redisLockClientOptions } from '@seatbelt/locks'
import {
  composeLayers,
  createIntentStore,
  createStripeGateway,
  invoicePurpose,
  knownAccount,
  merchantPurpose,
  type PaymentDeps,
} from '@seatbelt/payments'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import type { LayerName } from './explore-report.ts'
import { withoutLayers } from './without-layers.ts'

/** One process of the backend, without the process: its own pools, and its own view of time. */
export interface Replica {
  readonly booking: BookingDeps
  readonly payments: PaymentDeps
  close(): Promise<void>
}

/** The key of the gateway's simulator. */
export const apiKey = 'sk_test_dev_only'

/** Longer than any schedule, so that only the scheduler ends a wait. */
const foreverMs = 60_000
const policy = { gatewayDeadlineMs: foreverMs, leaseMs: 10 * foreverMs, declineLimits: noDeclineLimits }

export interface ReplicaOptions {
  readonly name: string
  readonly urls: Urls
  readonly clock: ActorClock
  readonly off: ReadonlySet<LayerName>
  /** For what production writes to its log, and its operators read. */
  readonly reportFault: (fault: unknown) => void
}

/** Composes the operations as production does, over these addresses and this clock, without the layers that are off. */
export async function openReplica({ name, urls, clock, off, reportFault }: ReplicaOptions): Promise<Replica> {
  const database = createDatabase({
    url: withoutServerBounds(urls.postgres),
    poolSize: 4,
    applicationName: `explore-${name}`,
    silenceTimeoutMs: foreverMs,
    runtime: clock,
  })
  // A connection that was lost stays lost: the clock of a reconnect is not the scheduler's.
  const redis = new Redis(urls.redis, {
    ...redisLockClientOptions,
    commandTimeout: foreverMs,
    socketTimeout: foreverMs,
    retryStrategy: () => null,
    lazyConnect: true,
    // This server has loaded its data, and no person reads its list of clients.
    enableReadyCheck: false,
    disableClientInfo: true,
  })
  redis.on('error', () => undefined)
  await redis.connect()
  const gateway = createStripeGateway({
    url: urls.gateway,
    apiKey,
    deadlineMs: foreverMs,
    maxConnections: 2,
  })
  const lock = createRedisLock({ client: redis, commandBudgetMs: foreverMs / 4, random: clock.random })
  await warmUp(lock)
  const gatewayAccount = knownAccount('acct_explore:test')
  const real = composeLayers({
    database,
    runtime: clock,
    gateway,
    gatewayAccount,
    installation: 'explore',
    gatewayGate: { forRequests: (_, work) => work(), forRecovery: (_, work) => work() },
    lock,
    lockTtlMs: foreverMs,
    lockMetrics: createLockMetrics(new Registry()),
    by: name,
    reportFault,
  })
  const publishSeatChange = createSeatChangePublisher(() => undefined, noPreCheck)
  const payments: PaymentDeps = {
    database,
    layers: withoutLayers(real, { gateway, store: createIntentStore({ database, gatewayAccount, by: name }) }, off),
    renderings,
    purposes: {
      merchant: merchantPurpose,
      invoice: invoicePurpose,
      checkout: createCheckoutPurpose({ renderings: bookingRenderings, publishSeatChange }),
    },
    policy,
    gatewayAccount,
    runtime: clock,
    by: name,
  }
  const booking = {
    payments,
    seatPreCheck: noPreCheck,
    renderings: bookingRenderings,
    policy: { holdMs: 10 * foreverMs, pauseMs: 0 },
    publishSeatChange,
  }
  return {
    booking,
    payments,
    close: async () => {
      redis.disconnect()
      await gateway.close()
      await database.close()
    },
  }
}

/** The first release asks what this Redis can do, and loads the script. All schedules must be alike. */
async function warmUp(lock: Lock): Promise<void> {
  const acquired = await lock.acquire('warm-up', { ttlMs: foreverMs })
  if (acquired.acquired) await acquired.lease.release()
}

/** Layer 0 is a hint about seats that other requests take. It would hide the layers below. */
const noPreCheck: BookingDeps['seatPreCheck'] = { preCheck: () => (_, work) => work(), forget: () => undefined }

/** Waits end by the scheduler alone. */
function withoutServerBounds(address: string): string {
  const url = new URL(address)
  for (const bound of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'])
    url.searchParams.set(bound, '0')
  return url.href
}
