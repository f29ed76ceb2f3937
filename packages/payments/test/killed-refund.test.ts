import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { recoverRefund } from '../src/index.ts'
import { bothSidesOf, createMortal } from './crash-points.ts'
import {
  bankDecides,
  booksOf,
  letRefundLeasesRunOut,
  openPaid,
  type Paid,
  refund,
  refundsAtGateway,
} from './refund-support.ts'
import { bodyOf, brief, openShop, type Replica, type Shop } from './shop.ts'

/**
 * Every step of a refund: a process is killed just before it and just after it, another one is there, the client asks again
 * with its key, and hears the one true answer. Each table is compared with what really happens.
 */
let shop: Shop
/** The process that is still there. */
let api: Replica

beforeAll(async () => {
  shop = await openShop({ refundChangeMs: 3_600_000 })
  api = await shop.replica('api-1')
})
afterEach(() => shop.closeReplicas('mortal-'))
afterAll(() => shop?.close())

let processes = 0
async function mortalReplica() {
  const mortal = createMortal()
  return { mortal, replica: await shop.replica(`mortal-${++processes}`, mortal.parts) }
}

const amountMinor = 1_000
const given = { order: 'partially_refunded', refunded: amountMinor, pending: 0, atGateway: ['succeeded'] }
const underWay = { order: 'paid', refunded: 0, pending: amountMinor, atGateway: ['pending'] }

async function endOf(paid: Paid) {
  const { order, refunded, pending, refunds, transfers } = await booksOf(shop, paid)
  expect(refunds).toHaveLength(1)
  expect(transfers.map(({ kind, amount }) => [kind, amount])).toEqual(refunded ? [['refund', refunded]] : [])
  const atGateway = (await refundsAtGateway(shop, paid.orderId)).map(({ status }) => status)
  return { order, refunded, pending, atGateway }
}

// Looks up the order and the key; claims; asks; settles.
const steps = ['statement 1', 'statement 2', 'commit 1', 'createRefund 1', 'commit 2']

describe.each([
  { name: 'a refund', card: 'pm_card_visa', end: given },
  { name: 'a refund that the bank takes its time for', card: 'pm_card_pendingRefund', end: underWay },
])('$name', ({ card, end }) => {
  it('touches the world at exactly these points', async () => {
    const { mortal, replica } = await mortalReplica()
    const { paymentId } = await openPaid(api, card)
    expect(await mortal.passedBy(() => refund(replica, paymentId, amountMinor))).toEqual(bothSidesOf(...steps))
  })

  it.each(bothSidesOf(...steps))(
    'killed %s: the same key brings the one true answer, and it happened once',
    async (point) => {
      const { mortal, replica } = await mortalReplica()
      const paid = await openPaid(api, card)
      const key = randomUUID()
      await mortal.dieAt(point, () => refund(replica, paid.paymentId, amountMinor, key))
      await letRefundLeasesRunOut(shop, paid)
      const first = await refund(api, paid.paymentId, amountMinor, key)
      expect(brief(first)).toBe('answered 201')
      expect(await refund(api, paid.paymentId, amountMinor, key)).toEqual({ ...first, replayed: true })
      expect(await endOf(paid)).toEqual(end)
    },
  )
})

async function dueNow(paid: Paid) {
  await letRefundLeasesRunOut(shop, paid)
  const { refunds } = await booksOf(shop, paid)
  return { paid, id: refunds[0]?.id ?? '' }
}

/** Somebody claimed a refund, and died before it asked for it. */
async function leftBehind() {
  const paid = await openPaid(api)
  const { mortal, replica } = await mortalReplica()
  await mortal.dieAt('after commit 1', () => refund(replica, paid.paymentId, amountMinor))
  return dueNow(paid)
}

/** The bank has decided about a refund that was pending, and nobody has looked yet. */
async function decidedMeanwhile() {
  const paid = await openPaid(api, 'pm_card_pendingRefund')
  const { outcome } = bodyOf<{ outcome: { gatewayRefundId: string } }>(await refund(api, paid.paymentId, amountMinor))
  await bankDecides(shop, outcome.gatewayRefundId, 'succeed')
  return dueNow(paid)
}

describe.each([
  { of: 'a refund', prepare: leftBehind, looks: ['statement 1', 'listRefundsOf 1', 'createRefund 1', 'commit 1'] },
  { of: 'a pending refund', prepare: decidedMeanwhile, looks: ['statement 1', 'retrieveRefund 1', 'commit 1'] },
])('the recovery of $of', ({ prepare, looks }) => {
  it('touches the world at exactly these points', async () => {
    const { mortal, replica } = await mortalReplica()
    const { paid, id } = await prepare()
    expect(await mortal.passedBy(() => recoverRefund(replica.deps, id))).toEqual(bothSidesOf(...looks))
    expect(await endOf(paid)).toEqual(given)
  })

  it.each(bothSidesOf(...looks))('killed %s: another one finishes it', async (point) => {
    const { mortal, replica } = await mortalReplica()
    const { paid, id } = await prepare()
    await mortal.dieAt(point, () => recoverRefund(replica.deps, id))
    await letRefundLeasesRunOut(shop, paid)
    await recoverRefund(api.deps, id)
    expect(await endOf(paid)).toEqual(given)
  })
})
