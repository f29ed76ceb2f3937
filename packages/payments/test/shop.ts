import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, type Database, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { type RunningGateway, start as startGateway } from '@seatbelt/gateway'
import { createLockMetrics, createRedisLock, redisLockClientOptions } from '@seatbelt/locks'
import type { Call, Gateway } from '@seatbelt/safety'
import { freshDatabase } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import pg from 'pg'
import { Registry } from 'prom-client'
import { v7 as newId } from 'uuid'
import {
  createPaymentLayers,
  createPaymentOperations,
  createStripeGateway,
  type PaymentDeps,
  type PaymentLayers,
  type Renderings,
  type Result,
} from '../src/index.ts'

/** A whole backend for a test: a database of its own, a gateway with its ledger, and as many replicas as it wants. */
export interface Shop {
  readonly databaseUrl: string
  readonly gatewayUrl: string
  /** A process of the backend, without the process. `layers` replaces single layers by unsafe ones. */
  replica(by: string, parts?: ReplicaParts): Promise<Replica>
  sql<T extends object>(text: string, parameters?: unknown[]): Promise<T[]>
  /** What the gateway says it took for this order. */
  charges(orderId: string): Promise<readonly { amountMinor: number }[]>
  /** Makes the gateway misbehave. */
  faults(...rules: object[]): Promise<void>
  close(): Promise<void>
}

export interface ReplicaParts {
  readonly databaseUrl?: string
  readonly redisUrl?: string
  readonly gateway?: (real: Gateway) => Gateway
  readonly layers?: (real: PaymentLayers) => Partial<PaymentLayers>
  readonly leaseMs?: number
}

export interface Replica {
  readonly deps: PaymentDeps
  readonly database: Database
  readonly faults: unknown[]
  createOrder(amountMinor?: number): Promise<string>
  pay(orderId: string, key?: string, paymentMethod?: string): Promise<Result>
  cancel(orderId: string, key?: string): Promise<Result>
}

export const accountId = developmentAccounts[0].id
/** Longer than a machine that is busy with other tests ever takes: no test here means to run into it. */
export const gatewayDeadlineMs = 8_000

export async function openShop(): Promise<Shop> {
  const fresh = await freshDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-shop-'))
  const gateway = await startGateway({ ledgerPath: join(folder, 'ledger.jsonl'), latencyMs: 2 })
  const inspector = new pg.Client({ connectionString: fresh.url })
  await inspector.connect()
  const closers: (() => Promise<unknown>)[] = []
  // One prefix for a shop: its replicas contend with each other and with no other test.
  const keyPrefix = `test:${randomUUID()}:`

  return {
    databaseUrl: fresh.url,
    gatewayUrl: gateway.url,
    replica: async (by, parts = {}) => {
      const replica = await openReplica({ by, parts, fresh: fresh.url, gateway, keyPrefix })
      closers.push(replica.close)
      return replica
    },
    sql: async <T extends object>(text: string, parameters: unknown[] = []) =>
      (await inspector.query<T>(text, parameters)).rows,
    charges: async (orderId) => {
      const response = await fetch(`${gateway.url}/_ledger/orders/${orderId}`)
      const { captured } = (await response.json()) as { captured: { amountMinor: number }[] }
      return captured
    },
    faults: async (...rules) => {
      const response = await fetch(`${gateway.url}/_control/faults`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ faults: rules }),
      })
      if (!response.ok) throw new Error(`the gateway refused the faults: ${await response.text()}`)
    },
    close: async () => {
      for (const close of closers) await close()
      await inspector.end()
      await gateway.close()
      await fresh.close()
      await rm(folder, { recursive: true })
    },
  }
}

interface ReplicaOptions {
  readonly by: string
  readonly parts: ReplicaParts
  readonly fresh: string
  readonly gateway: RunningGateway
  readonly keyPrefix: string
}

async function openReplica({ by, parts, fresh, gateway, keyPrefix }: ReplicaOptions) {
  const database = createDatabase({ url: parts.databaseUrl ?? fresh, poolSize: 20, applicationName: by })
  await seedDevelopment(database)
  const redis = new Redis(parts.redisUrl ?? process.env.TEST_REDIS_URL ?? '', {
    ...redisLockClientOptions,
    lazyConnect: true,
  })
  redis.on('error', () => undefined)
  // A test that points at a Redis which is not there wants exactly that.
  await redis.connect().catch(() => undefined)
  const stripe = createStripeGateway({
    url: gateway.url,
    apiKey: 'sk_test_dev_only',
    deadlineMs: gatewayDeadlineMs,
    maxConnections: 20,
  })
  const faults: unknown[] = []
  const real = createPaymentLayers({
    database,
    gateway: parts.gateway?.(stripe) ?? stripe,
    lock: createRedisLock({ client: redis, commandBudgetMs: 500, keyPrefix }),
    lockTtlMs: 10_000,
    metrics: createLockMetrics(new Registry()),
    by,
    reportFault: (fault) => faults.push(fault),
  })
  const deps: PaymentDeps = {
    database,
    layers: { ...real, ...parts.layers?.(real) },
    renderings,
    policy: { gatewayDeadlineMs, leaseMs: parts.leaseMs ?? 60_000 },
    newId,
    by,
  }
  const operations = createPaymentOperations(deps)
  return {
    deps,
    database,
    faults,
    createOrder: async (amountMinor = 4_200) => {
      const result = await operations.createOrder(call(randomUUID(), { amountMinor }), {
        customerId: 'customer-1',
        amountMinor,
        currency: 'EUR',
      })
      if (result.kind !== 'answered') throw new Error(`no order: ${JSON.stringify(result)}`)
      return (JSON.parse(result.answer.body) as { id: string }).id
    },
    pay: (orderId: string, key: string = randomUUID(), paymentMethod = 'pm_card_visa') =>
      operations.payOrder(call(key, { orderId, paymentMethod }), { orderId, paymentMethod }),
    cancel: (orderId: string, key: string = randomUUID()) => operations.cancelOrder(call(key, { orderId }), orderId),
    close: async () => {
      redis.disconnect()
      await stripe.close()
      await database.close()
    },
  }
}

export function call(key: string, request: unknown, account: string = accountId): Call {
  return { accountId: account, key, fingerprint: createHash('sha256').update(JSON.stringify(request)).digest() }
}

/** The house's answers are HTTP and made elsewhere; these say only what a test wants to see. */
export const renderings: Renderings = {
  orderCreated: (order) => ({ status: 201, body: JSON.stringify({ id: order.id }), location: null }),
  orderCancelled: (order) => ({
    status: 200,
    body: JSON.stringify({ id: order.id, state: order.state }),
    location: null,
  }),
  paymentSettled: (payment, outcome) => ({
    status: outcome.state === 'succeeded' ? 201 : 402,
    body: JSON.stringify({ paymentId: payment.id, outcome, settledAt: payment.settledAt }),
    location: null,
  }),
}

/** `answered 201`, `refused order-already-paid`, `unsettled`: enough to compare in one line. */
export function brief(result: Result): string {
  switch (result.kind) {
    case 'answered':
      return `answered ${result.answer.status}`
    case 'refused':
      return `refused ${result.refusal.code}`
    case 'unsettled':
      return 'unsettled'
    default:
      return result satisfies never
  }
}

/** Lets every lease of this shop run out and every pause be over, as time would. */
export async function letLeasesRunOut(shop: Shop): Promise<void> {
  await shop.sql(
    `UPDATE payments SET leased_until = CASE WHEN leased_until IS NOT NULL THEN now() - interval '1 second' END, look_at = now() - interval '1 second'
      WHERE state IN ('processing', 'needs_review')`,
  )
}

/** As if so much time had passed since the payment was claimed. */
export async function letTimePass(shop: Shop, interval: string): Promise<void> {
  await shop.sql(
    `UPDATE payments SET created_at = created_at - $1::interval, wanted_until = wanted_until - $1::interval
      WHERE state IN ('processing', 'needs_review')`,
    [interval],
  )
  await letLeasesRunOut(shop)
}
