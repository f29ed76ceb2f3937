import { randomUUID } from 'node:crypto'
import { type Refund as RefundRow, sql } from '@seatbelt/database'
import { underLock } from '@seatbelt/safety'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { orderLockName, recoverPayment, recoverRefund } from '../src/index.ts'
import { reverseRefund } from '../src/refund/reverse-refund.ts'
import { bankDecides, letRefundLeasesRunOut, refund } from './refund-support.ts'
import { accountId, brief, letLeasesRunOut, openShop, paymentIdOf, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica

beforeEach(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
})
afterEach(() => shop.close())

async function orderWithReceipt(): Promise<string> {
  const orderId = await api.createOrder(1_999)
  await shop.sql(`UPDATE orders SET receipt_email = 'ada@example.com', version = version + 1 WHERE id = $1`, [orderId])
  return orderId
}

async function listen(): Promise<void> {
  await shop.sql(`INSERT INTO webhook_endpoints (account_id, url, secret) VALUES ($1, 'https://shop.example', 's')`, [
    accountId,
  ])
}

function messages() {
  return shop.sql<{ channel: string; topic: string; recipient: string | null; payload: object }>(
    'SELECT channel, topic, recipient, payload FROM outbox ORDER BY channel',
  )
}

it('a payment that succeeded is announced on both channels, each once, as a client reads it', async () => {
  await listen()
  const orderId = await orderWithReceipt()
  await api.pay(orderId)
  const [payment] = await shop.sql<{ id: string }>('SELECT id FROM payments')
  const receipt = { orderId, amountMinor: 1_999, currency: 'EUR' }
  const seen = { id: payment?.id, state: 'succeeded' }
  expect(await messages()).toEqual([
    { channel: 'receipt', topic: 'payment.succeeded', recipient: 'ada@example.com', payload: receipt },
    { channel: 'webhook', topic: 'payment.succeeded', recipient: null, payload: seen },
  ])
})

it('there is no message without an endpoint and without an address', async () => {
  await api.pay(await api.createOrder())
  expect(await messages()).toEqual([])
})

it('a decline is announced to the merchant, and has no receipt', async () => {
  await listen()
  await api.pay(await orderWithReceipt(), randomUUID(), 'pm_card_visa_chargeDeclined')
  expect(await messages()).toMatchObject([{ channel: 'webhook', topic: 'payment.declined' }])
})

describe('a refund', () => {
  async function refunded(paymentMethod: string) {
    const orderId = await orderWithReceipt()
    const payment = await api.pay(orderId, randomUUID(), paymentMethod)
    await refund(api, paymentIdOf(payment))
    const [row] = await shop.sql<{ id: string; name: string }>('SELECT id, gateway_refund_id AS name FROM refunds')
    return row ?? { id: '', name: '' }
  }
  const mails = async () =>
    (await messages()).filter(({ channel, topic }) => channel === 'receipt' && topic.startsWith('refund.'))

  /** As recovery learns it. */
  async function learn({ id, name }: { id: string; name: string }) {
    await bankDecides(shop, name, 'fail')
    const [{ orderId = '', paymentId = '' } = {}] = await shop.sql<{ orderId: string; paymentId: string }>(
      'SELECT order_id AS "orderId", payment_id AS "paymentId" FROM refunds WHERE id = $1',
      [id],
    )
    await letRefundLeasesRunOut(shop, { orderId, paymentId })
    await recoverRefund(api.deps, id)
  }

  it('that the bank refuses after days is mailed: its customer was told that it is on its way', async () => {
    const pending = await refunded('pm_card_pendingRefund')
    expect(await mails()).toEqual([])
    await learn(pending)
    expect(await mails()).toMatchObject([{ topic: 'refund.failed', recipient: 'ada@example.com' }])
  })

  it('that the bank sends back is mailed a second time', async () => {
    const row = await refunded('pm_card_refundFail')
    await bankDecides(shop, row.name, 'fail')
    const { layers } = api.deps
    const [read] = await api.database.query<RefundRow>(sql`SELECT * FROM refunds`)
    if (!read) throw new Error('there is no refund')
    await underLock(layers, orderLockName(read), (tx) =>
      reverseRefund(api.deps, tx, read, { failureCode: 'declined', requestLog: [] }),
    )
    expect((await mails()).map(({ topic }) => topic).sort()).toEqual(['refund.reversed', 'refund.succeeded'])
  })

  it('whose request the gateway refused is a matter of the merchant alone', async () => {
    await listen()
    const orderId = await orderWithReceipt()
    await shop.faults({ on: 'refund', kind: 'refuse-refund', code: 'charge_disputed', rate: 1 })
    expect(brief(await refund(api, paymentIdOf(await api.pay(orderId))))).toBe('answered 402')
    expect(await mails()).toEqual([])
    expect((await messages()).map(({ topic }) => topic)).toContain('refund.failed')
  })
})

it('a message exists exactly with its commit: a failed settle writes none, and the next settle writes it', async () => {
  await listen()
  let settles = 0
  const breaking = await shop.replica('api-2', {
    layers: (real) => ({
      idempotencyKey: {
        ...real.idempotencyKey,
        // After the outbox rows, in the same transaction.
        recordAnswer: (tx) => {
          settles += 1
          tx.write(sql`SELECT 1 / 0`)
        },
      },
    }),
  })
  const orderId = await orderWithReceipt()
  expect((await breaking.pay(orderId)).kind).toBe('unsettled')
  expect(settles).toBe(1)
  expect(await shop.charges(orderId)).toHaveLength(1)
  expect(await messages()).toEqual([])

  await letLeasesRunOut(shop)
  await recoverPayment(api.deps)
  expect((await messages()).map(({ channel, topic }) => `${channel} ${topic}`)).toEqual([
    'receipt payment.succeeded',
    'webhook payment.succeeded',
  ])
})

it('a fact that was announced before rolls the whole commit back: a double settle is not hidden', async () => {
  await listen()
  const orderId = await orderWithReceipt()
  // An earlier settle; here by hand, for a payment that is about to be settled.
  const racing = await shop.replica('api-2', {
    layers: (real) => ({
      gatewayIntent: async (attempt) => {
        const evidence = await real.gatewayIntent(attempt)
        await shop.sql(
          `INSERT INTO outbox (id, account_id, channel, topic, subject_id, payload)
           VALUES (gen_random_uuid(), $1, 'webhook', 'payment.succeeded', $2, '{}')`,
          [accountId, attempt.id],
        )
        return evidence
      },
    }),
  })
  expect((await racing.pay(orderId)).kind).toBe('unsettled')
  expect(racing.faults).toMatchObject([{ code: 'unique-violation' }])
  expect(await shop.sql('SELECT state FROM payments')).toEqual([{ state: 'processing' }])
  expect(await messages()).toHaveLength(1)
})
