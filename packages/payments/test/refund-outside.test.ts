import { randomUUID } from 'node:crypto'
import { raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { recordRefundOutside } from '../src/index.ts'
import { dispute } from './dispute-support.ts'
import { atConsole, deliverEvent, intentOf } from './gateway-console.ts'
import { losesFirstAnswer } from './hooked-transaction.ts'
import { openReconciler, openStranger, type Stranger } from './reconcile-support.ts'
import { booksOf, openPaid, openWebhookEndpoint, refund, refundsAtGateway, toldAbout } from './refund-support.ts'
import { brief, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let stranger: Stranger

beforeAll(async () => {
  shop = await openShop({ refundChangeMs: 3_600_000 })
  api = await shop.replica('payments-api-1')
  stranger = openStranger(shop)
  await openWebhookEndpoint(shop)
})
beforeEach(() => shop.faults())
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

const ada = { name: 'Ada', reason: 'by bank transfer of 2 December' }
const record = (paymentId: string, amountMinor: number | null = null) =>
  recordRefundOutside(api.deps, { paymentId, amountMinor }, ada)

describe('money that an operator returned outside of the gateway', () => {
  it('is recorded as such, with name and reason, and nothing is asked of the gateway', async () => {
    const paid = await openPaid(api)
    const recorded = await record(paid.paymentId)
    if (recorded.kind !== 'recorded') throw new Error(JSON.stringify(recorded))
    const { id } = recorded.refund
    expect(recorded.refund).toMatchObject({ origin: 'operator', state: 'succeeded', reason: ada.reason })
    expect(await booksOf(shop, paid)).toMatchObject({
      ...{ order: 'refunded', refunded: 4_200, pending: 0 },
      refunds: [{ id, state: 'succeeded', amountMinor: 4_200, gatewayRefundId: null }],
      transfers: [{ kind: 'refund', debit: expect.stringMatching(/^merchant:/), credit: 'operator', amount: 4_200 }],
    })
    const lines = await shop.sql(
      `SELECT actor, detail FROM payment_events WHERE refund_id = $1 AND event = 'operator'`,
      [id],
    )
    expect(lines).toEqual([{ actor: 'Ada', detail: `refunded outside of the gateway: ${ada.reason}` }])
    expect(await toldAbout(shop, id)).toEqual(['refund.succeeded'])
    expect(await refundsAtGateway(shop, paid.orderId)).toEqual([])
    expect(brief(await refund(api, paid.paymentId))).toBe('refused refund-exceeds-payment')
  })

  it('in part leaves the rest to be refunded by the gateway', async () => {
    const paid = await openPaid(api)
    expect(await record(paid.paymentId, 1_200)).toMatchObject({ kind: 'recorded' })
    expect(brief(await refund(api, paid.paymentId))).toBe('answered 201')
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200 })
    expect(await refundsAtGateway(shop, paid.orderId)).toMatchObject([{ amountMinor: 3_000 }])
  })

  it('never exceeds the payment, though commands come at once', async () => {
    const paid = await openPaid(api)
    const results = valuesOf(await raceCopies(5, () => record(paid.paymentId, 3_000)))
    expect(results.filter(({ kind }) => kind === 'recorded')).toHaveLength(1)
    expect(results).toContainEqual({ kind: 'not-recorded', why: '1200 minor units of it are left to refund' })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 3_000 })
  })

  it.each([
    ['in part', 1_200],
    ['in full', null],
  ])('%s is recorded once, though its COMMIT was not answered', async (name, amountMinor) => {
    const paid = await openPaid(api)
    const deaf = await shop.replica(`deaf ${name}`, { database: losesFirstAnswer })
    const recorded = await recordRefundOutside(deaf.deps, { paymentId: paid.paymentId, amountMinor }, ada)
    expect(deaf.faults).toMatchObject([{ code: 'commit-unknown' }])
    const booked = amountMinor ?? 4_200
    expect(await booksOf(shop, paid)).toMatchObject({
      refunded: booked,
      refunds: [{ amountMinor: booked }],
      transfers: [{ amount: booked }],
    })
    const [line] = await shop.sql<{ id: string }>('SELECT id FROM refunds WHERE payment_id = $1', [paid.paymentId])
    expect(recorded).toMatchObject({ kind: 'recorded', refund: { id: line?.id, amountMinor: booked } })
    expect(await toldAbout(shop, line?.id ?? '')).toEqual(['refund.succeeded'])
  })

  it('is not recorded while the gateway may still refund the same money', async () => {
    const paid = await openPaid(api)
    await shop.faults({ on: 'refund', kind: 'drop-after', rate: 1, metadata: { orderId: paid.orderId } })
    expect(brief(await refund(api, paid.paymentId, 1_000))).toBe('unsettled')
    expect(await record(paid.paymentId)).toEqual({
      ...{ kind: 'not-recorded', why: 'the outcome of another refund is not known yet' },
    })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 0, pending: 1_000 })
  })

  it('is not recorded while the gateway has a refund of the order that our books do not', async () => {
    const paid = await openPaid(api)
    await shop.sql(
      `INSERT INTO orphans (id, kind, order_id, order_reference, gateway_refund_id, seen, why, found_by)
       VALUES ($1, 'refund', $2, 'a lost one', 're_lost', 'succeeded', 'its row was lost', 'test')`,
      [randomUUID(), paid.orderId],
    )
    expect(await record(paid.paymentId)).toMatchObject({
      kind: 'not-recorded',
      why: expect.stringContaining('orphans'),
    })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 0 })
  })

  it('is not recorded of a payment that took nothing, or that is not there', async () => {
    const orderId = await api.createOrder()
    await api.pay(orderId, randomUUID(), 'pm_card_chargeDeclined')
    const [declined] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    expect(await record(declined?.id ?? '')).toEqual({ kind: 'not-recorded', why: 'it is declined' })
    expect(await record(randomUUID())).toEqual({ kind: 'not-found' })
  })

  it('is not recorded of a payment with an open dispute, or of which a lost one left nothing', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    await opened.deliver(api, 'funds_withdrawn')
    expect(await record(paid.paymentId)).toEqual({
      kind: 'not-recorded',
      why: 'its dispute is open and decides about the money: repeat the command if the dispute is won',
    })
    await opened.step('lose')
    await opened.deliver(api, 'closed')
    expect(await record(paid.paymentId)).toEqual({
      kind: 'not-recorded',
      why: 'its dispute was lost, which returned all that was left of it',
    })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 0 })
  })

  it('may be an amount that the gateway cannot return in this currency', async () => {
    const paid = await openPaid(api, 'pm_card_visa', 'ISK')
    expect(await record(paid.paymentId, 150)).toMatchObject({ kind: 'recorded', refund: { amountMinor: 150 } })
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'partially_refunded', refunded: 150 })
    expect(await record(paid.paymentId)).toMatchObject({ kind: 'recorded', refund: { amountMinor: 4_050 } })
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200 })
  })

  it('is no difference for reconciliation; refunded at the console as well, it is reported', async () => {
    const paid = await openPaid(api)
    await record(paid.paymentId)
    const reconciler = openReconciler(api, stranger.gateway)
    expect((await reconciler.run('report')).about(paid.orderId)).toEqual([])
    const { id } = await atConsole(shop, await intentOf(shop, paid.paymentId), 'refund')
    await deliverEvent(shop, api, 'refund.created', id)
    expect(api.faults.map(String)).toContainEqual(expect.stringContaining('gave back more than our books have left'))
    expect((await reconciler.run('report')).about(id)).toMatchObject([{ gateway: 4_200 }])
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 4_200 })
  })
})
