import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, developmentAccounts, findAccountByKeyHash, seedDevelopment } from '@seatbelt/database'
import { noDeclineLimits } from '@seatbelt/domain'
import { createAuthenticate, createLogger, createMetrics, createTokenBuckets, renderings } from '@seatbelt/http'
import { composePayments, createPaymentOperations, openConnections, type PaymentDeps } from '@seatbelt/payments'
import { freshDatabase, startTcpProxy, unhurried } from '@seatbelt/testing'
import { afterEach } from 'vitest'
import { noCheckouts } from '../../../packages/payments/test/shop.ts'
import { start as startGateway } from '../../gateway/src/index.ts'
import { createApp } from '../src/index.ts'

/** Nothing here runs into it: what hangs is let go by the test, so that a busy machine changes nothing. */
const gatewayDeadlineMs = 120_000
const leaseMs = 1_200_000
const unlimited = { perSecond: 1_000_000, burst: 1_000_000 }

/** Closed after each test, the last one first. */
export const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** The simulator behind a proxy that can keep its answers, a database, and the backend without its processes. */
export async function openWorld() {
  const logged: Record<string, unknown>[] = []
  const logger = createLogger(
    { level: 'info', instance: 'test' },
    { write: (line: string) => void logged.push(JSON.parse(line)) },
  )
  const fresh = await freshDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-slow-'))
  const gateway = await startGateway({ ledgerPath: join(folder, 'ledger.jsonl'), latencyMs: 5 })
  const { port } = new URL(gateway.url)
  const proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: Number(port) }, protocol: 'http' })
  closers.push(
    () => fresh.close(),
    () => rm(folder, { recursive: true }),
    () => gateway.close(),
    () => proxy.close(),
  )
  const open = (by: string) => {
    const metrics = createMetrics({ processMetrics: false })
    const policy = { gatewayDeadlineMs, leaseMs, declineLimits: noDeclineLimits }
    const connections = openConnections({
      ...policy,
      databaseUrl: fresh.url,
      databasePoolSize: 10,
      databasePrepared: true,
      databaseBounds: unhurried,
      redisLock: 'single',
      redisUrls: [process.env.TEST_REDIS_URL ?? ''],
      gatewayUrl: proxy.through(gateway.url),
      gatewayApiKey: 'sk_test_dev_only',
      installation: 'test',
      by,
      registry: metrics.registry,
      log: logger,
    })
    const reportFault = (err: unknown, resource: string) => logger.error({ err, resource }, 'a fault after a commit')
    const deps = composePayments(connections, { ...policy, by, renderings, checkoutPurpose: noCheckouts, reportFault })
    const payments = { ...connections, deps }
    closers.push(payments.close)
    return { payments, metrics }
  }
  // A connection of the test's own: what it looks at must not wait behind what it looks at.
  const inspector = createDatabase({ url: fresh.url, poolSize: 1, applicationName: 'inspector', ...unhurried })
  closers.push(inspector.close)
  const charges = async (orderId: string) => {
    const response = await fetch(`${gateway.url}/_ledger/orders/${orderId}`)
    return ((await response.json()) as { captured: unknown[] }).captured.length
  }
  /** Makes the gateway misbehave. */
  const faults = async (...rules: object[]) => {
    const body = JSON.stringify({ faults: rules })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${gateway.url}/_control/faults`, { method: 'POST', headers, body })
    if (!response.ok) throw new Error(`the gateway refused the faults: ${await response.text()}`)
  }
  return { proxy, open, charges, faults, logger, logged, client: inspector.client, query: inspector.query }
}

export type World = Awaited<ReturnType<typeof openWorld>>

export async function startApi(
  { open, client, logger }: World,
  change: (deps: PaymentDeps) => PaymentDeps = (deps) => deps,
) {
  const { payments, metrics } = open('api')
  await seedDevelopment(payments.database)
  const app = createApp({
    ...{ metrics, logger, instance: 'api', accounts: createTokenBuckets(unlimited) },
    operations: createPaymentOperations(change(payments.deps)),
    authenticate: createAuthenticate({
      findAccountByKeyHash: findAccountByKeyHash(payments.database),
      developmentKeys: 'accepted',
      strangers: createTokenBuckets(unlimited),
    }),
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const newOrder = { customerId: 'customer-1', amountMinor: 4_200, currency: 'EUR' }
  const clientOf = ({ apiKey }: { readonly apiKey: string }) => {
    const send = async (method: string, path: string, body?: object, key: string = randomUUID()) => {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${apiKey}`, 'idempotency-key': key, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const answer = JSON.parse(text) as { id: string; code?: string; paymentId?: string; state?: string }
      return { status: response.status, headers: response.headers, answer, text }
    }
    return {
      send,
      createOrder: () => send('POST', '/v1/orders', newOrder),
      readOrder: (id: string) => send('GET', `/v1/orders/${id}`),
      /** The key is the order's id, where none is given: a second call repeats the request. */
      pay: (
        id: string,
        more: { readonly key?: string; readonly paymentMethod?: string; readonly capture?: string } = {},
      ) => {
        const { key = id, ...how } = more
        return send('POST', `/v1/orders/${id}/payments`, { paymentMethod: 'pm_card_visa', ...how }, key)
      },
    }
  }
  return {
    ...clientOf(developmentAccounts[0]),
    /** Another account, at the same process. */
    other: clientOf(developmentAccounts[1]),
    /** Rows of these tables that belong to one of the orders. */
    count: async (orderIds: readonly string[]) => ({
      payments: await client.payment.count({ where: { orderId: { in: [...orderIds] } } }),
      keys: await client.idempotencyKey.count({ where: { key: { in: [...orderIds] } } }),
    }),
    processing: () => client.payment.count({ where: { state: 'processing' } }),
    isReady: payments.database.isReady,
    metrics: () => metrics.registry.metrics(),
    isStopped: isStoppedIn(metrics.registry),
  }
}

/** Whether the process of these metrics begins nothing at the gateway. */
export function isStoppedIn(registry: ReturnType<typeof createMetrics>['registry']) {
  return async () => (await registry.metrics()).includes('gateway_stopped{operation="everything"')
}
