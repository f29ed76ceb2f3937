import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, type Database, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import {
  type Call,
  type Currency,
  type DeclineLimits,
  noDeclineLimits,
  type PaymentOutcome,
  type Runtime,
} from '@seatbelt/domain'
import { type RunningGateway, type SimulatorOptions, start as startGateway } from '@seatbelt/gateway'
import { createLockMetrics, createRedisLock, redisLockClientOptions } from '@seatbelt/locks'
import { createAdvisoryLockLayer, type Gateway, type Guarded } from '@seatbelt/safety'
import { freshDatabase, openInspector, unhurried } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import {
  composeLayers,
  createPaymentOperations,
  createStripeGateway,
  invoicePurpose,
  knownAccount,
  merchantPurpose,
  type NewOrder,
  type NewPaymentRequest,
  type PaymentDeps,
  type PaymentLayers,
  type PaymentStep,
  type Purpose,
  processRuntime,
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
  /** Those whose name begins so: a test that makes one for each point of death must not keep all their connections. */
  closeReplicas(prefix: string): Promise<void>
  close(): Promise<void>
}

export interface ReplicaParts {
  readonly databaseUrl?: string
  readonly prepared?: boolean
  readonly redisUrl?: string
  readonly database?: (real: Database) => Database
  readonly gateway?: (real: Gateway) => Gateway
  readonly layers?: (real: PaymentLayers) => Partial<PaymentLayers>
  readonly checkout?: Purpose
  readonly runtime?: Runtime
  readonly leaseMs?: number
  readonly declineLimits?: DeclineLimits
  /** Longer than in production, where many copies wait for one lock on a busy machine. */
  readonly lockWaitMs?: number
}

export interface Replica {
  readonly deps: PaymentDeps
  readonly database: Database
  readonly faults: unknown[]
  createOrder(amountMinor?: number, currency?: Currency): Promise<string>
  pay(orderId: string, key?: string, paymentMethod?: string): Promise<Result>
  /** Puts the order's amount on hold. */
  authorize(orderId: string, key?: string, paymentMethod?: string): Promise<Result>
  capture(paymentId: string, key?: string): Promise<Result>
  void(paymentId: string, key?: string): Promise<Result>
  cancel(orderId: string, key?: string): Promise<Result>
}

export const accountId = developmentAccounts[0].id
/** Longer than a machine that is busy with other tests ever takes: no test here means to run into it. */
export const gatewayDeadlineMs = 8_000

/** `gateway`: how its simulator differs from one that answers quickly and changes nothing by itself. */
export async function openShop(gatewayOptions: Partial<SimulatorOptions> = {}): Promise<Shop> {
  const fresh = await freshDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-shop-'))
  const gateway = await startGateway({ ledgerPath: join(folder, 'ledger.jsonl'), latencyMs: 2, ...gatewayOptions })
  const inspector = await openInspector(fresh.url)
  let open: { readonly by: string; readonly close: () => Promise<void> }[] = []
  const closeReplicas = async (prefix: string) => {
    const closing = open.filter(({ by }) => by.startsWith(prefix))
    open = open.filter((replica) => !closing.includes(replica))
    for (const { close } of closing) await close()
  }
  // One prefix for a shop: its replicas contend with each other and with no other test.
  const keyPrefix = `test:${randomUUID()}:`

  return {
    databaseUrl: fresh.url,
    gatewayUrl: gateway.url,
    replica: async (by, parts = {}) => {
      const replica = await openReplica({ by, parts, fresh: fresh.url, gateway, keyPrefix })
      open.push({ by, close: replica.close })
      return replica
    },
    closeReplicas,
    sql: inspector.sql,
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
      await closeReplicas('')
      await inspector.close()
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
  const realDatabase = createDatabase({
    url: parts.databaseUrl ?? fresh,
    poolSize: 20,
    applicationName: by,
    prepared: parts.prepared ?? true,
    ...unhurried,
  })
  await seedDevelopment(realDatabase)
  const database = parts.database?.(realDatabase) ?? realDatabase
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
  const gatewayAccount = knownAccount(await stripe.retrieveAccount())
  const faults: unknown[] = []
  const runtime = parts.runtime ?? processRuntime
  const lockMetrics = createLockMetrics(new Registry())
  const real = composeLayers({
    database,
    runtime,
    gateway: parts.gateway?.(stripe) ?? stripe,
    gatewayAccount,
    installation: 'test',
    // Tests that let the gateway fail for long are about other layers; those of the gate put one in.
    gatewayGate: { forRequests: (_, work) => work(), forRecovery: (_, work) => work() },
    lock: createRedisLock({ client: redis, commandBudgetMs: 500, keyPrefix }),
    lockTtlMs: 10_000,
    lockMetrics,
    by,
    reportFault: (fault) => faults.push(fault),
  })
  const deps: PaymentDeps = {
    database,
    layers: { ...real, advisoryLock: createAdvisoryLockLayer(lockMetrics, parts.lockWaitMs), ...parts.layers?.(real) },
    renderings,
    purposes: { merchant: merchantPurpose, invoice: invoicePurpose, checkout: parts.checkout ?? noCheckouts },
    policy: {
      gatewayDeadlineMs,
      leaseMs: parts.leaseMs ?? 60_000,
      declineLimits: parts.declineLimits ?? noDeclineLimits,
    },
    gatewayAccount,
    runtime,
    by,
  }
  const operations = createPaymentOperations(deps)
  return {
    deps,
    database,
    faults,
    createOrder: async (amountMinor = 4_200, currency: Currency = 'EUR') => {
      const order = newOrder({ amountMinor, currency })
      return bodyOf<{ id: string }>(await operations.createOrder(call(randomUUID(), order), order)).id
    },
    pay: (orderId: string, key: string = randomUUID(), paymentMethod = 'pm_card_visa') => {
      const request = newPayment({ orderId, paymentMethod })
      return operations.payOrder(call(key, request), request)
    },
    authorize: (orderId: string, key: string = randomUUID(), paymentMethod = 'pm_card_visa') => {
      const request = newPayment({ orderId, paymentMethod, capture: 'manual' })
      return operations.payOrder(call(key, request), request)
    },
    capture: (paymentId: string, key: string = randomUUID()) =>
      operations.capturePayment(call(key, { capture: paymentId }), paymentId),
    void: (paymentId: string, key: string = randomUUID()) =>
      operations.voidPayment(call(key, { void: paymentId }), paymentId),
    cancel: (orderId: string, key: string = randomUUID()) => operations.cancelOrder(call(key, { orderId }), orderId),
    close: async () => {
      redis.disconnect()
      await stripe.close()
      await realDatabase.close()
    },
  }
}

/** What a client sends, with all that is optional left at its default: the next field is added here, and nowhere else. */
export function newOrder(overrides: Partial<NewOrder> = {}): NewOrder {
  return { customerId: 'customer-1', amountMinor: 4_200, currency: 'EUR', receiptEmail: null, ...overrides }
}

export function newPayment(overrides: Pick<NewPaymentRequest, 'orderId'> & Partial<NewPaymentRequest>) {
  return { paymentMethod: 'pm_card_visa', capture: 'automatic', ...overrides } satisfies NewPaymentRequest
}

export function call(key: string, request: unknown, account: string = accountId): Call {
  return { accountId: account, key, fingerprint: createHash('sha256').update(JSON.stringify(request)).digest() }
}

/** No test of payments settles a checkout. */
export const noCheckouts: Purpose = {
  settling: () => Promise.reject(new Error('there are no checkouts')),
  refunded: async () => null,
  refundLost: async () => {},
  reinstated: async () => {},
}

/** The house's answers are HTTP and made elsewhere; these say only what a test wants to see. */
export const renderings: Renderings = {
  orderCreated: (order) => ({ status: 201, body: JSON.stringify({ id: order.id }), location: null }),
  orderCancelled: (order, paymentId) => ({
    status: 200,
    body: JSON.stringify({ id: order.id, state: order.state, paymentId }),
    location: null,
  }),
  paymentSettled: (payment, outcome, step) => ({
    status: statusOf(outcome, step),
    body: JSON.stringify({ paymentId: payment.id, outcome, settledAt: payment.settledAt }),
    location: null,
  }),
  refundSettled: (refund, outcome) => ({
    status: outcome.state === 'failed' ? 402 : 201,
    body: JSON.stringify({ refundId: refund.id, outcome, settledAt: refund.settledAt }),
    location: null,
  }),
  webhookEndpointSet: (endpoint, { secret, isNew }) => ({
    status: isNew ? 201 : 200,
    body: JSON.stringify({ url: endpoint.url, secret }),
    location: null,
  }),
  webhookDeliveryReplayed: (delivery) => ({ status: 200, body: JSON.stringify(delivery), location: null }),
  paymentSeen: ({ id, state }) => ({ id, state }),
  refundSeen: ({ id, state }) => ({ id, state }),
  disputeSeen: ({ id, state }) => ({ id, state }),
  subscriptionCreated: ({ id, nextDueAt }) => ({
    status: 201,
    body: JSON.stringify({ id, nextDueAt }),
    location: null,
  }),
  subscriptionChanged: ({ id, state, nextDueAt }, paymentId) => ({
    status: 200,
    body: JSON.stringify({ id, state, nextDueAt, paymentId }),
    location: null,
  }),
  invoiceSeen: ({ id, state, subscriptionId }) => ({ id, state, subscriptionId }),
  subscriptionSeen: ({ id, state, pausedBecause }) => ({ id, state, pausedBecause }),
  gatewayCustomerRegistered: ({ id }) => ({ status: 201, body: JSON.stringify({ id }), location: null }),
}

function statusOf({ state }: PaymentOutcome, step: PaymentStep): number {
  if (step === 'pay') return state === 'succeeded' || state === 'authorized' ? 201 : 402
  if (step === 'capture') return state === 'succeeded' ? 200 : 402
  return state === 'voided' ? 200 : 409
}

/** What an answer says; anything else than an answer is not what the test meant to get. */
export function bodyOf<T>(result: Guarded<unknown>): T {
  if (result.kind !== 'answered') throw new Error(`no answer: ${JSON.stringify(result)}`)
  return JSON.parse(result.answer.body) as T
}

/** The id of the payment that an answer is about. */
export function paymentIdOf(result: Guarded<unknown>): string {
  return bodyOf<{ paymentId: string }>(result).paymentId
}

/** `answered 201`, `refused order-already-paid`, `unsettled`: enough to compare in one line. */
export function brief(result: Guarded<unknown>): string {
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
    `UPDATE payments SET leased_until = CASE WHEN leased_until IS NOT NULL THEN now() - interval '1 second' END, next_attempt_at = now() - interval '1 second'
      WHERE state IN ('processing', 'capturing', 'voiding', 'needs_review')`,
  )
}

/** As if so much time had passed since everything was claimed that is not settled yet. */
export async function letTimePass(shop: Shop, interval: string): Promise<void> {
  await shop.sql(
    `UPDATE payments SET created_at = created_at - $1::interval, abandon_after = abandon_after - $1::interval,
            step_started_at = step_started_at - $1::interval, authorized_at = authorized_at - $1::interval, void_at = void_at - $1::interval
      WHERE settled_at IS NULL`,
    [interval],
  )
  await letLeasesRunOut(shop)
}
