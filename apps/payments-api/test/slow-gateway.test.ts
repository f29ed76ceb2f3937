import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, developmentAccounts, findAccountByKeyHash, seedDevelopment } from '@seatbelt/database'
import { createAuthenticate, createLogger, createMetrics, createTokenBuckets, renderings } from '@seatbelt/http'
import {
  composePayments,
  createPaymentOperations,
  openConnections,
  type PaymentDeps,
  recoverPayment,
} from '@seatbelt/payments'
import { eventually, freshDatabase, race, startTcpProxy, valuesOf } from '@seatbelt/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { noCheckouts } from '../../../packages/payments/test/shop.ts'
import { start as startGateway } from '../../gateway/src/index.ts'
import { runRecovery } from '../../worker/src/index.ts'
import { createApp } from '../src/index.ts'

/** As many as `openConnections` gives to requests. */
const places = 100
const surplus = 60
/** Nothing here runs into it: what hangs is let go by the test, so that a busy machine changes nothing. */
const gatewayDeadlineMs = 30_000
/** Far longer than anything here takes on a machine that is busy with other tests. */
const boundMs = 20_000
const unlimited = { perSecond: 1_000_000, burst: 1_000_000 }
const apiKey = developmentAccounts[0].apiKey
const logger = createLogger({ level: 'silent', instance: 'test' })

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** The simulator behind a proxy that can keep its answers, a database, and processes of the backend without the processes. */
async function openWorld() {
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
    const policy = { gatewayDeadlineMs, leaseMs: 300_000 }
    const connections = openConnections({
      ...policy,
      databaseUrl: fresh.url,
      databasePoolSize: 10,
      databasePrepared: true,
      redisLock: 'single',
      redisUrls: [process.env.TEST_REDIS_URL ?? ''],
      gatewayUrl: proxy.through(gateway.url),
      gatewayApiKey: 'sk_test_dev_only',
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
  const inspector = createDatabase({ url: fresh.url, poolSize: 1, applicationName: 'inspector' })
  closers.push(inspector.close)
  const charges = async (orderId: string) => {
    const response = await fetch(`${gateway.url}/_ledger/orders/${orderId}`)
    return ((await response.json()) as { captured: unknown[] }).captured.length
  }
  return { proxy, open, charges, client: inspector.client }
}

type World = Awaited<ReturnType<typeof openWorld>>

async function startApi({ open, client }: World, change: (deps: PaymentDeps) => PaymentDeps = (deps) => deps) {
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
  const send = async (method: string, path: string, body?: object, key: string = randomUUID()) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, 'idempotency-key': key, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as { id: string; code?: string }
    return { status: response.status, headers: response.headers, answer }
  }
  const newOrder = { customerId: 'customer-1', amountMinor: 4_200, currency: 'EUR' }
  return {
    createOrder: () => send('POST', '/v1/orders', newOrder),
    readOrder: (id: string) => send('GET', `/v1/orders/${id}`),
    /** The key is the order's id: whoever pays an order again repeats the request. */
    pay: (id: string) => send('POST', `/v1/orders/${id}/payments`, { paymentMethod: 'pm_card_visa' }, id),
    /** Rows of these tables that belong to one of the orders. */
    count: async (orderIds: readonly string[]) => ({
      payments: await client.payment.count({ where: { orderId: { in: [...orderIds] } } }),
      keys: await client.idempotencyKey.count({ where: { key: { in: [...orderIds] } } }),
    }),
    processing: () => client.payment.count({ where: { state: 'processing' } }),
    circuitIs: circuitOf(metrics.registry),
  }
}

function circuitOf(registry: ReturnType<typeof createMetrics>['registry']) {
  return async (state: 'open' | 'closed') =>
    (await registry.metrics()).includes(`gateway_circuit_state{state="${state}"} 1`)
}

function startWorker({ open }: World) {
  const { payments, metrics } = open('worker')
  const stop = new AbortController()
  const ended = runRecovery({
    ...{ lanes: 10, idlePauseMs: 200, signal: stop.signal, logger, registry: metrics.registry },
    recover: () => recoverPayment(payments.deps),
    onWake: payments.onGatewayBack,
  })
  closers.push(() => {
    stop.abort()
    return ended
  })
  return {
    circuitIs: circuitOf(metrics.registry),
    /** Longer than this test waits: what is looked at all the same was made due. */
    putOff: () =>
      payments.database.client.payment.updateMany({
        where: { state: 'processing', leasedUntil: null },
        data: { nextAttemptAt: new Date(Date.now() + 3_600_000) },
      }),
  }
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await work(item))
  return results
}

/** Sends the payments, ten at a time, so that none waits for a connection, and resolves when each of them is claimed. */
async function holdAll({ pay, count }: Awaited<ReturnType<typeof startApi>>, orders: readonly string[]) {
  const answers: Promise<Awaited<ReturnType<typeof pay>>>[] = []
  let answered = 0
  const countOne = () => {
    answered++
  }
  for (let sent = 0; sent < orders.length; sent += 10) {
    answers.push(...orders.slice(sent, sent + 10).map((id) => pay(id)))
    // Whoever waits for them hears of a failure; a test that fails before that has said what it failed of.
    for (const answer of answers.slice(sent)) answer.then(countOne, countOne)
    const claimed = async () => (await count(orders)).payments === Math.min(sent + 10, orders.length)
    await eventually(`${sent + 10} payments are claimed`, claimed, { boundMs })
  }
  return { answers: race(answers.map((answer) => () => answer)), answered: () => answered }
}

/** Reads all the time until the work is done, so also in the moment when all its settles come at once. */
async function readingUntil<T, R>(work: Promise<T>, read: () => Promise<R>): Promise<[T, R[]]> {
  const reads: R[] = []
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  while (!isDone) reads.push(await read())
  return [await done, reads]
}

const statusesOf = (answers: readonly { status: number }[]) => [...new Set(answers.map(({ status }) => status))]

describe('a gateway that takes requests and does not answer', () => {
  it('holds as many payments as there are places; nobody else waits, the surplus has claimed nothing, and in the end all are paid once', {
    timeout: 120_000,
  }, async () => {
    const world = await openWorld()
    const api = await startApi(world)
    const made = await inTurn(Array.from({ length: places + surplus + 1 }), api.createOrder)
    const [paidBefore = '', ...orders] = made.map(({ answer }) => answer.id)
    expect((await api.pay(paidBefore)).status).toBe(201)
    const [held, refused] = [orders.slice(0, places), orders.slice(places)]

    world.proxy.hold('to-client')
    const holding = await holdAll(api, held)

    const refusals = await inTurn(refused, api.pay)
    const reads = await inTurn(refused, api.readOrder)
    const creations = await inTurn(refused, api.createOrder)
    expect(statusesOf(refusals)).toEqual([503])
    expect(new Set(refusals.map(({ headers }) => headers.get('retry-after')))).toEqual(new Set(['1']))
    expect([statusesOf(reads), statusesOf(creations)]).toEqual([[200], [201]])
    expect(await api.count(refused)).toEqual({ payments: 0, keys: 0 })
    // All of that was answered while nothing came from the gateway: nobody in it waited for those who wait.
    expect(holding.answered()).toBe(0)

    // The connections break: who had a place hears where to look, and nobody else gets one.
    world.proxy.refuse()
    const [settled, readsMeanwhile] = await readingUntil(holding.answers, () => api.readOrder(paidBefore))
    expect(statusesOf(valuesOf(settled))).toEqual([202])
    expect(statusesOf(readsMeanwhile)).toEqual([200])
    expect(await api.circuitIs('open')).toBe(true)
    const [refusedAgain, replayed] = [await api.pay(refused[0] ?? ''), await api.pay(paidBefore)]
    expect([refusedAgain.status, refusedAgain.answer.code]).toEqual([503, 'temporarily-unavailable'])
    expect([replayed.status, replayed.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
    const worker = startWorker(world)
    await eventually('the worker does not ask any more either', () => worker.circuitIs('open'), { boundMs })
    await worker.putOff()

    world.proxy.flow('to-client')
    world.proxy.accept()
    await eventually('nothing is processing', async () => (await api.processing()) === 0, { boundMs: 60_000 })
    await eventually('the api asks again', () => api.circuitIs('closed'), { boundMs })
    expect(statusesOf(await inTurn(orders, api.pay))).toEqual([201])
    expect(await Promise.all(orders.map(world.charges))).toEqual(orders.map(() => 1))
  })

  it('the control: without the gate it holds every payment that comes', { timeout: 120_000 }, async () => {
    const world = await openWorld()
    const open = {
      forRequests: <T>(work: () => Promise<T>) => work(),
      forRecovery: <T>(work: () => Promise<T>) => work(),
    }
    const api = await startApi(world, (deps) => ({ ...deps, layers: { ...deps.layers, gatewayGate: open } }))
    const made = await inTurn(Array.from({ length: places + surplus }), api.createOrder)
    const orders = made.map(({ answer }) => answer.id)
    world.proxy.hold('to-client')
    const holding = await holdAll(api, orders)
    world.proxy.refuse()
    expect(statusesOf(valuesOf(await holding.answers))).toEqual([202])
  })
})
