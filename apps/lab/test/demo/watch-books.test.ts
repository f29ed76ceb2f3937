import { randomUUID } from 'node:crypto'
import { createDatabase, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type BooksWatch, watchBooks } from '../../src/demo/watch-books.ts'

const [{ id: accountId }] = developmentAccounts

let fresh: FreshDatabase
let client: pg.Client
let watch: BooksWatch

beforeEach(async () => {
  fresh = await freshDatabase()
  const database = createDatabase({ url: fresh.url, poolSize: 1, applicationName: 'watch-test' })
  await seedDevelopment(database).finally(() => database.close())
  client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  watch = await watchBooks(fresh.url)
})
afterEach(async () => {
  await watch.close()
  await client.end()
  await fresh.close()
})

it('counts the payments that an instance claimed and nobody has taken over', async () => {
  const orderId = randomUUID()
  await client.query(
    `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, state) VALUES ($1, $2, 'c', 5, 'EUR', 'processing')`,
    [orderId, accountId],
  )
  const paymentId = randomUUID()
  await client.query(
    `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, next_attempt_at, abandon_after, leased_until, intent_parameters)
     VALUES ($1, $2, $3, 5, 'EUR', 'pm_card_visa', now(), now(), now() + interval '1 minute', '{}')`,
    [paymentId, accountId, orderId],
  )
  await client.query(
    `INSERT INTO payment_events (account_id, payment_id, event, by, generation)
     SELECT account_id, id, 'claimed', 'worker-1', 1 FROM payments WHERE id = $1`,
    [paymentId],
  )
  expect([await watch.countPaymentsOf('worker-1'), await watch.countPaymentsOf('worker-2')]).toEqual([1, 0])
  await client.query('UPDATE payments SET generation = 2 WHERE id = $1', [paymentId])
  expect(await watch.countPaymentsOf('worker-1')).toBe(0)
})

it('knows the messages that a relay holds, and none that waits or was sent', async () => {
  const held = await message(`now() + interval '1 minute'`, 'NULL')
  await message('NULL', 'NULL')
  await message('NULL', 'now()')
  expect(await watch.messagesInFlight()).toEqual([held])
})

it('knows who leads the run that is under way', async () => {
  expect(await watch.billingLeader()).toBeNull()
  await client.query(
    `INSERT INTO billing_runs (hour, fence, led_by, finished_at)
     VALUES ('2026-01-01T00:00:00Z', 1, 'worker-1', now()), ('2026-01-01T01:00:00Z', 2, 'worker-2', NULL)`,
  )
  expect(await watch.billingLeader()).toBe('worker-2')
})

it('counts no subscriptions where none are asked about', async () => {
  expect(await watch.countPaid([randomUUID()])).toBe(0)
})

it('counts seats and places that are booked, and none that are held or were given back', async () => {
  expect(await watch.countBooked()).toBe(0)
  const tierId = await tierOnSale()
  await heldPlaces(tierId, 2)
  await book(await heldPlaces(tierId, 3), 'pending')
  await book(await heldPlaces(tierId, 1), 'cancelled')
  expect(await watch.countBooked()).toBe(3)
})

async function tierOnSale(): Promise<string> {
  const [eventId, tierId] = [randomUUID(), randomUUID()]
  await client.query(
    `INSERT INTO events (id, account_id, name, currency, sale_opens_at, sale_closes_at, seats_per_customer)
     VALUES ($1, $2, 'e', 'EUR', now(), now() + interval '1 hour', 10)`,
    [eventId, accountId],
  )
  await client.query(
    `INSERT INTO tiers (id, account_id, event_id, position, name, price_minor, capacity)
     SELECT $1, account_id, id, 1, 't', 5, 50 FROM events WHERE id = $2`,
    [tierId, eventId],
  )
  return tierId
}

/** Which are being checked out. */
async function heldPlaces(tierId: string, quantity: number): Promise<string> {
  const [holdId, orderId] = [randomUUID(), randomUUID()]
  await client.query(
    `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, purpose) VALUES ($1, $2, 'c', 5, 'EUR', 'checkout')`,
    [orderId, accountId],
  )
  await client.query(
    `INSERT INTO holds (id, account_id, event_id, customer_id, state, tier_id, quantity, amount_minor, currency, expires_at, checkouts, order_id, left_ms)
     SELECT $1, $2, event_id, 'c', 'checking_out', id, $4, 5, 'EUR', now(), 1, $5, 100 FROM tiers WHERE id = $3`,
    [holdId, accountId, tierId, quantity, orderId],
  )
  return holdId
}

async function book(holdId: string, state: 'pending' | 'cancelled'): Promise<void> {
  const paymentId = randomUUID()
  await client.query(
    `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, next_attempt_at, abandon_after, leased_until, intent_parameters)
     SELECT $1, account_id, order_id, 5, 'EUR', 'pm_card_visa', now(), now(), now(), '{}' FROM holds WHERE id = $2`,
    [paymentId, holdId],
  )
  await client.query(
    `INSERT INTO bookings (id, account_id, event_id, customer_id, hold_id, order_id, payment_id, state, cancelled_at)
     SELECT $1, account_id, event_id, customer_id, id, order_id, $2, $4::text::booking_state, CASE $4::text WHEN 'cancelled' THEN now() END FROM holds WHERE id = $3`,
    [randomUUID(), paymentId, holdId, state],
  )
}

/** Expressions of SQL. */
async function message(leasedUntil: string, publishedAt: string): Promise<string> {
  const id = randomUUID()
  await client.query(
    `INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload, leased_until, published_at)
     VALUES ($1, $2, 'receipt', 'payment.succeeded', $1, 'ada@example.com', '{}', ${leasedUntil}, ${publishedAt})`,
    [id, accountId],
  )
  return id
}
