import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import { raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPaymentOperations } from '../src/index.ts'
import { accountId, brief, call, newOrder, newPayment, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let replicas: Replica[]
const replica = (at: number) => replicas[at % replicas.length] as Replica

beforeAll(async () => {
  shop = await openShop()
  replicas = await Promise.all(['api-1', 'api-2', 'api-3'].map((by) => shop.replica(by)))
})
afterAll(() => shop?.close())

describe('one key', () => {
  it('charges once when ten copies arrive at three replicas at once, and answers all of them the same in the end', async () => {
    const orderId = await replica(0).createOrder()
    const key = randomUUID()
    const answers = valuesOf(await raceCopies(10, (copy) => replica(copy).pay(orderId, key))).map(brief)
    expect(answers.filter((answer) => answer === 'answered 201')).toHaveLength(1)
    for (const answer of answers) expect(answer).toMatch(/^answered 201$|^refused (payment|request)-in-progress$/)

    const replays = valuesOf(await raceCopies(3, (copy) => replica(copy).pay(orderId, key)))
    expect(replays.map((replay) => replay.kind === 'answered' && replay.replayed)).toEqual([true, true, true])
    expect(new Set(replays.map((replay) => replay.kind === 'answered' && replay.answer.body)).size).toBe(1)
    expect(await shop.charges(orderId)).toEqual([expect.objectContaining({ amountMinor: 4_200 })])
  })

  it('stands for one request: another body is refused and not executed', async () => {
    const orderId = await replica(0).createOrder()
    const key = randomUUID()
    expect(brief(await replica(0).pay(orderId, key))).toBe('answered 201')
    expect(brief(await replica(1).pay(orderId, key, 'pm_card_mastercard'))).toBe('refused idempotency-key-reused')
    const otherOrder = await replica(0).createOrder()
    expect(brief(await replica(2).pay(otherOrder, key))).toBe('refused idempotency-key-reused')
    expect(await shop.charges(otherOrder)).toHaveLength(0)
  })

  it('starts one operation when it arrives for two orders at once, although these share no lock', async () => {
    const orders = [await replica(0).createOrder(), await replica(1).createOrder()]
    const key = randomUUID()
    const answers = valuesOf(await raceCopies(2, (copy) => replica(copy).pay(orders[copy] as string, key))).map(brief)
    expect(answers.sort()).toEqual(['answered 201', 'refused idempotency-key-reused'])
    const charges = await Promise.all(orders.map((orderId) => shop.charges(orderId)))
    expect(charges.flat()).toHaveLength(1)
    const states = await shop.sql<{ state: string }>('SELECT state FROM orders WHERE id = ANY($1) ORDER BY state', [
      orders,
    ])
    expect(states).toEqual([{ state: 'pending' }, { state: 'paid' }])
  })

  it('creates one order when ten copies of the creation arrive at once', async () => {
    const before = await shop.sql<{ n: string }>('SELECT count(*) AS n FROM orders')
    const key = randomUUID()
    const order = newOrder({ amountMinor: 700 })
    const results = valuesOf(
      await raceCopies(10, (copy) => createPaymentOperations(replica(copy).deps).createOrder(call(key, order), order)),
    )
    expect(new Set(results.map(brief))).toEqual(new Set(['answered 201']))
    expect(new Set(results.map((result) => result.kind === 'answered' && result.answer.body)).size).toBe(1)
    const after = await shop.sql<{ n: string }>('SELECT count(*) AS n FROM orders')
    expect(Number(after[0]?.n) - Number(before[0]?.n)).toBe(1)
  })
})

describe('two keys for one order', () => {
  it('charge it once when they arrive at once, and the loser changes nothing', async () => {
    const orderId = await replica(0).createOrder()
    const answers = valuesOf(await raceCopies(6, (copy) => replica(copy).pay(orderId))).map(brief)
    expect(answers.filter((answer) => answer === 'answered 201')).toHaveLength(1)
    expect(await shop.charges(orderId)).toHaveLength(1)
    expect(await shop.sql('SELECT 1 FROM payments WHERE order_id = $1', [orderId])).toHaveLength(1)
    expect(
      await shop.sql('SELECT 1 FROM idempotency_keys k JOIN payments p ON p.id = k.payment_id WHERE p.order_id = $1', [
        orderId,
      ]),
    ).toHaveLength(1)
    expect(brief(await replica(1).pay(orderId))).toBe('refused order-already-paid')
  })
})

describe('a decline', () => {
  it('is recorded for its key, cancels the intent before the order is open again, and lets a new key pay', async () => {
    const orderId = await replica(0).createOrder()
    const key = randomUUID()
    const declined = await replica(0).pay(orderId, key, 'pm_card_visa_chargeDeclinedInsufficientFunds')
    expect(brief(declined)).toBe('answered 402')
    expect(declined.kind === 'answered' && declined.answer.body).toContain('insufficient_funds')
    expect(await shop.sql('SELECT state, version FROM orders WHERE id = $1', [orderId])).toEqual([
      { state: 'pending', version: 2 },
    ])

    const again = await replica(1).pay(orderId, key, 'pm_card_visa_chargeDeclinedInsufficientFunds')
    expect(again).toEqual({ ...declined, replayed: true })
    expect(brief(await replica(2).pay(orderId))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)

    const history = await shop.sql<{ event: string }>(
      `SELECT event FROM payment_events e JOIN payments p ON p.id = e.payment_id WHERE p.order_id = $1 AND p.state = 'declined' ORDER BY e.id`,
      [orderId],
    )
    expect(history.map(({ event }) => event)).toEqual(['claimed', 'intent-created', 'confirm', 'cancel', 'settled'])
  })
})

describe('a cancellation', () => {
  it('and a payment that meet decide one after the other: exactly one of them takes effect', async () => {
    for (let round = 0; round < 5; round++) {
      const orderId = await replica(0).createOrder()
      const [paid, cancelled] = valuesOf(
        await raceCopies(2, (copy) => (copy === 0 ? replica(0).pay(orderId) : replica(1).cancel(orderId))),
      ).map(brief)
      const took = [paid === 'answered 201', cancelled === 'answered 200']
      expect(took.filter(Boolean)).toHaveLength(1)
      expect(await shop.charges(orderId)).toHaveLength(took[0] ? 1 : 0)
    }
  })

  it('is replayed for its key, also when it was decided while its copy waited', async () => {
    const orderId = await replica(0).createOrder()
    const key = randomUUID()
    const first = await replica(0).cancel(orderId, key)
    expect(brief(first)).toBe('answered 200')
    expect(await replica(1).cancel(orderId, key)).toEqual({ ...first, replayed: true })
    expect(brief(await replica(1).cancel(orderId))).toBe('refused order-cancelled')
    expect(brief(await replica(1).pay(orderId))).toBe('refused order-cancelled')
  })
})

describe("another account's order", () => {
  it('is unknown, and asking for it does not keep its owner from paying', async () => {
    const orderId = await replica(0).createOrder()
    const stranger = developmentAccounts[1].id
    expect(stranger).not.toBe(accountId)
    const request = newPayment({ orderId })
    const foreign = createPaymentOperations(replica(1).deps).payOrder(call('stranger', request, stranger), request)
    const own = replica(0).pay(orderId)
    expect([brief(await foreign), brief(await own)]).toEqual(['refused order-not-found', 'answered 201'])
  })
})
