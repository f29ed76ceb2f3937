import { raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { applyGatewayEvent, createPaymentOperations } from '../src/index.ts'
import { dispute } from './dispute-support.ts'
import { atConsole, deliverEvent, eventAbout, intentOf } from './gateway-console.ts'
import { openReconciler, openStranger, type Stranger } from './reconcile-support.ts'
import { booksOf, openPaid, openWebhookEndpoint, type Paid, refund, toldAbout } from './refund-support.ts'
import { accountId, bodyOf, brief, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let worker: Replica
let stranger: Stranger

beforeAll(async () => {
  shop = await openShop()
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

/** The disputes of a payment in our books. */
async function books(paid: Paid) {
  const { order, transfers } = await booksOf(shop, paid)
  const [row] = await shop.sql<{ state: string | null; minor: number }>(
    'SELECT dispute_state AS state, disputed_minor AS minor FROM payments WHERE id = $1',
    [paid.paymentId],
  )
  const disputes = await shop.sql<{ id: string; status: string }>(
    'SELECT id, gateway_status AS status FROM disputes WHERE payment_id = $1 ORDER BY id',
    [paid.paymentId],
  )
  const told = (await Promise.all(disputes.map(({ id }) => toldAbout(shop, id)))).flat()
  return {
    order,
    ...row,
    statuses: disputes.map(({ status }) => status),
    transfers: transfers.map(({ kind, debit, amount }) => `${kind} ${amount} from ${debit.split(':')[0]}`),
    told: told.toSorted(),
  }
}

const withdrawal = 'dispute_withdrawal 4200 from merchant'
const faults = () => [...api.faults, ...worker.faults].map(String)

describe('a dispute of a payment', () => {
  it('is recorded, shown at the payment, booked, and told to the merchant', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    expect(await opened.deliver(api, 'created')).toBe('applied')
    expect(await books(paid)).toMatchObject({ state: 'open', minor: 0, transfers: [], told: ['dispute.opened'] })
    expect(await opened.deliver(api, 'funds_withdrawn')).toBe('applied')
    expect(await books(paid)).toEqual({
      order: 'paid',
      state: 'open',
      minor: 4_200,
      statuses: ['needs_response'],
      transfers: [withdrawal],
      told: ['dispute.funds_withdrawn', 'dispute.opened'],
    })
    const shown = await createPaymentOperations(api.deps).findPayment(accountId, paid.paymentId)
    expect(shown?.payment).toMatchObject({ disputeState: 'open', disputedMinor: 4_200 })
    expect(shown?.disputes).toMatchObject([
      { gatewayDisputeId: opened.id, withdrawnMinor: 4_200, reason: 'fraudulent' },
    ])
    expect(shown?.events.map(({ event, detail }) => `${event} ${detail}`)).toEqual(
      expect.arrayContaining([`disputed ${opened.id}: needs_response, 4200 withdrawn, 0 reinstated`]),
    )
  })

  it('that is won gives all of it back, and the payment can be refunded again', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    await opened.deliver(api, 'funds_withdrawn')
    await opened.step('review')
    await opened.deliver(api, 'updated')
    await opened.step('win')
    await opened.deliver(api, 'funds_reinstated')
    await opened.deliver(api, 'closed')
    expect(await books(paid)).toMatchObject({
      state: 'won',
      minor: 0,
      statuses: ['won'],
      transfers: [withdrawal, 'dispute_reinstatement 4200 from gateway'],
      told: ['dispute.funds_reinstated', 'dispute.funds_withdrawn', 'dispute.opened', 'dispute.won'],
    })
    expect(brief(await refund(api, paid.paymentId))).toBe('answered 201')
  })

  it('that is lost in part keeps the rest, as does one that is lost', async () => {
    for (const [given, kept] of [
      [undefined, 4_200],
      [1_200, 3_000],
    ] as const) {
      const paid = await openPaid(api)
      const opened = await dispute(shop, paid)
      await opened.deliver(api, 'funds_withdrawn')
      await opened.step('lose', given)
      await opened.deliver(api, 'closed')
      const transfers = [withdrawal, ...(given ? [`dispute_reinstatement ${given} from gateway`] : [])]
      expect(await books(paid)).toMatchObject({ order: 'paid', state: 'lost', minor: kept, transfers })
      const asked = await refund(api, paid.paymentId)
      expect(brief(asked)).toBe(given ? 'answered 402' : 'refused payment-disputed')
      if (given) expect(bodyOf(asked)).toMatchObject({ outcome: { failureCode: 'charge_disputed' } })
    }
  })

  it('of all of a payment of which a part was refunded is entered in full', async () => {
    const paid = await openPaid(api)
    await refund(api, paid.paymentId, 1_200)
    const opened = await dispute(shop, paid)
    expect(await opened.deliver(api, 'funds_withdrawn')).toBe('applied')
    expect(await books(paid)).toMatchObject({ order: 'partially_refunded', minor: 4_200 })
    await opened.step('lose', 1_200)
    expect(await opened.deliver(api, 'closed')).toBe('applied')
    expect(await books(paid)).toMatchObject({ state: 'lost', minor: 3_000 })
    expect(brief(await refund(api, paid.paymentId))).toBe('refused payment-disputed')
  })
})

describe('the events of a dispute', () => {
  it('may arrive twice, out of order and at once: each movement is booked once', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    await opened.step('win')
    const types = ['closed', 'funds_withdrawn', 'created', 'funds_reinstated']
    const events = await Promise.all(types.map((type) => eventAbout(shop, `charge.dispute.${type}`, opened.id)))
    const copies = [...events, ...events.toReversed()]
    for (let round = 0; round < 3; round += 1) {
      const results = await raceCopies(copies.length, async (copy) => {
        const event = copies[copy]
        return event && applyGatewayEvent((copy % 2 ? api : worker).deps, event)
      })
      expect(valuesOf(results)).toHaveLength(copies.length)
    }
    for (const event of events) expect(await applyGatewayEvent(api.deps, event)).toMatch(/repeated|noted/)
    expect(await books(paid)).toMatchObject({
      state: 'won',
      minor: 0,
      statuses: ['won'],
      told: ['dispute.funds_reinstated', 'dispute.funds_withdrawn', 'dispute.opened', 'dispute.won'],
    })
    const { transfers } = await books(paid)
    expect(transfers.toSorted()).toEqual(['dispute_reinstatement 4200 from gateway', withdrawal])
  })

  it('wait for the payment to be settled, which recovery does now', async () => {
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1 })
    const orderId = await api.createOrder(4_200)
    expect(brief(await api.pay(orderId))).toBe('unsettled')
    const [row] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    const paid = { orderId, paymentId: row?.id ?? '' }
    const opened = await dispute(shop, paid)
    expect(await opened.deliver(api, 'created')).toBe('contended')
    const intentId = await intentOf(shop, paid.paymentId)
    expect(await deliverEvent(shop, api, 'payment_intent.succeeded', intentId)).toBe('applied')
    expect(await opened.deliver(api, 'created')).toBe('applied')
    expect(await books(paid)).toMatchObject({ state: 'open' })
    await letLeasesRunOut(shop)
  })

  it('about a charge that our books do not have are ignored', async () => {
    const order = await api.createOrder()
    const { intentId } = await stranger.charge(order)
    const response = await fetch(`${shop.gatewayUrl}/_control/disputes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ paymentIntent: intentId }),
    })
    const { dispute: opened } = (await response.json()) as { dispute: { id: string } }
    expect(await deliverEvent(shop, api, 'charge.dispute.created', opened.id)).toBe('ignored')
  })

  it('in another currency change nothing, and are reported as a fault', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    const event = await eventAbout(shop, 'charge.dispute.funds_withdrawn', opened.id)
    if (event.subject.kind !== 'dispute') throw new Error('not about a dispute')
    const { subject } = event
    const foreign = {
      ...event,
      id: 'evt_foreign',
      subject: { ...subject, shown: { ...subject.shown, currency: 'USD' } },
    }
    expect(await applyGatewayEvent(api.deps, foreign)).toBe('noted')
    expect(await books(paid)).toMatchObject({ state: null, minor: 0, statuses: [] })
    const unclear = { ...event, id: 'evt_unclear', subject: { ...subject, shown: { ...subject.shown, moved: null } } }
    expect(await applyGatewayEvent(api.deps, unclear)).toBe('applied')
    expect(await books(paid)).toMatchObject({ state: 'open', minor: 0, transfers: [] })
    expect(faults().filter((fault) => fault.includes(opened.id))).toEqual([
      expect.stringMatching(/disputes 4200 USD/),
      expect.stringMatching(/in another currency: book it by hand/),
    ])
  })
})

describe('a refund', () => {
  it('of a payment with an open dispute is refused without a request to the gateway', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    await opened.deliver(api, 'created')
    const before = await refundRequests()
    const asked = await refund(api, paid.paymentId, 100)
    expect(asked).toMatchObject({ kind: 'refused', refusal: { code: 'payment-disputed', disputeState: 'open' } })
    expect(asked).not.toHaveProperty('refusal.retryAfterSeconds')
    expect(await refundRequests()).toBe(before)
  })

  it('is possible while the bank only inquires, until that becomes a dispute', async () => {
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid, { inquiry: true })
    await opened.deliver(api, 'created')
    expect(await books(paid)).toMatchObject({ state: 'inquiry', minor: 0 })
    expect(brief(await refund(api, paid.paymentId, 700))).toBe('answered 201')
    await opened.step('escalate')
    await opened.deliver(api, 'funds_withdrawn')
    expect(await books(paid)).toMatchObject({ state: 'open', minor: 4_200 })
    expect(brief(await refund(api, paid.paymentId, 700))).toBe('refused payment-disputed')
  })

  it('that the gateway refuses because of a dispute that our books lack says so', async () => {
    const paid = await openPaid(api)
    await dispute(shop, paid)
    const asked = await refund(api, paid.paymentId)
    expect(bodyOf(asked)).toMatchObject({ outcome: { state: 'failed', failureCode: 'charge_disputed' } })
  })

  it('that was made at the console before the dispute is still entered', async () => {
    const paid = await openPaid(api)
    const { id } = await atConsole(shop, await intentOf(shop, paid.paymentId), 'refund', 700)
    const opened = await dispute(shop, paid)
    await opened.deliver(api, 'funds_withdrawn')
    expect(await deliverEvent(shop, api, 'refund.created', id)).toBe('applied')
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 700 })
  })

  const refundRequests = async () =>
    (await shop.sql<{ n: number }>('SELECT count(*)::int AS n FROM refunds'))[0]?.n ?? 0
})

describe('reconciliation', () => {
  it('finds a dispute whose events were lost, enters it, and later how it ended', async () => {
    const reconciler = openReconciler(worker, stranger.gateway)
    const paid = await openPaid(api)
    const opened = await dispute(shop, paid)
    const difference = { kind: 'dispute-unbooked', action: 'enter-dispute', gateway: 4_200, books: 0 }
    expect((await reconciler.run('report')).about(paid.orderId)).toEqual([{ ...difference, outcome: null }])
    expect((await reconciler.run('act')).about(paid.orderId)).toEqual([{ ...difference, outcome: 'done' }])
    expect(await books(paid)).toMatchObject({ state: 'open', minor: 4_200, transfers: [withdrawal] })
    expect((await reconciler.run('act')).about(paid.orderId)).toEqual([])

    await opened.step('win')
    expect((await reconciler.run('act')).about(paid.orderId)).toMatchObject([
      { gateway: 0, books: 4_200, outcome: 'done' },
    ])
    expect(await books(paid)).toMatchObject({ state: 'won', minor: 0 })
    // The events arrive after all.
    for (const type of ['created', 'funds_withdrawn', 'closed', 'funds_reinstated'])
      expect(await opened.deliver(api, type)).toBe('noted')
    expect(await books(paid)).toMatchObject({ state: 'won', minor: 0 })
    expect((await books(paid)).transfers).toHaveLength(2)
  })
})
