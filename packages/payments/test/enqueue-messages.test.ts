import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { recoverPayment } from '../src/index.ts'
import { accountId, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

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

function told() {
  return shop.sql<{ channel: string; topic: string; recipient: string | null; payload: object }>(
    'SELECT channel, topic, recipient, payload FROM outbox ORDER BY channel',
  )
}

it('a payment that succeeded is told on both channels, each once, with what a client sees', async () => {
  await listen()
  const orderId = await orderWithReceipt()
  await api.pay(orderId)
  const [payment] = await shop.sql<{ id: string }>('SELECT id FROM payments')
  expect(await told()).toEqual([
    {
      ...{ channel: 'receipt', topic: 'payment.succeeded', recipient: 'ada@example.com' },
      payload: { orderId, amountMinor: 1_999, currency: 'EUR' },
    },
    {
      ...{ channel: 'webhook', topic: 'payment.succeeded', recipient: null },
      payload: { id: payment?.id, state: 'succeeded' },
    },
  ])
})

it('nobody is told who did not ask: without an endpoint and without an address there is no row', async () => {
  await api.pay(await api.createOrder())
  expect(await told()).toEqual([])
})

it('a decline is told to the merchant, and no receipt is sent for it', async () => {
  await listen()
  await api.pay(await orderWithReceipt(), randomUUID(), 'pm_card_visa_chargeDeclined')
  expect(await told()).toMatchObject([{ channel: 'webhook', topic: 'payment.declined' }])
})

it('a message exists exactly with the commit that makes it true: rolled back with it, written once by who settles then', async () => {
  await listen()
  let settles = 0
  const breaking = await shop.replica('api-2', {
    layers: (real) => ({
      idempotencyKey: {
        ...real.idempotencyKey,
        // After the outbox rows, in the same transaction.
        answerIntent: async () => {
          settles += 1
          throw new Error('the settle breaks at its end')
        },
      },
    }),
  })
  const orderId = await orderWithReceipt()
  expect((await breaking.pay(orderId)).kind).toBe('unsettled')
  expect(settles).toBe(1)
  expect(await shop.charges(orderId)).toHaveLength(1)
  expect(await told()).toEqual([])

  await letLeasesRunOut(shop)
  await recoverPayment(api.deps)
  expect((await told()).map(({ channel, topic }) => `${channel} ${topic}`)).toEqual([
    'receipt payment.succeeded',
    'webhook payment.succeeded',
  ])
})

it('a fact that was told before takes the whole commit with it: a double settle is not hidden', async () => {
  await listen()
  const orderId = await orderWithReceipt()
  // Whoever settles first; here by hand, for a payment that is about to be settled.
  const racing = await shop.replica('api-2', {
    layers: (real) => ({
      gatewayIntent: async (claimed, lease) => {
        const evidence = await real.gatewayIntent(claimed, lease)
        await shop.sql(
          `INSERT INTO outbox (id, account_id, channel, topic, subject_id, payload)
           VALUES (gen_random_uuid(), $1, 'webhook', 'payment.succeeded', $2, '{}')`,
          [accountId, claimed.id],
        )
        return evidence
      },
    }),
  })
  expect((await racing.pay(orderId)).kind).toBe('unsettled')
  expect(racing.faults).toMatchObject([{ code: 'unique-violation' }])
  expect(await shop.sql('SELECT state FROM payments')).toEqual([{ state: 'processing' }])
  expect(await told()).toHaveLength(1)
})
