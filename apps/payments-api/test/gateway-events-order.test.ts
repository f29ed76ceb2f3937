import { randomUUID } from 'node:crypto'
import { recoverRefund } from '@seatbelt/payments'
import { createLatch, patienceMs, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPaid, refund } from '../../../packages/payments/test/refund-support.ts'
import { accountId, brief, type Replica } from '../../../packages/payments/test/shop.ts'
import {
  type Api,
  booksOf,
  event,
  type GatewayEventOnWire,
  intentEvent,
  type Known,
  openWorld,
  paymentOf,
  permutations,
  type World,
} from './gateway-events-support.ts'

const unheard = { kind: 'unknown', reason: 'connection', status: null, replayed: false, requestId: null } as const
const patientMs = 240_000

let world: World
/** Its money requests are heard by nobody, so that whatever it starts stays open. */
let deaf: Replica
let replica: Replica
let api: Api
beforeAll(async () => {
  world = await openWorld()
  // Many copies wait for the lock of one order.
  replica = await world.replica('api-1', { lockWaitMs: patienceMs })
  deaf = await world.replica('deaf', {
    gateway: (real) => ({ ...real, confirmIntent: async () => unheard, createRefund: async () => unheard }),
  })
  api = await world.api(replica)
})
afterAll(() => world?.close())

/** Some at a time: each has an order of its own, and a hundred at once would only wait for each other. */
async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let from = 0; from < items.length; from += 10)
    results.push(...(await Promise.all(items.slice(from, from + 10).map(work))))
  return results
}

async function openProcessing(): Promise<Known> {
  const orderId = await replica.createOrder()
  expect(brief(await deaf.pay(orderId))).toBe('unsettled')
  return paymentOf(world, orderId)
}

function fiveOfAPayment(payment: Known): GatewayEventOnWire[] {
  const charge = { id: 'ch_1', object: 'charge', payment_intent: payment.intentId }
  return [
    intentEvent(payment, 'payment_intent.payment_failed'),
    intentEvent(payment, 'payment_intent.amount_capturable_updated'),
    intentEvent(payment, 'payment_intent.succeeded'),
    event('charge.updated', charge),
    intentEvent(payment, 'payment_intent.processing'),
  ]
}

const paid = {
  ...{ order: 'paid', payment: 'succeeded', declineCode: null, refunded: 0, pending: 0 },
  ...{ charges: 1, standingRefunds: 0, settled: 1, unanswered: 0 },
}

interface OpenRefund extends Known {
  readonly refundId: string
  /** As the gateway names it. */
  readonly refundName: string
  readonly gatewayRefundId: string
}

async function openRefund(): Promise<OpenRefund> {
  const { orderId, paymentId } = await openPaid(replica)
  expect(brief(await refund(deaf, paymentId, 1_000))).toBe('unsettled')
  const [row] = await world.sql<{ id: string; name: string }>(
    'SELECT id, gateway_key AS name FROM refunds WHERE payment_id = $1',
    [paymentId],
  )
  const { id = '', name = '' } = row ?? {}
  return { ...(await paymentOf(world, orderId)), refundId: id, refundName: name, gatewayRefundId: `re_${id}` }
}

function refundEvent(open: OpenRefund, type: string, status: string, overrides: object = {}): GatewayEventOnWire {
  const { names, refundName, intentId, gatewayRefundId: id } = open
  return event(type, {
    ...{ id, object: 'refund', amount: 1_000, currency: 'eur', payment_intent: intentId, charge: 'ch_1', created: 1 },
    ...{ metadata: { refundId: refundName, orderId: names.orderId, accountId }, status },
    ...(status === 'failed' && { failure_reason: 'lost_or_stolen_card' }),
    ...overrides,
  })
}

function fourOfARefund(open: OpenRefund): GatewayEventOnWire[] {
  return [
    refundEvent(open, 'refund.created', 'pending'),
    refundEvent(open, 'refund.updated', 'succeeded'),
    refundEvent(open, 'refund.updated', 'failed'),
    event('charge.refunded', { id: 'ch_1', object: 'charge', payment_intent: open.intentId }),
  ]
}

async function refundOf({ refundId }: OpenRefund) {
  const [row] = await world.sql(
    'SELECT state::text, failure_code AS code, gateway_refund_id AS "gatewayRefundId" FROM refunds WHERE id = $1',
    [refundId],
  )
  return row
}

/** By what they do, these are three kinds: evidence, a hint by the charge, and hints by the intent, which are alike. */
const [evidence, ofTheCharge] = [2, 3]

/** Of all orders, one for each place that the evidence and the hint of the charge can have among the hints that are alike. */
function ordersThatDiffer(): number[][] {
  const byPlaces = permutations([0, 1, 2, 3, 4]).map((order) => {
    return [`${order.indexOf(evidence)} ${order.indexOf(ofTheCharge)}`, order] as const
  })
  return [...new Map(byPlaces).values()]
}

describe('five events of one payment', () => {
  const orders = ordersThatDiffer()

  it('come to the same in every order that differs', { timeout: patientMs }, async () => {
    const books = await inBatches(orders, async (order) => {
      const payment = await openProcessing()
      const told = fiveOfAPayment(payment)
      for (const index of order) expect(await api.deliver(told[index] ?? {})).toMatchObject({ status: 200 })
      return booksOf(world, payment.orderId)
    })
    expect(books).toEqual(orders.map(() => paid))
  })

  it('come to the same when they are delivered at once, each twice', { timeout: patientMs }, async () => {
    const books = await inBatches(orders, async () => {
      const payment = await openProcessing()
      const told = fiveOfAPayment(payment)
      const taken = await Promise.all([...told, ...told].map((one) => api.deliver(one)))
      expect(taken.filter(({ status }) => status !== 200)).toEqual([])
      expect(taken.filter(({ body }) => body.result === 'applied')).toHaveLength(1)
      return booksOf(world, payment.orderId)
    })
    expect(books).toEqual(books.map(() => paid))
  })
})

describe('four events of one refund that the bank sent back', () => {
  const orders = permutations([0, 1, 2, 3])

  it('come to the same in every order in which they can be delivered', { timeout: patientMs }, async () => {
    const ends = await inBatches(orders, async (order) => {
      const open = await openRefund()
      const told = fourOfARefund(open)
      for (const index of order) expect(await api.deliver(told[index] ?? {})).toMatchObject({ status: 200 })
      expect(await refundOf(open)).toEqual({
        ...{ state: 'failed', code: 'lost_or_stolen_card', gatewayRefundId: open.gatewayRefundId },
      })
      return booksOf(world, open.orderId)
    })
    expect(ends).toEqual(orders.map(() => paid))
    expect([...replica.faults, ...deaf.faults]).toEqual([])
  })
})

describe('an event about a refund', () => {
  it('that succeeded settles it; a copy and older news change nothing', async () => {
    const open = await openRefund()
    const told = refundEvent(open, 'refund.updated', 'succeeded')
    const taken = valuesOf(await raceCopies(10, () => api.deliver(told)))
    expect(taken.filter(({ body }) => body.result === 'applied')).toHaveLength(1)
    expect(await api.deliver(refundEvent(open, 'refund.created', 'pending'))).toMatchObject({
      body: { result: 'noted' },
    })
    expect(await refundOf(open)).toMatchObject({ state: 'succeeded' })
    const refunded = { order: 'partially_refunded', refunded: 1_000, standingRefunds: 1 }
    expect(await booksOf(world, open.orderId)).toEqual({ ...paid, ...refunded })
  })

  it('that it failed after all takes it back, and its history says where that came from', async () => {
    const open = await openRefund()
    await api.deliver(refundEvent(open, 'refund.updated', 'succeeded'))
    await api.deliver(refundEvent(open, 'refund.updated', 'failed'))
    const lines = await world.sql<{ event: string }>(
      'SELECT event FROM payment_events WHERE refund_id = $1 ORDER BY id DESC LIMIT 2',
      [open.refundId],
    )
    expect(lines.map((line) => line.event)).toEqual(['reversed', 'gateway-event'])
  })

  it('that is not ours in all it says is a hint', async () => {
    const open = await openRefund()
    const stranger = refundEvent(open, 'refund.updated', 'succeeded', { amount: 1 })
    expect(await api.deliver(stranger)).toMatchObject({ status: 200, body: { result: 'noted' } })
    expect(await refundOf(open)).toMatchObject({ state: 'processing' })
    const [row] = await world.sql('SELECT next_attempt_at <= now() AS due FROM refunds WHERE id = $1', [open.refundId])
    expect(row).toEqual({ due: true })
    expect((await recoverRefund(replica.deps, open.refundId))?.refund.id).toBe(open.refundId)
  })

  it('that the gateway made a second time is reported', async () => {
    const open = await openRefund()
    await api.deliver(refundEvent(open, 'refund.updated', 'succeeded'))
    replica.faults.length = 0
    const second = refundEvent(open, 'refund.created', 'succeeded', { id: `re_${randomUUID()}` })
    expect(await api.deliver(second)).toMatchObject({ status: 200, body: { result: 'noted' } })
    expect(replica.faults).toHaveLength(1)
    expect(await booksOf(world, open.orderId)).toMatchObject({ refunded: 1_000, standingRefunds: 1 })
  })

  it('whose commit was lost is entered, and one for which the payment has not enough left is an orphan', async () => {
    const open = await openRefund()
    const lost = () => ({ ...open, refundName: randomUUID(), gatewayRefundId: `re_${randomUUID()}` })
    const succeeded = (overrides: object) => refundEvent(lost(), 'refund.updated', 'succeeded', overrides)
    expect(await api.deliver(succeeded({ amount: 3_200 }))).toMatchObject({ body: { result: 'applied' } })
    expect(await booksOf(world, open.orderId)).toMatchObject({ refunded: 3_200, pending: 1_000 })
    expect(await api.deliver(succeeded({ amount: 1 }))).toMatchObject({ body: { result: 'unknown' } })
    const orphans = await world.sql('SELECT kind, amount_minor AS amount FROM orphans WHERE order_id = $1', [
      open.orderId,
    ])
    expect(orphans).toEqual([{ kind: 'refund', amount: 1 }])
  })
})

describe('a storm of hints', () => {
  it('waits neither for the lock of the order nor for the row of the payment, so it delays no settle', async () => {
    const [charged, goOn] = [createLatch('the gateway has charged'), createLatch('the answer arrives')]
    const owner = await world.replica('owner', {
      gateway: (real) => ({
        ...real,
        confirmIntent: async (...args) => {
          const answer = await real.confirmIntent(...args)
          charged.open()
          await goOn.wait()
          return answer
        },
      }),
    })
    const its = await world.api(owner)
    const orderId = await replica.createOrder()
    const waiting = owner.pay(orderId)
    await charged.wait()
    const payment = await paymentOf(world, orderId)
    const hint = () => its.deliver(intentEvent(payment, 'payment_intent.payment_failed'))
    // The first one flags the row.
    expect(await hint()).toMatchObject({ body: { result: 'noted' } })
    await world.sql('BEGIN')
    await world.sql('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`order:${accountId}:${orderId}`])
    await world.sql('SELECT FROM payments WHERE id = $1 FOR NO KEY UPDATE', [payment.paymentId])
    const taken = valuesOf(await raceCopies(200, hint))
    await world.sql('ROLLBACK')
    expect(new Set(taken.map(({ body }) => body.result))).toEqual(new Set(['noted']))
    goOn.open()
    expect(brief(await waiting)).toBe('answered 201')
    expect(await booksOf(world, orderId)).toEqual(paid)
  })
})
