import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judgedAfterMs, readStandingDifferences, reconcile } from '../src/index.ts'
import { hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { dispute } from './dispute-support.ts'
import {
  keptIn,
  openReconciler,
  openStranger,
  type Reconciler,
  repairsIn,
  type Stranger,
  stateIn,
} from './reconcile-support.ts'
import { bankDecides, booksOf, openPaid, refund, refundsAtGateway } from './refund-support.ts'
import { accountId, brief, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let worker: Replica
let stranger: Stranger
let reconciler: Reconciler

beforeAll(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
  worker = await shop.replica('worker-1')
  stranger = openStranger(shop)
  reconciler = openReconciler(worker, stranger.gateway)
})
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

const repairsOf = (orderId: string) => repairsIn(shop, orderId)
const stateOf = (orderId: string) => stateIn(shop, orderId)
const keptFor = (orderId: string) => keptIn(shop, orderId)

describe('what agrees', () => {
  it('is not found: a payment, a part given back, a decline, a hold, a hold that was let go of', async () => {
    const paid = await openPaid(api)
    await refund(api, paid.paymentId, 1_000)
    const orders = [paid.orderId]
    const declined = await api.createOrder()
    await api.pay(declined, randomUUID(), 'pm_card_visa_chargeDeclined')
    const held = await api.createOrder()
    await api.authorize(held)
    orders.push(declined, held)
    const run = await reconciler.run('report')
    expect(orders.flatMap((orderId) => run.about(orderId))).toEqual([])
  })
})

describe('a second charge that stands, by a zombie that confirmed an intent of its own', () => {
  it('is reported and left alone, until the run is told to act; then it is given back, once', async () => {
    const { orderId, paymentId } = await openPaid(api)
    await stranger.charge(orderId)
    expect((await reconciler.run('report')).about(orderId)).toEqual([
      { kind: 'charged-twice', action: 'refund', outcome: null, gateway: 4_200, books: 0 },
    ])
    expect(await keptFor(orderId)).toBe(8_400)

    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ kind: 'charged-twice', outcome: 'done' }])
    expect(await keptFor(orderId)).toBe(4_200)
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    expect(await repairsOf(orderId)).toEqual([{ state: 'succeeded', amount: 4_200 }])
    // The order and its own payment were never touched.
    expect(await booksOf(shop, { orderId, paymentId })).toMatchObject({ order: 'paid', refunded: 0, transfers: [] })
  })

  it('of which a part went back by hand is given back for the rest', async () => {
    const { orderId } = await openPaid(api)
    const { intentId } = await stranger.charge(orderId)
    await stranger.giveBack(intentId, 1_200)
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ outcome: 'done', gateway: 3_000 }])
    expect(await repairsOf(orderId)).toEqual([{ state: 'succeeded', amount: 3_000 }])
  })

  it.each(['the books', 'the gateway'])(
    'is for a person where the first was given back, by %s: then it is the only one that stands',
    async (by) => {
      const { orderId, paymentId } = await openPaid(api)
      await stranger.charge(orderId)
      const [row] = await shop.sql<{ intent: string }>(
        'SELECT gateway_intent_id AS intent FROM payments WHERE id = $1',
        [paymentId],
      )
      if (by === 'the books') await refund(api, paymentId)
      else await stranger.giveBack(row?.intent ?? '', 4_200)
      await reconciler.run('act')
      expect(await keptFor(orderId)).toBe(4_200)
      expect(await repairsOf(orderId)).toEqual([])
    },
  )
})

describe('a second charge of an order whose first is disputed', () => {
  it.each(['open', 'lost'] as const)('is for a person while that dispute is %s', async (state) => {
    const { orderId, paymentId } = await openPaid(api)
    await stranger.charge(orderId)
    const opened = await dispute(shop, { paymentId })
    await opened.deliver(api, 'funds_withdrawn')
    if (state === 'lost') {
      await opened.step('lose')
      await opened.deliver(api, 'closed')
    }
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ kind: 'charged-twice', action: 'person' }])
    expect(await repairsOf(orderId)).toEqual([])
    expect(await keptFor(orderId)).toBe(8_400)
  })

  it('is for a person as well where only the same run learns of the dispute', async () => {
    const { orderId, paymentId } = await openPaid(api)
    await stranger.charge(orderId)
    await dispute(shop, { paymentId })
    const run = await reconciler.run('act')
    expect(run.about(orderId)).toEqual(
      expect.arrayContaining([expect.objectContaining({ kind: 'charged-twice', outcome: 'person' })]),
    )
    expect(await repairsOf(orderId)).toEqual([])
  })

  it('is refunded once that dispute was won', async () => {
    const { orderId, paymentId } = await openPaid(api)
    await stranger.charge(orderId)
    const opened = await dispute(shop, { paymentId })
    await opened.step('win')
    await opened.deliver(api, 'closed')
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ kind: 'charged-twice', outcome: 'done' }])
  })
})

describe('a charge for an order that nobody has paid', () => {
  it('becomes its payment, with all that hangs on one', async () => {
    const orderId = await api.createOrder()
    const { intentId, chargeId } = await stranger.charge(orderId)
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([
      { kind: 'orphan-unpaid-order', action: 'adopt', outcome: 'done' },
    ])
    expect(await stateOf(orderId)).toBe('paid')
    const payments = await shop.sql(
      `SELECT state::text, gateway_intent_id AS intent, gateway_charge_id AS charge,
              (SELECT count(*)::int FROM transfers WHERE payment_id = payments.id AND kind = 'charge') AS booked
         FROM payments WHERE order_id = $1`,
      [orderId],
    )
    expect(payments).toEqual([{ state: 'succeeded', intent: intentId, charge: chargeId, booked: 1 }])
    expect(brief(await api.pay(orderId))).toBe('refused order-already-paid')
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
  })

  it('keeps the name that it has at the gateway', async () => {
    const orderId = await api.createOrder()
    const paymentId = randomUUID()
    await stranger.charge(orderId, { metadata: { paymentId, orderId, accountId } })
    await reconciler.run('act')
    const rows = await shop.sql('SELECT gateway_key AS name FROM payments WHERE order_id = $1', [orderId])
    expect(rows).toEqual([{ name: paymentId }])
  })

  it('is left to a person if an operator has closed it as an orphan', async () => {
    const orderId = await api.createOrder()
    const paymentId = randomUUID()
    await stranger.charge(orderId, { metadata: { paymentId, orderId, accountId } })
    await shop.sql(
      `INSERT INTO orphans (id, kind, order_id, gateway_key, seen, why, found_by, resolved_at, resolution, resolved_by,
                            resolution_reason)
       VALUES ($1, 'payment', $2, $3, 'succeeded', 'x', 'x', now(), 'dismissed', 'ada', 'x')`,
      [randomUUID(), orderId, paymentId],
    )
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ action: 'adopt', outcome: 'person' }])
    expect(await stateOf(orderId)).toBe('pending')
  })

  it('that collects an invoice pays that invoice', async () => {
    const billing = openBillingShop(shop)
    const subscriptionId = await billing.subscribe(api, { card: 'pm_card_chargeCustomerFail' })
    await lead(api, hoursFromNow(1))
    const [declined] = await billing.invoicesOf(subscriptionId)
    expect(declined).toMatchObject({ state: 'open', declines: 1 })
    const orderId = declined?.order_id ?? ''
    await stranger.charge(orderId, { amountMinor: 900 })
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ outcome: 'done' }])
    expect(await billing.invoicesOf(subscriptionId)).toMatchObject([{ state: 'paid' }])
    expect(await stateOf(orderId)).toBe('paid')
  })

  it('of which there are two: one pays it, the other goes back', async () => {
    const orderId = await api.createOrder()
    await stranger.charge(orderId)
    await stranger.charge(orderId)
    await reconciler.run('act')
    await reconciler.run('act')
    expect(await stateOf(orderId)).toBe('paid')
    expect(await keptFor(orderId)).toBe(4_200)
  })

  it.each([
    { what: 'another amount', how: { amountMinor: 4_199 } },
    { what: 'another currency', how: { currency: 'USD' as const } },
  ])('over $what is for a person', async ({ how }) => {
    const orderId = await api.createOrder()
    await stranger.charge(orderId, how)
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([
      { kind: 'orphan-unpaid-order', action: 'person', outcome: null },
    ])
    expect(await stateOf(orderId)).toBe('pending')
  })

  it('that was cancelled is for a person', async () => {
    const orderId = await api.createOrder()
    await api.cancel(orderId)
    await stranger.charge(orderId)
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([
      { kind: 'orphan-cancelled-order', action: 'person', outcome: null },
    ])
  })

  it.each([
    { what: 'an order that we do not have', metadata: { paymentId: randomUUID(), orderId: randomUUID(), accountId } },
    { what: 'no order at all', metadata: { paymentId: 'x', orderId: 'x', accountId: 'x' } },
  ])('that names $what is reported, and nothing else', async ({ metadata }) => {
    const { chargeId } = await stranger.charge('', { metadata })
    expect((await reconciler.run('act')).about(chargeId)).toMatchObject([
      { kind: 'orphan-unknown-order', action: 'person', outcome: null },
    ])
  })

  it("that names another account's order is not taken for that one's", async () => {
    const orderId = await api.createOrder()
    const { chargeId } = await stranger.charge(orderId, {
      metadata: { paymentId: randomUUID(), orderId, accountId: randomUUID() },
    })
    expect((await reconciler.run('act')).about(chargeId)).toMatchObject([{ kind: 'orphan-unknown-order' }])
    expect(await stateOf(orderId)).toBe('pending')
  })
})

describe('an amount on hold that no payment will capture', () => {
  it('is let go of, and never refunded', async () => {
    const { orderId } = await openPaid(api)
    const { intentId } = await stranger.charge(orderId, { captureMethod: 'manual' })
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([
      { kind: 'uncaptured-orphan', action: 'cancel-intent', outcome: 'done' },
    ])
    expect(await stranger.gateway.retrieveIntent(intentId)).toMatchObject({ intent: { status: 'canceled' } })
    expect(await repairsOf(orderId)).toEqual([])
    expect(await refundsAtGateway(shop, orderId)).toEqual([])
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
  })
})

describe('books that differ from the gateway', () => {
  it.each([
    {
      what: 'a charge that the gateway does not have',
      spoil: `gateway_intent_id = 'pi_gone_' || id, gateway_charge_id = 'ch_gone_' || id`,
      expected: [{ kind: 'missing', action: 'person', gateway: 0, books: 4_200 }],
    },
    {
      what: 'another amount',
      spoil: `amount_minor = 4100`,
      expected: [{ kind: 'amount-differs', action: 'person', gateway: 4_200, books: 4_100 }],
    },
    {
      what: 'a payment that ended without money',
      spoil: `state = 'cancelled', gateway_charge_id = NULL`,
      expected: [{ kind: 'row-final-but-charged', action: 'person', gateway: 4_200, books: 0 }],
    },
  ])('$what: for a person', async ({ spoil, expected }) => {
    const { orderId, paymentId } = await openPaid(api)
    // By hand, as no program of ours can.
    await shop.sql('ALTER TABLE payments DISABLE TRIGGER USER')
    await shop.sql(`UPDATE payments SET ${spoil} WHERE id = $1`, [paymentId])
    await shop.sql('ALTER TABLE payments ENABLE TRIGGER USER')
    const about = (await reconciler.run('act')).about(orderId)
    expect(about.filter(({ kind }) => kind !== 'charged-twice' && kind !== 'orphan-unpaid-order')).toMatchObject(
      expected,
    )
    expect(await keptFor(orderId)).toBe(4_200)
  })
})

describe('refunds', () => {
  it('that the bank sent back without our hearing of it are taken back', async () => {
    const paid = await openPaid(api)
    await refund(api, paid.paymentId)
    const { refunds } = await booksOf(shop, paid)
    await bankDecides(shop, refunds[0]?.gatewayRefundId ?? '', 'fail')
    expect((await reconciler.run('report')).about(paid.orderId)).toMatchObject([
      { kind: 'refund-lost', action: 'reverse-refund', outcome: null, gateway: 0, books: 4_200 },
    ])
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded' })
    expect((await reconciler.run('act')).about(paid.orderId)).toMatchObject([{ kind: 'refund-lost', outcome: 'done' }])
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'paid', refunded: 0, refunds: [{ state: 'failed' }] })
    expect((await reconciler.run('act')).about(paid.orderId)).toEqual([])
  })

  it('that our books call failed, or have once, and the gateway gave back all the same, are told', async () => {
    const paid = await openPaid(api)
    const [row] = await shop.sql<{ intent: string }>('SELECT gateway_intent_id AS intent FROM payments WHERE id = $1', [
      paid.paymentId,
    ])
    await refund(api, paid.paymentId, 500)
    const [ours] = await shop.sql<{ name: string }>('SELECT gateway_key AS name FROM refunds WHERE payment_id = $1', [
      paid.paymentId,
    ])
    await stranger.giveBack(row?.intent ?? '', 500, { refundId: ours?.name ?? '' })
    await stranger.giveBack(row?.intent ?? '', 300, { refundId: randomUUID() })
    const kinds = (await reconciler.run('act')).about(paid.orderId).map(({ kind }) => kind)
    expect(kinds.toSorted()).toEqual(['refund-unbooked', 'refunded-twice'])
  })

  it('that the gateway does not have are told', async () => {
    const paid = await openPaid(api)
    await refund(api, paid.paymentId, 500)
    await shop.sql('ALTER TABLE refunds DISABLE TRIGGER USER')
    await shop.sql(`UPDATE refunds SET gateway_refund_id = 're_gone' WHERE payment_id = $1`, [paid.paymentId])
    await shop.sql('ALTER TABLE refunds ENABLE TRIGGER USER')
    const kinds = (await reconciler.run('act')).about(paid.orderId).map(({ kind }) => kind)
    expect(kinds.toSorted()).toEqual(['refund-missing', 'refunded-twice'])
  })
})

describe('a run', () => {
  it('judges nothing that is younger than the last chance of its last owner', async () => {
    const { orderId } = await openPaid(api)
    const { chargeId } = await stranger.charge(orderId)
    const patient = openReconciler(worker, stranger.gateway, { judgedAfterMs: judgedAfterMs({ leaseMs: 60_000 }) })
    expect((await patient.run('act')).about(chargeId)).toEqual([])
    expect(await keptFor(orderId)).toBe(8_400)
    await reconciler.run('act')
  })

  it('over the last week says what stands today; one over a time that somebody chose does not', async () => {
    const { chargeId } = await stranger.charge('', {
      metadata: { paymentId: '', orderId: randomUUID(), accountId },
    })
    expect((await reconciler.run('report')).about(chargeId)).toHaveLength(1)
    const standing = await readStandingDifferences(worker.database)
    expect(standing.byKind['orphan-unknown-order']).toBeGreaterThan(0)
    const to = new Date(Date.now() - 7_200_000)
    const from = new Date(to.getTime() - 3_600_000)
    expect(await reconcile(reconciler.deps, { mode: 'report', from, to })).toMatchObject({ kind: 'finished' })
    expect(await readStandingDifferences(worker.database)).toEqual(standing)
  })
})
