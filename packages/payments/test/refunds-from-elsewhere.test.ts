import { createLatch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { applyGatewayEvent, failMissingRefund, recoverRefund } from '../src/index.ts'
import { atConsole, deliverEvent, eventAbout, intentOf } from './gateway-console.ts'
import { openReconciler, openStranger, type Stranger } from './reconcile-support.ts'
import {
  bankDecides,
  booksOf,
  letRefundsAge,
  openPaid,
  openWebhookEndpoint,
  type Paid,
  recoverRefunds,
  refund,
  refundsAtGateway,
  toldAbout,
} from './refund-support.ts'
import { bodyOf, brief, letLeasesRunOut, openShop, paymentIdOf, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let worker: Replica
let stranger: Stranger

beforeAll(async () => {
  shop = await openShop({ refundChangeMs: 3_600_000 })
  api = await shop.replica('payments-api-1')
  worker = await shop.replica('worker-1')
  stranger = openStranger(shop)
  await openWebhookEndpoint(shop)
})
beforeEach(() => shop.faults())
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

async function refundedAtConsole(paid: Paid, amount?: number): Promise<string> {
  return (await atConsole(shop, await intentOf(shop, paid.paymentId), 'refund', amount)).id
}

/** `by`: who made each refund, in the order in which our books learned of them. */
async function books(paid: Paid) {
  const { order, refunded, pending, refunds, transfers } = await booksOf(shop, paid)
  const rows = await shop.sql<{ origin: string }>('SELECT origin FROM refunds WHERE payment_id = $1 ORDER BY id', [
    paid.paymentId,
  ])
  return {
    order,
    refunded,
    pending,
    refunds: refunds.map(({ amountMinor, state }, at) => `${rows[at]?.origin} ${amountMinor} ${state}`),
    transfers: transfers.map(({ kind, amount }) => `${kind} ${amount}`),
  }
}

const untouched = { order: 'paid', refunded: 0, pending: 0, refunds: [], transfers: [] }

describe("an event about a refund that was made at the gateway's console", () => {
  it('enters it: amounts, order, transfer, history, and the message to the merchant', async () => {
    const paid = await openPaid(api)
    const part = await refundedAtConsole(paid, 700)
    expect(await deliverEvent(shop, api, 'refund.created', part)).toBe('applied')
    expect(await books(paid)).toEqual({
      order: 'partially_refunded',
      refunded: 700,
      pending: 0,
      refunds: ['gateway 700 succeeded'],
      transfers: ['refund 700'],
    })
    const rest = await refundedAtConsole(paid)
    expect(await deliverEvent(shop, api, 'refund.created', rest)).toBe('applied')
    expect(await books(paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
    for (const { id } of (await booksOf(shop, paid)).refunds)
      expect(await toldAbout(shop, id)).toEqual(['refund.succeeded'])
    const history = await shop.sql<{ event: string }>(
      `SELECT event FROM payment_events WHERE payment_id = $1 AND event IN ('gateway-event', 'refunded-elsewhere')`,
      [paid.paymentId],
    )
    expect(history).toHaveLength(4)
    expect(brief(await refund(api, paid.paymentId))).toBe('refused refund-exceeds-payment')
  })

  it('enters it once, though copies come at once beside a look that shows the same refund', async () => {
    const paid = await openPaid(api)
    const gatewayId = await refundedAtConsole(paid)
    const event = await eventAbout(shop, 'refund.created', gatewayId)
    const deliveries = raceCopies(8, (copy) => applyGatewayEvent((copy % 2 ? api : worker).deps, event))
    const [asked, results] = await Promise.all([refund(api, paid.paymentId), deliveries])
    expect(['answered 402', 'refused refund-exceeds-payment', 'refused payment-in-progress']).toContain(brief(asked))
    const delivered = valuesOf(results)
    // Those that met our own refund are delivered again by the gateway.
    if (delivered.every((result) => result === 'contended')) await applyGatewayEvent(api.deps, event)
    expect(await books(paid)).toMatchObject({ order: 'refunded', refunded: 4_200, transfers: ['refund 4200'] })
    expect(await applyGatewayEvent(api.deps, event)).toMatch(/repeated|noted/)
  })

  it('enters it if another program wrote a refundId that is none of ours, as does reconciliation', async () => {
    const [paid, other] = [await openPaid(api), await openPaid(api)]
    const refundOf = async ({ paymentId }: Paid) =>
      stranger.giveBack(await intentOf(shop, paymentId), 700, { refundId: 'R-77' })
    expect(await deliverEvent(shop, api, 'refund.created', await refundOf(paid))).toBe('applied')
    await refundOf(other)
    await openReconciler(worker, stranger.gateway).run('act')
    for (const each of [paid, other])
      expect(await books(each)).toMatchObject({ refunded: 700, refunds: ['gateway 700 succeeded'] })
  })

  it('of the whole of another payment, or of an intent that we do not have, changes nothing', async () => {
    const order = await api.createOrder()
    const { intentId } = await stranger.charge(order)
    const { id } = await atConsole(shop, intentId, 'refund')
    expect(await deliverEvent(shop, api, 'refund.created', id)).toBe('ignored')
  })

  it('waits for the payment to be settled, which it makes recovery do now', async () => {
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1 })
    const orderId = await api.createOrder(4_200)
    expect(brief(await api.pay(orderId))).toBe('unsettled')
    const [row] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    const paid = { orderId, paymentId: row?.id ?? '' }
    const gatewayId = await refundedAtConsole(paid, 700)
    expect(await deliverEvent(shop, api, 'refund.created', gatewayId)).toBe('contended')
    const [woken] = await shop.sql(
      'SELECT 1 FROM payments WHERE id = $1 AND wake_requested AND next_attempt_at <= now()',
      [paid.paymentId],
    )
    expect(woken).toBeDefined()
    expect(await deliverEvent(shop, api, 'payment_intent.succeeded', await intentOf(shop, paid.paymentId))).toBe(
      'applied',
    )
    expect(await deliverEvent(shop, api, 'refund.created', gatewayId)).toBe('applied')
    expect(await books(paid)).toMatchObject({ order: 'partially_refunded', refunded: 700 })
    await letLeasesRunOut(shop)
  })

  it('waits for a refund of ours that reserves the same money, and whose refusal then shows it', async () => {
    const paid = await openPaid(api)
    const [reached, goOn] = [createLatch('reached the gateway'), createLatch('goes on')]
    const slow = await shop.replica('slow', {
      gateway: (real) => ({
        ...real,
        createRefund: async (...asked) => {
          reached.open()
          await goOn.wait()
          return real.createRefund(...asked)
        },
      }),
    })
    const refunding = refund(slow, paid.paymentId)
    await reached.wait()
    const gatewayId = await refundedAtConsole(paid, 700)
    expect(await deliverEvent(shop, api, 'refund.created', gatewayId)).toBe('contended')
    goOn.open()
    expect(brief(await refunding)).toBe('answered 402')
    expect(await books(paid)).toMatchObject({
      order: 'partially_refunded',
      refunded: 700,
      pending: 0,
      refunds: ['merchant 4200 failed', 'gateway 700 succeeded'],
    })
    expect(await deliverEvent(shop, api, 'refund.created', gatewayId)).toBe('noted')
  })

  it('for which our books have no room changes nothing, and a person learns of it', async () => {
    const paid = await openPaid(api)
    await refund(api, paid.paymentId)
    const [ours] = (await booksOf(shop, paid)).refunds
    await bankDecides(shop, ours?.gatewayRefundId ?? '', 'fail')
    const gatewayId = await refundedAtConsole(paid)
    const faults = api.faults.length
    expect(await deliverEvent(shop, api, 'refund.created', gatewayId)).toBe('noted')
    expect(api.faults.slice(faults)).toHaveLength(1)
    expect(await books(paid)).toMatchObject({
      order: 'refunded',
      refunded: 4_200,
      refunds: ['merchant 4200 succeeded'],
    })
    // The event of the failure makes room, and reconciliation enters what was left out.
    expect(await deliverEvent(shop, api, 'refund.failed', ours?.gatewayRefundId ?? '')).toBe('applied')
    await openReconciler(worker, stranger.gateway).run('act')
    expect(await books(paid)).toMatchObject({ order: 'refunded', refunded: 4_200 })
    expect((await books(paid)).refunds).toContain('gateway 4200 succeeded')
  })
})

describe('a pending refund that was made at the console', () => {
  it('reserves its amount, and is looked at until it has succeeded', async () => {
    const paid = await openPaid(api, 'pm_card_pendingRefund')
    const gatewayId = await refundedAtConsole(paid, 700)
    expect(await deliverEvent(shop, api, 'refund.created', gatewayId)).toBe('applied')
    expect(await books(paid)).toMatchObject({ order: 'paid', refunded: 0, pending: 700 })
    await bankDecides(shop, gatewayId, 'succeed')
    await recoverRefunds(shop, paid, worker)
    expect(await books(paid)).toMatchObject({ order: 'partially_refunded', refunded: 700, pending: 0 })
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('frees its amount when it fails, by event or by look', async () => {
    for (const learns of ['event', 'look']) {
      const paid = await openPaid(api, 'pm_card_pendingRefund')
      const gatewayId = await refundedAtConsole(paid, 700)
      await deliverEvent(shop, api, 'refund.created', gatewayId)
      await bankDecides(shop, gatewayId, 'fail')
      if (learns === 'event') expect(await deliverEvent(shop, api, 'refund.failed', gatewayId)).toBe('applied')
      else await recoverRefunds(shop, paid, worker)
      expect(await books(paid)).toMatchObject({ ...untouched, refunds: ['gateway 700 failed'] })
    }
  })
})

it('a refund from the console that the bank sends back is reversed', async () => {
  const paid = await openPaid(api)
  const gatewayId = await refundedAtConsole(paid)
  await deliverEvent(shop, api, 'refund.created', gatewayId)
  await bankDecides(shop, gatewayId, 'fail')
  expect(await deliverEvent(shop, api, 'refund.failed', gatewayId)).toBe('applied')
  expect(await books(paid)).toMatchObject({
    order: 'paid',
    refunded: 0,
    refunds: ['gateway 4200 failed'],
    transfers: ['refund 4200', 'refund_reversal 4200'],
  })
})

describe('a refund of ours, while the books do not know of one from the console,', () => {
  it('of all that is left is refused once; then the rest is refunded, and all is back exactly', async () => {
    const paid = await openPaid(api)
    await refundedAtConsole(paid, 700)
    expect(bodyOf(await refund(api, paid.paymentId))).toMatchObject({ outcome: { state: 'failed' } })
    expect(await books(paid)).toMatchObject({ order: 'partially_refunded', refunded: 700, pending: 0 })
    expect(brief(await refund(api, paid.paymentId))).toBe('answered 201')
    expect(await books(paid)).toMatchObject({ order: 'refunded', refunded: 4_200 })
    const given = (await refundsAtGateway(shop, paid.orderId)).map(({ amountMinor }) => amountMinor)
    expect(given).toEqual([700, 3_500])
  })

  it('learns of several at once', async () => {
    const paid = await openPaid(api)
    for (const amount of [100, 200, 300]) await refundedAtConsole(paid, amount)
    expect(brief(await refund(api, paid.paymentId))).toBe('answered 402')
    expect(await books(paid)).toMatchObject({ refunded: 600, transfers: ['refund 100', 'refund 200', 'refund 300'] })
  })

  it('that recovery finds lost, and an operator closes, brings them in as well', async () => {
    const paid = await openPaid(api)
    await shop.faults(
      { on: 'refund', kind: 'drop-before', rate: 1 },
      { on: 'list-refunds', kind: 'drop-before', rate: 1 },
    )
    expect(brief(await refund(api, paid.paymentId))).toBe('unsettled')
    await shop.faults()
    await refundedAtConsole(paid)
    await letRefundsAge(shop, paid, '25 hours')
    // A look that finds no room for what it saw leaves a pause: recovery would look for ever.
    while (await recoverRefund(worker.deps));
    const [ours] = (await booksOf(shop, paid)).refunds
    expect(ours?.state).toBe('needs_review')
    const parts = { payments: worker.deps, gateway: stranger.gateway, command: 'review --fail' }
    expect(await failMissingRefund(parts, ours?.id ?? '')).toMatchObject({ kind: 'ended', state: 'failed' })
    expect(await books(paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
  })
})

describe('reconciliation', () => {
  it('reports a refund from the console, enters it when it may act, and then finds nothing', async () => {
    const paid = await openPaid(api)
    await refundedAtConsole(paid, 700)
    const reconciler = openReconciler(worker, stranger.gateway)
    expect((await reconciler.run('report')).about(paid.orderId)).toMatchObject([
      { kind: 'refunded-elsewhere', action: 'enter-refund', outcome: null },
    ])
    expect(await books(paid)).toEqual(untouched)
    expect((await reconciler.run('act')).about(paid.orderId)).toMatchObject([
      { kind: 'refunded-elsewhere', outcome: 'done', gateway: 700 },
    ])
    expect(await books(paid)).toMatchObject({ order: 'partially_refunded', refunded: 700 })
    expect((await reconciler.run('act')).about(paid.orderId)).toEqual([])
  })

  it('does not take a released authorization for a refund', async () => {
    const order = await api.createOrder()
    const paymentId = paymentIdOf(await api.authorize(order))
    await api.void(paymentId)
    expect((await openReconciler(worker, stranger.gateway).run('act')).about(order)).toEqual([])
  })
})
