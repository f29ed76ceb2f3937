import { createHash, randomUUID } from 'node:crypto'
import { createDatabase, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { countUnsettled, readBooks } from '../../src/auditor/read-books.ts'

const [{ id: accountId }] = developmentAccounts
const body = '{"customer":"Zoë"}'

let fresh: FreshDatabase
let pool: pg.Pool

beforeEach(async () => {
  fresh = await freshDatabase()
  pool = new pg.Pool({ connectionString: fresh.url, max: 2 })
})

afterEach(async () => {
  await pool.end()
  await fresh.close()
})

it('reads all that the invariants need, from the tables as the migrations make them', async () => {
  const { orderId, paymentId, transferId, refundId, subscriptionId, invoiceId, receiptId } = await writePaidOrder()
  const books = await readBooks(pool)
  const money = { amountMinor: 1_234, currency: 'EUR' }
  expect(books.readAt).toBeInstanceOf(Date)
  expect(books.orders).toEqual([
    {
      ...{ ...money, id: orderId, accountId, state: 'partially_refunded', purpose: 'invoice' },
      ...{ receiptEmail: 'zoe@example.com', createdAt: expect.any(Date) },
    },
  ])
  expect(books.payments).toEqual([
    {
      ...{ ...money, id: paymentId, orderId, state: 'succeeded', refundedMinor: 234, refundPendingMinor: 0 },
      ...{ gatewayIntentId: 'pi_1', gatewayChargeId: 'ch_1', voidAt: null, settledAt: expect.any(Date) },
    },
  ])
  expect(books.refunds).toEqual([
    {
      ...{ id: refundId, orderId, paymentId, origin: 'merchant', amountMinor: 234, currency: 'EUR' },
      ...{ state: 'succeeded', gatewayChargeId: 'ch_1', gatewayRefundId: 're_1', reversedAt: null },
    },
  ])
  expect(books.transfers).toEqual([
    {
      ...{ ...money, id: transferId, paymentId, refundId: null, kind: 'charge' },
      ...{ debitAccount: 'gateway', creditAccount: 'merchant' },
    },
  ])
  expect(books.recordedAnswers).toEqual([
    {
      ...{ accountId, key: 'key-1', status: 201, location: `/v1/payments/${paymentId}` },
      // The same as over the bytes that go out.
      bodySha256: createHash('sha256').update(body).digest('hex'),
    },
    // Of an operation that was one transaction: it started no payment, and is an answer like any other.
    {
      ...{ accountId, key: 'order-key', status: 201, location: null },
      bodySha256: createHash('sha256').update('{}').digest('hex'),
    },
  ])
  expect(books.subscriptions).toEqual([
    {
      ...{ id: subscriptionId, state: 'active', nextPeriod: 1 },
      ...{ nextDueAt: expect.any(Date), createdAt: expect.any(Date) },
    },
  ])
  expect(books.invoices).toEqual([{ id: invoiceId, subscriptionId, period: 0, orderId, state: 'paid' }])
  // Not the webhook of the same fact.
  expect(books.receipts).toEqual([
    {
      ...{ id: receiptId, topic: 'payment.succeeded', subjectId: paymentId, recipient: 'zoe@example.com' },
      ...{ attempts: 2, isGivenUp: false },
    },
  ])
  expect([...books.leftOpenPaymentIds]).toEqual([paymentId])
})

it.each([
  ['an owner gave up', { event: 'unknown', detail: 'deadline' }, 1],
  ['an owner was deposed before it had an answer', { event: 'superseded', detail: 'connection' }, 1],
  ['an owner was deposed though it had seen the outcome', { event: 'superseded', detail: 'succeeded' }, 0],
  ['its owner finished it', { event: 'settled', detail: 'succeeded' }, 0],
])('a payment counts as left open where %s', async (_, line, counted) => {
  await writeHold('now()')
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM payments')
  const id = rows[0]?.id
  await pool.query(
    "INSERT INTO payment_events (payment_id, event, detail, by, generation) VALUES ($1, $2, $3, 'test', 1)",
    [id, line.event, line.detail],
  )
  expect([...(await readBooks(pool)).leftOpenPaymentIds]).toEqual(counted === 1 ? [id] : [])
})

const setTo: Readonly<Record<string, string>> = {
  'an order': `UPDATE orders SET state = 'processing', version = version + 1`,
  'a refund': `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, look_at, gateway_intent_id, gateway_charge_id)
    SELECT gen_random_uuid(), account_id, order_id, id, 1, 'EUR', now(), 'pi_1', 'ch_1' FROM payments`,
  'a receipt': `INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload, last_error)
    SELECT gen_random_uuid(), account_id, 'receipt', 'refund.succeeded', id, 'zoe@example.com', '{}', 'refused' FROM refunds`,
  'a webhook that nobody has refused yet': `INSERT INTO outbox (id, account_id, channel, topic, subject_id, payload)
    SELECT gen_random_uuid(), account_id, 'webhook', 'refund.succeeded', id, '{}' FROM refunds`,
}

it.each(Object.entries(setTo))('counts %s that waits for us', async (_, statement) => {
  await writePaidOrder()
  const before = new Date(0)
  expect(await countUnsettled(pool, before)).toBe(0)
  await pool.query(statement)
  expect(await countUnsettled(pool, before)).toBe(1)
  expect(await countUnsettled(pool, new Date(Date.now() + 60_000))).toBe(0)
})

it('does not count what waits for others: a merchant, a bank, a receiver of webhooks', async () => {
  await writePaidOrder()
  await pool.query(
    `INSERT INTO outbox (id, account_id, channel, topic, subject_id, payload, last_error)
     SELECT gen_random_uuid(), account_id, 'webhook', 'refund.succeeded', id, '{}', 'refused' FROM refunds`,
  )
  await pool.query(
    `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, state, look_at, gateway_intent_id, gateway_charge_id, gateway_refund_id)
     SELECT gen_random_uuid(), account_id, order_id, id, 1, 'EUR', 'pending', now(), 'pi_1', 'ch_1', 're_2' FROM payments`,
  )
  await writeHold(`now() + interval '1 hour'`)
  expect(await countUnsettled(pool, new Date(0))).toBe(0)
})

it('counts an authorization that nobody gave back in time', async () => {
  await writeHold('now()')
  expect(await countUnsettled(pool, new Date(0))).toBe(1)
})

/** An order of which the money is on hold. `voidAt`: an SQL expression. */
async function writeHold(voidAt: string): Promise<void> {
  const database = createDatabase({ url: fresh.url, poolSize: 1, applicationName: 'books-test' })
  await seedDevelopment(database).finally(() => database.close())
  await pool.query(
    `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, state)
     VALUES (gen_random_uuid(), $1, 'customer', 5, 'EUR', 'processing')`,
    [accountId],
  )
  await pool.query(
    `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, state, goal, look_at, wanted_until,
                           gateway_intent_id, intent_parameters, authorized_at, void_at)
     SELECT gen_random_uuid(), account_id, id, 5, 'EUR', 'pm_card_visa', 'authorized', 'authorize', now(), now(), 'pi_held', '{}',
            now(), ${voidAt} FROM orders WHERE state = 'processing'`,
  )
}

it('writes nothing: whatever it reads with cannot', async () => {
  const statements: string[] = []
  const client = await pool.connect()
  const query = client.query.bind(client)
  Object.assign(client, {
    query: (text: string) => {
      statements.push(text)
      return query(text)
    },
  })
  client.release()
  await readBooks(pool)
  expect(statements[0]).toContain('READ ONLY')
})

it('is incomplete where a table cannot be read, and leaves no connection behind', async () => {
  await pool.query('DROP TABLE invoices')
  await expect(readBooks(pool)).rejects.toMatchObject({ code: 'incomplete-read' })
  expect(pool.totalCount).toBe(0)
})

it('is incomplete where there is no database', async () => {
  const nowhere = new pg.Pool({ connectionString: 'postgresql://127.0.0.1:1/nowhere' })
  await expect(readBooks(nowhere)).rejects.toMatchObject({ code: 'incomplete-read' })
  await expect(countUnsettled(nowhere, new Date(0))).rejects.toMatchObject({ code: 'incomplete-read' })
  await nowhere.end()
})

async function writePaidOrder() {
  const database = createDatabase({ url: fresh.url, poolSize: 1, applicationName: 'books-test' })
  const [orderId, paymentId, transferId] = [randomUUID(), randomUUID(), randomUUID()]
  const [refundId, subscriptionId, invoiceId, receiptId] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
  const money = { amountMinor: 1_234, currency: 'EUR' }
  const now = new Date()
  try {
    await seedDevelopment(database)
    const { client } = database
    await client.order.create({
      data: {
        ...{ ...money, id: orderId, accountId, customerId: 'customer', state: 'partially_refunded' },
        ...{ purpose: 'invoice', receiptEmail: 'zoe@example.com' },
      },
    })
    await client.payment.create({
      data: {
        ...{ ...money, id: paymentId, accountId, orderId, paymentMethod: 'pm_card_visa', state: 'succeeded' },
        ...{ gatewayIntentId: 'pi_1', gatewayChargeId: 'ch_1', intentParameters: {}, refundedMinor: 234 },
        ...{ lookAt: now, wantedUntil: now, settledAt: now },
      },
    })
    await client.refund.create({
      data: {
        ...{ id: refundId, accountId, orderId, paymentId, amountMinor: 234, currency: 'EUR', state: 'succeeded' },
        ...{ gatewayIntentId: 'pi_1', gatewayChargeId: 'ch_1', gatewayRefundId: 're_1', lookAt: now, settledAt: now },
      },
    })
    await client.transfer.create({
      data: { ...money, id: transferId, paymentId, kind: 'charge', debitAccount: 'gateway', creditAccount: 'merchant' },
    })
    await client.paymentEvent.createMany({
      data: ['claimed', 'taken-over', 'taken-over'].map((event, index) => ({
        ...{ paymentId, event, by: 'test', generation: index },
      })),
    })
    await client.subscription.create({
      data: {
        ...{ ...money, id: subscriptionId, accountId, customerId: 'customer', gatewayCustomerId: 'cus_1' },
        ...{ paymentMethod: 'pm_1', intervalUnit: 'month', intervalCount: 1, timeZone: 'UTC', anchor: now },
        ...{ nextPeriod: 1, nextDueAt: now },
      },
    })
    await client.invoice.create({
      data: {
        ...{ id: invoiceId, accountId, subscriptionId, period: 0, dueAt: now, orderId, state: 'paid' },
        ...{ nextTryAt: now, settledAt: now },
      },
    })
    const told = { accountId, topic: 'payment.succeeded', subjectId: paymentId, payload: {}, publishedAt: now }
    await client.outboxMessage.createMany({
      data: [
        { ...told, id: receiptId, channel: 'receipt', recipient: 'zoe@example.com', attempts: 2 },
        { ...told, id: randomUUID(), channel: 'webhook' },
      ],
    })
    await client.idempotencyKey.createMany({
      data: [
        {
          ...{ accountId, key: 'key-1', fingerprint: new Uint8Array(32), paymentId },
          ...{ answerStatus: 201, answerBody: body, answerLocation: `/v1/payments/${paymentId}` },
        },
        {
          ...{ accountId, key: 'order-key', fingerprint: new Uint8Array(32) },
          ...{ answerStatus: 201, answerBody: '{}' },
        },
      ],
    })
    return { orderId, paymentId, transferId, refundId, subscriptionId, invoiceId, receiptId }
  } finally {
    await database.close()
  }
}
