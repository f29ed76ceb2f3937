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
  const { orderId, paymentId, transferId } = await writePaidOrder()
  const books = await readBooks(pool)
  expect(books.orders).toEqual([
    { id: orderId, amountMinor: 1_234, currency: 'EUR', state: 'paid', createdAt: expect.any(Date) },
  ])
  expect(books.payments).toEqual([
    {
      id: paymentId,
      orderId,
      amountMinor: 1_234,
      currency: 'EUR',
      state: 'succeeded',
      gatewayIntentId: 'pi_1',
      gatewayChargeId: 'ch_1',
      settledAt: expect.any(Date),
    },
  ])
  expect(books.transfers).toEqual([{ id: transferId, paymentId, kind: 'charge', amountMinor: 1_234, currency: 'EUR' }])
  expect(books.recordedAnswers).toEqual([
    {
      key: 'key-1',
      paymentId,
      status: 201,
      location: `/v1/payments/${paymentId}`,
      // The same as over the bytes that go out.
      bodySha256: createHash('sha256').update(body).digest('hex'),
    },
  ])
  expect([...books.takenOverPaymentIds]).toEqual([paymentId])
})

it('counts orders and payments that wait for an outcome', async () => {
  const { orderId } = await writePaidOrder()
  const before = new Date(0)
  expect(await countUnsettled(pool, before)).toBe(0)
  await pool.query(`UPDATE orders SET state = 'processing', version = version + 1 WHERE id = $1`, [orderId])
  expect(await countUnsettled(pool, before)).toBe(1)
  expect(await countUnsettled(pool, new Date(Date.now() + 60_000))).toBe(0)
})

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
  await pool.query('DROP TABLE transfers')
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
  const money = { amountMinor: 1_234, currency: 'EUR' }
  const now = new Date()
  try {
    await seedDevelopment(database)
    const { client } = database
    await client.order.create({ data: { ...money, id: orderId, accountId, customerId: 'customer', state: 'paid' } })
    await client.payment.create({
      data: {
        ...{ ...money, id: paymentId, accountId, orderId, paymentMethod: 'pm_card_visa', state: 'succeeded' },
        ...{ gatewayIntentId: 'pi_1', gatewayChargeId: 'ch_1', intentParameters: {} },
        ...{ lookAt: now, wantedUntil: now, settledAt: now },
      },
    })
    await client.transfer.create({
      data: { ...money, id: transferId, paymentId, kind: 'charge', debitAccount: 'gateway', creditAccount: 'merchant' },
    })
    await client.paymentEvent.createMany({
      data: ['claimed', 'taken-over', 'taken-over'].map((event, index) => ({
        paymentId,
        event,
        by: 'test',
        generation: index,
      })),
    })
    await client.idempotencyKey.createMany({
      data: [
        {
          ...{ accountId, key: 'key-1', fingerprint: new Uint8Array(32), paymentId },
          ...{ answerStatus: 201, answerBody: body, answerLocation: `/v1/payments/${paymentId}` },
        },
        // Of an operation that was one transaction: it started no payment, and no attempt tells of it.
        {
          ...{ accountId, key: 'order-key', fingerprint: new Uint8Array(32) },
          ...{ answerStatus: 201, answerBody: '{}' },
        },
      ],
    })
    return { orderId, paymentId, transferId }
  } finally {
    await database.close()
  }
}
