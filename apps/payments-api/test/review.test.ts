import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import { recoverPayment } from '@seatbelt/payments'
import { createLatch } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { letTimePass, type Replica } from '../../../packages/payments/test/shop.ts'
import { type Api, booksOf, intentEvent, openWorld, paymentOf, type World } from './gateway-events-support.ts'

let world: World
let replica: Replica
let api: Api
beforeAll(async () => {
  world = await openWorld()
  replica = await world.replica('api-1')
  api = await world.api(replica)
})
beforeEach(() => world.faults())
afterAll(() => world?.close())

const [owner, stranger] = developmentAccounts

async function ask(method: 'GET' | 'POST', path: string, account: { readonly apiKey: string } = owner) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${account.apiKey}`,
      ...(method === 'POST' && { 'idempotency-key': randomUUID() }),
    },
  })
  const body = (await response.json()) as {
    state?: string
    code?: string
    history?: { event: string }[]
    items?: { id: string }[]
  }
  return { status: response.status, body }
}

const review = (paymentId: string, account = owner) => ask('POST', `/v1/payments/${paymentId}/review`, account)

/** A payment that a day of looking told nothing about: the gateway fails whatever it is asked about this order. */
async function openInReview() {
  const orderId = await replica.createOrder()
  const broken = { kind: 'error-before', rate: 1, metadata: { orderId } }
  await world.faults({ on: 'confirm', ...broken }, { on: 'retrieve', ...broken }, { on: 'cancel', ...broken })
  await replica.pay(orderId)
  const { paymentId } = await paymentOf(world, orderId)
  await letTimePass(world, '25 hours')
  await recoverPayment(replica.deps, paymentId)
  const payment = await paymentOf(world, orderId)
  expect(payment.state).toBe('needs_review')
  return payment
}

describe('POST /v1/payments/:paymentId/review', () => {
  it('looks now, and answers the payment with its history, whether or not there is news; each request looks', async () => {
    const { paymentId, orderId } = await openInReview()
    const before = await ask('GET', `/v1/payments/${paymentId}`)
    const still = await review(paymentId)
    expect(still).toMatchObject({ status: 200, body: { state: 'needs_review' } })
    expect(still.body.history?.length).toBeGreaterThan(before.body.history?.length ?? 0)
    await world.faults()
    expect(await review(paymentId)).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    expect(await booksOf(world, orderId)).toMatchObject({ order: 'pending', payment: 'cancelled', charges: 0 })
  })

  it('refuses what waits for nobody, and writes no key', async () => {
    const orderId = await replica.createOrder()
    await replica.pay(orderId)
    const { paymentId } = await paymentOf(world, orderId)
    const [before] = await world.sql('SELECT count(*)::int AS keys FROM idempotency_keys')
    expect(await review(paymentId)).toMatchObject({
      status: 409,
      body: { code: 'payment-not-in-review', state: 'succeeded' },
    })
    expect(await world.sql('SELECT count(*)::int AS keys FROM idempotency_keys')).toEqual([before])
  })

  it('knows nothing of what belongs to another account', async () => {
    const { paymentId, orderId } = await openInReview()
    for (const [id, account] of [
      [paymentId, stranger],
      [randomUUID(), owner],
      ['no-id', owner],
    ] as const) {
      const { status, body } = await ask('POST', `/v1/payments/${id}/review`, account)
      expect([status, body.code]).toEqual([404, 'payment-not-found'])
    }
    expect((await paymentOf(world, orderId)).state).toBe('needs_review')
  })

  it('leaves it to whoever is looking at this moment', async () => {
    const { paymentId } = await openInReview()
    const [looking, goOn] = [createLatch('recovery looks'), createLatch('it is answered')]
    const worker = await world.replica('worker', {
      gateway: (real) => ({
        ...real,
        retrieveIntent: async (...args) => {
          looking.open()
          await goOn.wait()
          return real.retrieveIntent(...args)
        },
      }),
    })
    await world.sql('UPDATE payments SET next_attempt_at = now() WHERE id = $1', [paymentId])
    const look = recoverPayment(worker.deps, paymentId)
    await looking.wait()
    expect(await review(paymentId)).toMatchObject({
      status: 409,
      body: { code: 'payment-not-in-review', state: 'needs_review' },
    })
    goOn.open()
    await look
    expect(await review(paymentId)).toMatchObject({ status: 200 })
  })

  it('says so where the gateway is away, and the payment is looked at when it is back', async () => {
    const { paymentId } = await openInReview()
    const shut = await world.replica('shut', {
      layers: () => ({
        gatewayGate: {
          forRequests: (_, work) => work(),
          forRecovery: async () => ({ reason: 'away', retryAfterSeconds: 1 }) as never,
        },
      }),
    })
    const its = await world.api(shut)
    const response = await fetch(`${its.url}/v1/payments/${paymentId}/review`, {
      method: 'POST',
      headers: { authorization: `Bearer ${owner.apiKey}`, 'idempotency-key': randomUUID() },
    })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await world.sql('SELECT next_attempt_at <= now() AS due FROM payments WHERE id = $1', [paymentId])).toEqual([
      { due: true },
    ])
  })
})

it('GET /v1/payments?state= lists the payments of one state, page by page', async () => {
  const { paymentId } = await openInReview()
  const listed = await ask('GET', '/v1/payments?state=needs_review&limit=100')
  expect(listed.body.items).toContainEqual(expect.objectContaining({ id: paymentId, state: 'needs_review' }))
  expect(listed.body.items?.filter((item) => 'state' in item && item.state !== 'needs_review')).toEqual([])
  expect((await ask('GET', '/v1/payments?state=needs_review', stranger)).body.items).toEqual([])
  expect(await ask('GET', '/v1/payments?state=lost')).toMatchObject({ status: 400, body: { code: 'invalid-request' } })
})

it("a payment in review is settled by the gateway's event as any other", async () => {
  const payment = await openInReview()
  expect(await api.deliver(intentEvent(payment, 'payment_intent.succeeded'))).toMatchObject({
    body: { result: 'applied' },
  })
  expect(await booksOf(world, payment.orderId)).toMatchObject({ order: 'paid', payment: 'succeeded', charges: 1 })
})
