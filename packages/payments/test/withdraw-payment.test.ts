import { randomUUID } from 'node:crypto'
import type { Gateway } from '@seatbelt/safety'
import { createLatch, eventually, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSubscriptionOperations, recoverPayment } from '../src/index.ts'
import { type BillingShop, hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { createMortal } from './crash-points.ts'
import { bodyOf, brief, call, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let billing: BillingShop
let api: Replica
let worker: Replica

beforeAll(async () => {
  shop = await openShop()
  billing = openBillingShop(shop)
  api = await shop.replica('api-1')
  worker = await shop.replica('worker-1')
})
afterAll(() => shop?.close())
beforeEach(async () => {
  await shop.faults()
  await shop.sql(`UPDATE subscriptions SET state = 'cancelled'`)
})

const operations = (replica: Replica) => createSubscriptionOperations(replica.deps)
const dueNow = () => hoursFromNow(0.01)

function cancel(id: string, key: string = randomUUID(), replica = api) {
  return operations(replica).cancelSubscription(call(key, { cancel: id }), id)
}

function changeMethod(subscriptionId: string, paymentMethod: string, key: string = randomUUID()) {
  const change = { subscriptionId, paymentMethod }
  return operations(api).changePaymentMethod(call(key, change), change)
}

/** A replica whose requests of one kind halt before they are sent, or before their answers arrive. */
async function haltingReplica(by: string, request: keyof Gateway, at: 'before' | 'after' = 'before') {
  const [reached, goOn] = [createLatch(`${by} reached ${request}`), createLatch(`${by} goes on`, { boundMs: 20_000 })]
  const halt = () => {
    reached.open()
    return goOn.wait()
  }
  const replica = await shop.replica(by, {
    gateway: (real) => ({
      ...real,
      [request]: async (...parameters: unknown[]) => {
        if (at === 'before') await halt()
        const answer = await (real[request] as (...parameters: unknown[]) => unknown)(...parameters)
        if (at === 'after') await halt()
        return answer
      },
    }),
  })
  return { replica, reached, goOn }
}

/** A replica whose gateway lets no payment be found out: it answers nothing. */
function withoutGateway(by: string) {
  const unknown = async () =>
    ({ kind: 'unknown', reason: 'deadline', status: null, replayed: false, requestId: null }) as const
  return shop.replica(by, { gateway: (real) => ({ ...real, retrieveIntent: unknown, cancelIntent: unknown }) })
}

async function stateOfOrder(orderId: string): Promise<string | undefined> {
  const rows = await shop.sql<{ state: string }>('SELECT state::text FROM orders WHERE id = $1', [orderId])
  return rows[0]?.state
}

/** A subscription whose charge was claimed, and whose confirm never reached the gateway. The run has given up. */
async function subscribeAndLoseConfirm(): Promise<string> {
  const id = await billing.subscribe(worker)
  await shop.faults({ on: 'confirm', kind: 'drop-before', rate: 1, times: 1 })
  await lead(worker, dueNow())
  await shop.faults()
  return id
}

describe('the cancellation of a subscription', () => {
  it('whose charge was given up before it reached the gateway: it is never charged', async () => {
    const id = await subscribeAndLoseConfirm()
    const cancelled = await cancel(id)
    expect(brief(cancelled)).toBe('answered 200')
    expect(bodyOf(cancelled)).toMatchObject({ state: 'cancelled', paymentId: null })
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(await billing.chargesOf(id)).toEqual([0])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }])
  })

  it.each(['createIntent', 'confirmIntent', 'retrieveIntent'] as const)(
    'deposes a live owner that is about to send %s, which then charges nothing',
    async (request) => {
      const id = await billing.subscribe(worker)
      if (request === 'retrieveIntent') {
        // Then the owner is recovery, which looks before it confirms.
        await shop.faults({ on: 'confirm', kind: 'drop-before', rate: 1, times: 1 })
        await lead(worker, dueNow())
        await shop.faults()
        await letLeasesRunOut(shop)
      }
      const { replica, reached, goOn } = await haltingReplica(`owner-${request}`, request)
      const owner = request === 'retrieveIntent' ? recoverPayment(replica.deps) : lead(replica, dueNow())
      await reached.wait()
      const cancelled = await cancel(id)
      expect(bodyOf(cancelled)).toMatchObject({ state: 'cancelled', paymentId: null })
      goOn.open()
      await owner
      expect(await billing.chargesOf(id)).toEqual([0])
      expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }])
      expect(replica.faults).toEqual([])
    },
  )

  it('whose charge has been taken, unknown to its live owner: 200 names the payment', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await haltingReplica('owner-charged', 'confirmIntent', 'after')
    const owner = lead(replica, dueNow())
    await reached.wait()
    const key = randomUUID()
    const cancelled = await cancel(id, key)
    expect(brief(cancelled)).toBe('answered 200')
    const [payment] = await shop.sql<{ id: string }>(
      `SELECT p.id FROM payments p JOIN invoices i ON i.order_id = p.order_id WHERE subscription_id = $1`,
      [id],
    )
    expect(bodyOf(cancelled)).toMatchObject({ state: 'cancelled', paymentId: payment?.id })
    goOn.open()
    await owner
    expect(await billing.chargesOf(id)).toEqual([1])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid' }])
    expect(await cancel(id, key)).toEqual({ ...cancelled, replayed: true })
  })

  it('stands while the gateway does not answer: 202, and the same key brings the answer once it is known', async () => {
    const id = await subscribeAndLoseConfirm()
    const key = randomUUID()
    const silent = await withoutGateway('silent-api')
    expect(brief(await cancel(id, key, silent))).toBe('unsettled')
    expect(await billing.stateOf(id)).toBe('cancelled')
    expect(brief(await cancel(id, key, silent))).toBe('unsettled')
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    const answer = await cancel(id, key)
    expect(brief(answer)).toBe('answered 200')
    expect(bodyOf(answer)).toMatchObject({ state: 'cancelled', paymentId: null })
    expect(await billing.chargesOf(id)).toEqual([0])
  })

  it('stands while the gateway admits nothing: 202, and recovery fences the intent', async () => {
    const id = await subscribeAndLoseConfirm()
    const closed = await shop.replica('closed-api', {
      layers: () => ({
        gatewayGate: {
          forRequests: async () => ({ kind: 'not-admitted', reason: 'stopped', retryAfterSeconds: 1 }) as const,
          forRecovery: async () => ({ kind: 'not-admitted', reason: 'stopped', retryAfterSeconds: 1 }) as const,
        },
      }),
    })
    expect(brief(await cancel(id, randomUUID(), closed))).toBe('unsettled')
    expect(await billing.stateOf(id)).toBe('cancelled')
    await recoverPayment(worker.deps)
    expect(await billing.chargesOf(id)).toEqual([0])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }])
  })

  it('by several copies of one request at once: all receive the same answer', async () => {
    const id = await subscribeAndLoseConfirm()
    const key = randomUUID()
    const silent = await withoutGateway('silent-copies')
    await raceCopies(4, () => cancel(id, key, silent))
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    const answers = valuesOf(await raceCopies(4, () => cancel(id, key)))
    expect(new Set(answers.map((result) => JSON.stringify(bodyOf(result)))).size).toBe(1)
    expect(answers.map(brief)).toEqual(Array(4).fill('answered 200'))
  })

  it('whose process is killed at any point: the subscription is not charged once it is cancelled', async () => {
    const whole = createMortal()
    const first = await subscribeAndLoseConfirm()
    const replica = await shop.replica('mortal-whole', whole.parts)
    const points = await whole.passedBy(() => cancel(first, randomUUID(), replica))
    expect(points.length).toBeGreaterThan(3)
    for (const point of points) {
      const id = await subscribeAndLoseConfirm()
      const mortal = createMortal()
      const dying = await shop.replica(`mortal-${randomUUID().slice(0, 8)}`, mortal.parts)
      await mortal.dieAt(point, () => cancel(id, randomUUID(), dying))
      const isCancelled = (await billing.stateOf(id)) === 'cancelled'
      await letLeasesRunOut(shop)
      await recoverPayment(worker.deps)
      const charges = isCancelled ? 0 : 1
      expect({ point, charges: await billing.chargesOf(id) }).toEqual({ point, charges: [charges] })
      await shop.closeReplicas('mortal-')
    }
  }, 60_000)
})

describe('a change of the payment method', () => {
  it('deposes the owner that charges the former card; the next run charges the new one', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await haltingReplica('owner-of-old-card', 'confirmIntent')
    const owner = lead(replica, dueNow())
    await reached.wait()
    const method = await billing.attach(id, 'pm_card_mastercard')
    const changed = await changeMethod(id, method)
    expect(brief(changed)).toBe('answered 200')
    expect(bodyOf(changed)).toMatchObject({ state: 'active', paymentId: null })
    goOn.open()
    await owner
    expect(await billing.chargesOf(id)).toEqual([0])
    await lead(worker, dueNow())
    expect(await billing.chargesOf(id)).toEqual([1])
    const charged = await shop.sql(
      `SELECT p.payment_method AS method FROM payments p JOIN invoices i ON i.order_id = p.order_id
        WHERE subscription_id = $1 AND p.state = 'succeeded'`,
      [id],
    )
    expect(charged).toEqual([{ method }])
  })

  it('to the card that is being charged leaves the charge alone', async () => {
    const id = await subscribeAndLoseConfirm()
    const [same] = await shop.sql<{ method: string }>(
      'SELECT payment_method AS method FROM subscriptions WHERE id = $1',
      [id],
    )
    expect(brief(await changeMethod(id, same?.method ?? ''))).toBe('answered 200')
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('and then a cancellation, while the charge is unknown: both keys are answered in the end', async () => {
    const id = await subscribeAndLoseConfirm()
    const silent = await withoutGateway('silent-twice')
    const change = { subscriptionId: id, paymentMethod: await billing.attach(id, 'pm_card_mastercard') }
    const [first, second] = [call(randomUUID(), change), randomUUID()]
    expect(brief(await operations(silent).changePaymentMethod(first, change))).toBe('unsettled')
    expect(brief(await cancel(id, second, silent))).toBe('unsettled')
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(brief(await operations(api).changePaymentMethod(first, change))).toBe('answered 200')
    expect(brief(await cancel(id, second))).toBe('answered 200')
    expect(await billing.chargesOf(id)).toEqual([0])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }])
  })
})

describe('the cancellation of an order', () => {
  async function loseConfirm(kind: 'drop-before' | 'drop-after'): Promise<string> {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind, rate: 1, times: 1 })
    expect(brief(await api.pay(orderId))).toBe('unsettled')
    await shop.faults()
    return orderId
  }

  it('whose owner gave up without a charge: it is cancelled, and its payment takes no more money', async () => {
    const orderId = await loseConfirm('drop-before')
    const cancelled = await api.cancel(orderId)
    expect(brief(cancelled)).toBe('answered 200')
    expect(bodyOf(cancelled)).toMatchObject({ state: 'cancelled', paymentId: null })
    expect(await stateOfOrder(orderId)).toBe('cancelled')
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(await shop.charges(orderId)).toEqual([])
    expect(brief(await api.pay(orderId))).toBe('refused order-cancelled')
  })

  it('whose owner gave up, and whose money was taken: 200 names the payment, and the order is paid', async () => {
    const orderId = await loseConfirm('drop-after')
    const cancelled = await api.cancel(orderId)
    expect(brief(cancelled)).toBe('answered 200')
    const [payment] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    expect(bodyOf(cancelled)).toMatchObject({ state: 'paid', paymentId: payment?.id })
    expect(await stateOfOrder(orderId)).toBe('paid')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('while nothing can be found out: 202, it cannot be paid, and the same key brings the answer', async () => {
    const orderId = await loseConfirm('drop-before')
    const key = randomUUID()
    const silent = await withoutGateway('silent-order')
    expect(brief(await silent.cancel(orderId, key))).toBe('unsettled')
    expect(brief(await api.pay(orderId))).toBe('refused payment-in-progress')
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(bodyOf(await api.cancel(orderId, key))).toMatchObject({ state: 'cancelled', paymentId: null })
    expect(await shop.charges(orderId)).toEqual([])
  })

  it('takes the payment from a recovery that looks at it', async () => {
    const orderId = await loseConfirm('drop-before')
    await letLeasesRunOut(shop)
    const { replica, reached, goOn } = await haltingReplica('slow-recovery', 'confirmIntent')
    const recovery = recoverPayment(replica.deps)
    await reached.wait()
    expect(brief(await api.cancel(orderId))).toBe('answered 200')
    goOn.open()
    await recovery
    expect(await shop.charges(orderId)).toEqual([])
    expect(await stateOfOrder(orderId)).toBe('cancelled')
  })

  it('is refused while the request that pays it is at work', async () => {
    const orderId = await api.createOrder()
    const { replica, reached, goOn } = await haltingReplica('paying', 'confirmIntent')
    const paying = replica.pay(orderId)
    await reached.wait()
    expect(brief(await api.cancel(orderId))).toBe('refused payment-in-progress')
    goOn.open()
    expect(brief(await paying)).toBe('answered 201')
  })

  it('of an authorization that was given up: nothing stays reserved', async () => {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1 })
    expect(brief(await api.authorize(orderId))).toBe('unsettled')
    await shop.faults()
    expect(bodyOf(await api.cancel(orderId))).toMatchObject({ state: 'cancelled', paymentId: null })
    await eventually('the payment is over', async () => {
      const [payment] = await shop.sql<{ state: string }>('SELECT state::text FROM payments WHERE order_id = $1', [
        orderId,
      ])
      return payment?.state === 'cancelled'
    })
  })
})
