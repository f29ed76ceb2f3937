import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { applyGatewayEvent, enterRefundAsOperator } from '../src/index.ts'
import { atConsole, deliverEvent, eventAbout, intentOf } from './gateway-console.ts'
import { losesFirstAnswer } from './hooked-transaction.ts'
import { openReconciler, openStranger, type Stranger } from './reconcile-support.ts'
import { booksOf, openWebhookEndpoint, refund } from './refund-support.ts'
import { bodyOf, brief, openShop, paymentIdOf, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let stranger: Stranger

beforeAll(async () => {
  shop = await openShop()
  api = await shop.replica('payments-api-1')
  stranger = openStranger(shop)
  await openWebhookEndpoint(shop)
})
beforeEach(() => shop.faults())
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

async function authorized() {
  const orderId = await api.createOrder(4_200)
  const paymentId = paymentIdOf(await api.authorize(orderId))
  return { orderId, paymentId, intentId: await intentOf(shop, paymentId) }
}

async function taken(paymentId: string) {
  const [row] = await shop.sql(
    `SELECT payments.state, captured_minor AS captured, orders.state AS "order",
            (SELECT amount_minor FROM transfers WHERE payment_id = payments.id AND kind = 'charge') AS booked,
            (SELECT count(*)::int FROM outbox WHERE subject_id = payments.id AND topic = 'payment.succeeded') AS told
       FROM payments JOIN orders ON orders.id = order_id WHERE payments.id = $1`,
    [paymentId],
  )
  return row
}

const inPart = { state: 'succeeded', captured: 3_000, order: 'paid', booked: 3_000, told: 1 }

describe("an authorization of which a part is captured at the gateway's console", () => {
  it('is paid with that part, by its event', async () => {
    const { paymentId, intentId } = await authorized()
    await atConsole(shop, intentId, 'capture', 3_000)
    expect(await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)).toBe('applied')
    expect(await taken(paymentId)).toEqual(inPart)
    expect(await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)).toBe('repeated')
  })

  it('is paid with that part, by the look of a capture or a void that comes later', async () => {
    for (const step of ['capture', 'void'] as const) {
      const { paymentId, intentId } = await authorized()
      await atConsole(shop, intentId, 'capture', 3_000)
      const result = await api[step](paymentId)
      expect(bodyOf(result)).toMatchObject({ outcome: { state: 'succeeded', capturedMinor: 3_000 } })
      expect(await taken(paymentId)).toEqual(inPart)
    }
  })

  it('can be refunded up to that part, and no further', async () => {
    const { orderId, paymentId, intentId } = await authorized()
    await atConsole(shop, intentId, 'capture', 3_000)
    await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)
    expect(brief(await refund(api, paymentId, 3_001))).toBe('refused refund-exceeds-payment')
    expect(brief(await refund(api, paymentId, 1_000))).toBe('answered 201')
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'partially_refunded', refunded: 1_000 })
    expect(brief(await refund(api, paymentId))).toBe('answered 201')
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'refunded', refunded: 3_000 })
  })

  it('does not differ for reconciliation', async () => {
    const { orderId, paymentId, intentId } = await authorized()
    await atConsole(shop, intentId, 'capture', 3_000)
    await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)
    const reconciler = openReconciler(api, stranger.gateway)
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    // Stripe shows the release of the rest as a refund.
    const { id: releaseId } = await atConsole(shop, intentId, 'refund', 1_200)
    expect(await deliverEvent(shop, api, 'refund.created', releaseId)).toBe('noted')
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'paid', refunded: 0 })
  })

  it('is refunded by the second refund of as much as was released, and by one that comes later', async () => {
    const { orderId, paymentId, intentId } = await authorized()
    await atConsole(shop, intentId, 'capture', 3_000)
    await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)
    const { id: releaseId } = await atConsole(shop, intentId, 'refund', 1_200)
    const { id } = await atConsole(shop, intentId, 'refund', 1_200)
    expect(await deliverEvent(shop, api, 'refund.created', releaseId)).toBe('noted')
    expect(await deliverEvent(shop, api, 'refund.created', releaseId)).toBe('noted')
    expect(await deliverEvent(shop, api, 'refund.created', id)).toBe('applied')
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'partially_refunded', refunded: 1_200 })
    const reconciler = openReconciler(api, stranger.gateway)
    expect((await reconciler.run('act')).about(orderId)).toEqual([])

    const later = await authorized()
    await atConsole(shop, later.intentId, 'capture', 3_000)
    await deliverEvent(shop, api, 'payment_intent.succeeded', later.intentId)
    const { id: refundId } = await atConsole(shop, later.intentId, 'refund', 1_200)
    const event = await eventAbout(shop, 'refund.created', refundId)
    const { subject } = event
    if (subject.kind !== 'refund' || subject.shown === null) throw new Error('it is about no refund')
    const shown = { ...subject.shown, createdAt: new Date(Date.now() + 3_600_000) }
    expect(await applyGatewayEvent(api.deps, { ...event, subject: { ...subject, shown } })).toBe('applied')
    expect(await booksOf(shop, later)).toMatchObject({ refunded: 1_200 })
  })

  it('is refunded by what an operator enters, though it had been taken for the release', async () => {
    const { orderId, paymentId, intentId } = await authorized()
    await atConsole(shop, intentId, 'capture', 3_000)
    await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)
    const { id } = await atConsole(shop, intentId, 'refund', 1_200)
    expect(await deliverEvent(shop, api, 'refund.created', id)).toBe('noted')
    const parts = { payments: api.deps, gateway: stranger.gateway }
    const other = await authorized()
    expect(await enterRefundAsOperator(parts, other.paymentId, id)).toMatchObject({ kind: 'left' })
    expect(await enterRefundAsOperator(parts, paymentId, 're_unknown')).toMatchObject({ kind: 'left' })
    expect(await enterRefundAsOperator(parts, orderId, id)).toEqual({ kind: 'not-found' })
    expect(await enterRefundAsOperator(parts, paymentId, id)).toEqual({ kind: 'entered' })
    expect(await enterRefundAsOperator(parts, paymentId, id)).toEqual({ kind: 'in-our-books', state: 'succeeded' })
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'partially_refunded', refunded: 1_200 })
  })

  it('is refunded once by what an operator enters, who learns it though the COMMIT was not answered', async () => {
    const { orderId, paymentId, intentId } = await authorized()
    await atConsole(shop, intentId, 'capture', 3_000)
    await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)
    const { id } = await atConsole(shop, intentId, 'refund', 1_200)
    const deaf = await shop.replica('deaf', { database: losesFirstAnswer })
    const entered = await enterRefundAsOperator({ payments: deaf.deps, gateway: stranger.gateway }, paymentId, id)
    expect(deaf.faults).toMatchObject([{ code: 'commit-unknown' }])
    expect(entered).toEqual({ kind: 'in-our-books', state: 'succeeded' })
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'partially_refunded', refunded: 1_200 })
  })
})

describe("an authorization that is ended at the gateway's console", () => {
  it('by a capture of all is paid, and by a cancellation is voided', async () => {
    const captured = await authorized()
    await atConsole(shop, captured.intentId, 'capture')
    expect(await deliverEvent(shop, api, 'payment_intent.succeeded', captured.intentId)).toBe('applied')
    expect(await taken(captured.paymentId)).toEqual({ ...inPart, captured: null, booked: 4_200 })

    const cancelled = await authorized()
    await atConsole(shop, cancelled.intentId, 'cancel')
    expect(await deliverEvent(shop, api, 'payment_intent.canceled', cancelled.intentId)).toBe('applied')
    expect(await taken(cancelled.paymentId)).toMatchObject({ state: 'voided', order: 'pending', booked: null })
    expect(brief(await api.pay(cancelled.orderId))).toBe('answered 201')
  })
})
