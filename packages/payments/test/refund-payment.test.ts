import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import { createLatch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPaymentOperations, createStripeGateway, type PaymentLayers, type RefundResult } from '../src/index.ts'
import { hookedTransaction, type StatementHooks } from './hooked-transaction.ts'
import { booksOf, openPaid, refund, refundsAtGateway } from './refund-support.ts'
import { accountId, bodyOf, brief, call, gatewayDeadlineMs, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let one: Replica
let other: Replica

beforeAll(async () => {
  shop = await openShop()
  one = await shop.replica('api-1')
  other = await shop.replica('api-2')
})
afterAll(() => shop?.close())
beforeEach(() => shop.faults())

/** Nobody means to run into it: machines are busy. */
const patience = { boundMs: 20_000 }
const merchant = `merchant:${accountId}`

describe('a refund', () => {
  it('in full: the order is refunded, and the money goes from the merchant back to the gateway', async () => {
    const paid = await openPaid(one)
    expect(brief(await refund(one, paid.paymentId))).toBe('answered 201')
    expect(await booksOf(shop, paid)).toMatchObject({
      ...{ order: 'refunded', refunded: 4_200, pending: 0 },
      refunds: [{ state: 'succeeded', amountMinor: 4_200 }],
      transfers: [{ kind: 'refund', debit: merchant, credit: 'gateway', amount: 4_200 }],
    })
    expect(await refundsAtGateway(shop, paid.orderId)).toMatchObject([{ amountMinor: 4_200, status: 'succeeded' }])
  })

  it('in parts, each with its own key, until nothing is left; what is left needs no amount', async () => {
    const paid = await openPaid(one)
    expect(brief(await refund(one, paid.paymentId, 1_000))).toBe('answered 201')
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'partially_refunded', refunded: 1_000, pending: 0 })
    expect(brief(await refund(other, paid.paymentId, 1_000))).toBe('answered 201')
    expect(brief(await refund(one, paid.paymentId))).toBe('answered 201')
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
    const amounts = (await refundsAtGateway(shop, paid.orderId)).map(({ amountMinor }) => amountMinor)
    expect(amounts).toEqual([1_000, 1_000, 2_200])
    expect(brief(await refund(one, paid.paymentId))).toBe('refused refund-exceeds-payment')
  })

  it.each([
    ['ISK', 150, 100, [100, 200]],
    ['KWD', 1_234, 10, [1_230, 1_240]],
  ] as const)(
    'of a fraction that %s does not have is refused before the gateway is asked',
    async (currency, asked, unitMinor, nearestMinor) => {
      const paid = await openPaid(one, 'pm_card_visa', currency)
      expect(await refund(one, paid.paymentId, asked)).toEqual({
        kind: 'refused',
        refusal: { code: 'refund-between-units', paymentId: paid.paymentId, currency, unitMinor, nearestMinor },
      })
      expect(await refundsAtGateway(shop, paid.orderId)).toEqual([])
      expect(brief(await refund(one, paid.paymentId, nearestMinor[1]))).toBe('answered 201')
      expect(brief(await refund(one, paid.paymentId))).toBe('answered 201')
      expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
    },
  )

  it('stands in the history of its payment, and is read one by one and page by page', async () => {
    const paid = await openPaid(one)
    const ids: string[] = []
    for (const amount of [100, 200, 300]) {
      ids.unshift(bodyOf<{ refundId: string }>(await refund(one, paid.paymentId, amount)).refundId)
    }
    const { findPayment, findRefund, listRefunds } = createPaymentOperations(one.deps)
    const history = (await findPayment(accountId, paid.paymentId))?.events.filter(({ refundId }) => refundId === ids[2])
    expect(history?.map(({ event, detail }) => [event, detail])).toEqual([
      ['claimed', null],
      ['refund', expect.stringMatching(/^re_\w+: succeeded$/)],
      ['settled', 'succeeded'],
    ])
    expect(await findRefund(accountId, ids[0] ?? '')).toMatchObject({ amountMinor: 300, paymentId: paid.paymentId })
    const page = { limit: 2, paymentId: paid.paymentId }
    const first = await listRefunds(accountId, { ...page, after: null })
    expect(first?.items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    const second = await listRefunds(accountId, { ...page, after: first?.next ?? null })
    expect(second).toMatchObject({ items: [{ id: ids[2] }], next: null })
  })

  it('that the gateway refuses is failed with its code, and what it had reserved is free again', async () => {
    const paid = await openPaid(one)
    await refundByHand(paid.paymentId)
    const key = randomUUID()
    const result = await refund(one, paid.paymentId, 1_000, key)
    expect(brief(result)).toBe('answered 402')
    expect(bodyOf(result)).toMatchObject({ outcome: { state: 'failed', failureCode: 'charge_already_refunded' } })
    expect(brief(await refund(other, paid.paymentId, 1_000, key))).toBe('answered 402')
    expect(await booksOf(shop, paid)).toMatchObject({
      ...{ order: 'paid', refunded: 0, pending: 0, transfers: [] },
      refunds: [{ state: 'failed', failureCode: 'charge_already_refunded', gatewayRefundId: null }],
    })
  })
})

describe('one key', () => {
  it('refunds once when copies arrive at both replicas at once, and answers all of them the same in the end', async () => {
    const paid = await openPaid(one)
    const key = randomUUID()
    const copies = await raceCopies(6, (copy) => refund(copy % 2 ? one : other, paid.paymentId, 1_000, key))
    const answers = new Set(valuesOf(copies).map(brief))
    expect(answers).toContain('answered 201')
    answers.delete('answered 201')
    expect([...answers].every((answer) => /^refused (payment|request)-in-progress$/.test(answer))).toBe(true)

    const replays = valuesOf(await raceCopies(3, () => refund(one, paid.paymentId, 1_000, key)))
    expect(new Set(replays.map((replay) => replay.kind === 'answered' && replay.answer.body)).size).toBe(1)
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 1_000, pending: 0 })
  })

  it('stands for one request: another amount is refused', async () => {
    const paid = await openPaid(one)
    const key = randomUUID()
    await refund(one, paid.paymentId, 1_000, key)
    expect(brief(await refund(one, paid.paymentId, 1_001, key))).toBe('refused idempotency-key-reused')
    expect(brief(await refund(one, randomUUID(), 1_000, key))).toBe('refused idempotency-key-reused')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })
})

describe('what is refused', () => {
  it('the 101st refund of one payment: absence could not be seen in the one page that the gateway lists', async () => {
    const paid = await openPaid(one)
    await shop.sql(
      `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, state, failure_code, settled_at, next_attempt_at,
                            gateway_intent_id, gateway_charge_id, gateway_refund_id)
       SELECT gen_random_uuid(), account_id, order_id, id, 1, currency, 'failed', 'declined', now(), now(), gateway_intent_id,
              gateway_charge_id, CASE WHEN nth > 5 THEN 're_' || nth || id END
         FROM payments, generate_series(1, 104) AS nth WHERE id = $1`,
      [paid.paymentId],
    )
    // Five of them never came to be at the gateway.
    expect(brief(await refund(one, paid.paymentId, 100))).toBe('answered 201')
    expect(await refund(one, paid.paymentId, 100)).toEqual({
      kind: 'refused',
      refusal: { code: 'too-many-refunds', paymentId: paid.paymentId, mostRefunds: 100 },
    })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 100, pending: 0 })
  })

  it('more than is left', async () => {
    const paid = await openPaid(one)
    expect(await refund(one, paid.paymentId, 4_201)).toEqual(exceeds(paid.paymentId, 4_200))
    await refund(one, paid.paymentId, 4_000)
    expect(await refund(one, paid.paymentId, 201)).toEqual(exceeds(paid.paymentId, 200))
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('a payment that took nothing: declined, or only on hold', async () => {
    const declined = await one.createOrder()
    await one.pay(declined, randomUUID(), 'pm_card_visa_chargeDeclined')
    const held = await one.createOrder()
    await one.authorize(held)
    for (const orderId of [declined, held]) {
      const [payment] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
      expect(brief(await refund(one, payment?.id ?? ''))).toBe('refused payment-not-refundable')
    }
  })

  it('a payment that is not there, and one of another account, which cannot be told apart', async () => {
    const paid = await openPaid(one)
    const stranger = developmentAccounts[1].id
    const operations = createPaymentOperations(one.deps)
    const request = { paymentId: paid.paymentId, amountMinor: null, reason: null }
    const refused = await operations.refundPayment(call(randomUUID(), request, stranger), request)
    expect(refused).toEqual({ kind: 'refused', refusal: { code: 'payment-not-found', paymentId: paid.paymentId } })
    expect(brief(await refund(one, randomUUID()))).toBe('refused payment-not-found')

    const { refundId } = bodyOf<{ refundId: string }>(await refund(one, paid.paymentId, 1))
    expect(await operations.findRefund(stranger, refundId)).toBeNull()
    expect(await operations.listRefunds(stranger, { paymentId: paid.paymentId, limit: 9, after: null })).toBeNull()
  })
})

/** Layers are taken away in turn, from the outside in, and the next one is seen to hold alone. */
describe('two refunds of 30.00 of the same 42.00 at once', () => {
  const withoutLocks: Partial<PaymentLayers> = {
    redisLock: (_, work) => work(),
    advisoryLock: (_, __, work) => work(),
  }

  /** Both have read what is left before the first of them reserves. */
  function meetBeforeReserving(): StatementHooks {
    const bothHaveRead = createLatch('both have read what is left', patience)
    let arrived = 0
    return {
      afterRead: async (text) => {
        if (!text.includes('AS refunds_at_gateway')) return
        if (++arrived === 2) bothHaveRead.open()
        await bothHaveRead.wait()
      },
    }
  }

  /** Reserves whether or not so much is left. */
  const withoutComparing = (text: string) =>
    text.replace(
      /AND refunded_minor \+ refund_pending_minor \+ (\$\d+) <= COALESCE\(captured_minor, amount_minor\)/,
      'AND $1::int IS NOT NULL',
    )

  async function raceOn(aShop: Shop, hooks: StatementHooks) {
    const layers = (real: PaymentLayers) => ({
      ...withoutLocks,
      transaction: hookedTransaction(real.transaction, hooks),
    })
    const replicas = [await aShop.replica('api-1', { layers }), await aShop.replica('api-2', { layers })] as const
    const paid = await openPaid(replicas[0])
    const results = await raceCopies(2, (copy) => refund(replicas[copy] as Replica, paid.paymentId, 3_000))
    return { paid, results: results.map(told).sort() }
  }

  const told = (result: PromiseSettledResult<RefundResult>) =>
    result.status === 'fulfilled' ? brief(result.value) : `fault ${/payments_\w+/.exec(String(result.reason))?.[0]}`

  it('with all layers: one refund, and the other one is refused', async () => {
    const paid = await openPaid(one)
    const results = valuesOf(await raceCopies(2, (copy) => refund(copy ? one : other, paid.paymentId, 3_000)))
    expect(results.map(brief).sort()).toEqual(['answered 201', expect.stringMatching(/^refused /)])
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 3_000, pending: 0 })
  })

  it('while the first is at the gateway, what it reserved is not promised again', async () => {
    const [asked, goOn] = [createLatch('the first one asks', patience), createLatch('the first one goes on', patience)]
    const first = await shop.replica('api-slow', {
      gateway: (real) => ({
        ...real,
        createRefund: async (...refunding) => {
          asked.open()
          await goOn.wait()
          return real.createRefund(...refunding)
        },
      }),
    })
    const second = await shop.replica('api-3', { layers: () => ({ redisLock: (_, work) => work() }) })
    const paid = await openPaid(one)
    const slow = refund(first, paid.paymentId, 3_000)
    await asked.wait()
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 0, pending: 3_000 })
    expect(await refund(second, paid.paymentId, 3_000)).toEqual(exceeds(paid.paymentId, 1_200))
    // Only layer 2 would have kept it away. The books do not need that: what is left can be given back meanwhile.
    expect(brief(await refund(second, paid.paymentId))).toBe('answered 201')
    goOn.open()
    expect(brief(await slow)).toBe('answered 201')
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
  })

  it('without any lock: the compare-and-set lets one reserve', async () => {
    const { paid, results } = await raceOn(shop, meetBeforeReserving())
    expect(results).toEqual(['answered 201', 'refused refund-exceeds-payment'])
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 3_000, pending: 0, refunds: [{ amountMinor: 3_000 }] })
  })

  it('without any lock and without comparing: the CHECK refuses the second reservation, whoever writes it', async () => {
    const { paid, results } = await raceOn(shop, { ...meetBeforeReserving(), change: withoutComparing })
    expect(results).toEqual(['answered 201', 'fault payments_refunds_within_payment'])
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 3_000, pending: 0, refunds: [{ amountMinor: 3_000 }] })
  })

  it('without any of these: the same race promises more than was taken, and only the gateway refuses', async () => {
    const bare = await openShop()
    try {
      await bare.sql('ALTER TABLE payments DROP CONSTRAINT payments_refunds_within_payment')
      const { paid, results } = await raceOn(bare, { ...meetBeforeReserving(), change: withoutComparing })
      // How the second one ends is not said: without its lock, a settle can lose to the other and be left to recovery.
      expect(results).toEqual(['answered 201', expect.stringMatching(/^(answered 402|unsettled)$/)])
      expect((await booksOf(bare, paid)).refunds).toMatchObject([{ amountMinor: 3_000 }, { amountMinor: 3_000 }])
    } finally {
      await bare.close()
    }
  })
})

function exceeds(paymentId: string, refundableMinor: number): RefundResult {
  return { kind: 'refused', refusal: { code: 'refund-exceeds-payment', paymentId, refundableMinor } }
}

/** Somebody at the gateway's dashboard gives all of it back, of which we know nothing. */
/** In the name of a refund that our books do not have, so that none of them enters it. */
async function refundByHand(paymentId: string): Promise<void> {
  const [payment] = await shop.sql<{ intent: string }>(
    'SELECT gateway_intent_id AS intent FROM payments WHERE id = $1',
    [paymentId],
  )
  const options = { url: shop.gatewayUrl, apiKey: 'sk_test_dev_only', deadlineMs: gatewayDeadlineMs, maxConnections: 1 }
  const stripe = createStripeGateway(options)
  const metadata = { refundId: randomUUID(), orderId: 'by hand', accountId: 'by hand' }
  const answer = await stripe.createRefund(
    { intentId: payment?.intent ?? '', amountMinor: 4_200, metadata },
    randomUUID(),
  )
  expect(answer.kind).toBe('refund')
  await stripe.close()
}
