import { createHash, randomUUID } from 'node:crypto'
import { createDatabase, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { createLatch, type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { capacityKept } from '../../src/auditor/invariants/capacity-kept.ts'
import { seatsSoldOnce } from '../../src/auditor/invariants/seats-sold-once.ts'
import { countUnsettled, readBooks } from '../../src/auditor/read-books.ts'
import { watchCapacity } from '../../src/auditor/watch-capacity.ts'

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
      disputedMinor: 0,
      ...{ capturedMinor: 1_234, gatewayIntentId: 'pi_1', gatewayChargeId: 'ch_1', voidAt: null },
      settledAt: expect.any(Date),
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
    `INSERT INTO payment_events (account_id, payment_id, event, detail, by, generation)
     SELECT account_id, id, $2, $3, 'test', 1 FROM payments WHERE id = $1`,
    [id, line.event, line.detail],
  )
  expect([...(await readBooks(pool)).leftOpenPaymentIds]).toEqual(counted === 1 ? [id] : [])
})

it('reads what the invariants need of seats, and adds up what belongs to a tier', async () => {
  const { seatId, sectionId, tierId, eventId, booked, places, lapsed, walkedAway } = await writeSale()
  const { seats } = await readBooks(pool, seenBefore)
  expect(seats?.events).toEqual([{ id: eventId, accountId }])
  expect(seats?.tiers).toEqual([{ id: tierId, capacity: 9, sold: 2, held: 3, soldByRows: 2, heldByRows: 4 }])
  expect(seats?.sections).toEqual([{ id: sectionId, seats: 3, claims: 2 }])
  const hold = { eventId, customerId: 'customer', amountMinor: 500, currency: 'EUR', seatIds: null, tierId: null }
  const times = { expiresAt: expect.any(Date), createdAt: expect.any(Date), orderId: null, quantity: 1 }
  expect(seats?.holds).toHaveLength(4)
  expect(seats?.holds).toEqual(
    expect.arrayContaining([
      { ...hold, ...times, id: booked.holdId, state: 'booked', seatIds: [seatId], orderId: booked.orderId },
      { ...hold, ...times, id: lapsed, state: 'active', tierId, quantity: 4 },
      { ...hold, ...times, id: walkedAway, state: 'released', tierId },
    ]),
  )
  expect(seats?.bookings).toHaveLength(2)
  expect(seats?.bookings).toContainEqual({
    ...{ id: booked.bookingId, customerId: 'customer', holdId: booked.holdId, orderId: booked.orderId },
    ...{ state: 'confirmed', createdAt: expect.any(Date) },
  })
  expect(seats?.bookings.map(({ id }) => id)).toContain(places.bookingId)
  expect(seats?.claims).toContainEqual({ seatId, holdId: booked.holdId, bookingId: booked.bookingId })
  expect(seats?.bookedSeats).toEqual([{ bookingId: booked.bookingId, seatId, releasedAt: null }])
  expect(seats?.seen).toBe(seenBefore)
})

it('the books of a sale, as the schema makes them, are told apart by nothing but what is wrong with them', async () => {
  await writeSale()
  const books = await readBooks(pool)
  const evidence = { ...nothingElse, books, seats: { attempts: [], books: books.seats } }
  // Its tier says three held and has four, and nobody was ever charged.
  expect(capacityKept.check(evidence).violations.map(({ what }) => what)).toEqual(['says 3 held, its holds 4'])
  expect(seatsSoldOnce.check(evidence).violations.map(({ what }) => what)).toEqual([
    ...['confirmed at 500 EUR, and charged nothing', 'confirmed at 500 EUR, and charged nothing'],
  ])
})

it('the watch sees what the counters and the claims of a sale are', async () => {
  const { tierId, sectionId } = await writeSale()
  const hasLooked = createLatch('the sections were counted')
  const query = async (...asked: [string, unknown[]?]) => {
    const answer = await pool.query(...asked)
    if (asked[0].includes('FROM seats')) hasLooked.open()
    return answer
  }
  const watch = watchCapacity({ query: query as never }, { onMissed: (error) => expect.fail(String(error)) })
  await hasLooked.wait()
  await watch.stop()
  const [tier] = watch.seen().tiers
  expect(tier).toEqual({
    ...{ id: tierId, samples: 1, capacity: 9, leastSold: 2, leastHeld: 3 },
    fullest: { sold: 2, held: 3, at: expect.any(Date) },
  })
  expect(watch.seen().sections).toEqual([{ id: sectionId, samples: 1, seats: 3, mostClaims: 2 }])
})

it.each([
  [
    'a booking that is being cancelled',
    `UPDATE bookings SET state = 'cancelling', refund_id = (SELECT id FROM refunds) WHERE id = $1`,
    'booked',
  ],
  [
    'a hold that is being checked out',
    `UPDATE holds SET state = 'checking_out', left_ms = 1, order_id = (SELECT id FROM orders WHERE purpose = 'invoice'), checkouts = 1 WHERE id = $1`,
    'lapsed',
  ],
] as const)('counts %s as unsettled', async (_, statement, which) => {
  const { booked, lapsed } = await writeSale()
  expect(await countUnsettled(pool, new Date(0))).toBe(0)
  await pool.query(statement, [which === 'lapsed' ? lapsed : booked.bookingId])
  expect(await countUnsettled(pool, new Date(0))).toBe(1)
})

it('counts the authorization of a checkout, which waits for no merchant', async () => {
  await writeHold(`now() + interval '1 hour'`)
  await pool.query(`UPDATE orders SET purpose = 'checkout', version = version + 1`)
  expect(await countUnsettled(pool, new Date(0))).toBe(1)
})

const seenBefore = { tiers: [], sections: [] }
const nothingElse = { attempts: [], ledger: [], mails: null, disturbances: [] }

/** A hall of three seats and a tier. One seat and two places are booked; a seat and four places are held, one was given back. */
async function writeSale() {
  await writePaidOrder()
  const [eventId, sectionId, tierId, seatId, otherSeatId] = Array.from({ length: 5 }, () => randomUUID())
  await pool.query(
    `INSERT INTO events (id, account_id, name, currency, sale_opens_at, sale_closes_at, seats_per_customer)
     VALUES ($1, $2, 'Concert', 'EUR', now() - interval '1 hour', now() + interval '1 hour', 10)`,
    [eventId, accountId],
  )
  await pool.query(
    `INSERT INTO event_sections (id, account_id, event_id, position, name, price_minor)
     SELECT $1, account_id, id, 0, 'Stalls', 500 FROM events WHERE id = $2`,
    [sectionId, eventId],
  )
  await pool.query(
    `INSERT INTO seats (id, account_id, event_id, section_id, row_position, row_name, number)
     SELECT id, (SELECT account_id FROM events WHERE id = $2), $2, $3, 0, 'A', number FROM unnest($1::uuid[]) WITH ORDINALITY seats (id, number)`,
    [[seatId, otherSeatId, randomUUID()], eventId, sectionId],
  )
  await pool.query(
    `INSERT INTO tiers (id, account_id, event_id, position, name, price_minor, capacity, sold, held)
     SELECT $1, account_id, id, 0, 'Floor', 500, 9, 2, 3 FROM events WHERE id = $2`,
    [tierId, eventId],
  )
  const hold = async (content: { seatIds?: string[]; quantity: number; state?: string; orderId?: string }) => {
    const id = randomUUID()
    const { seatIds = null, quantity, state = 'active', orderId = null } = content
    await pool.query(
      `INSERT INTO holds (id, account_id, event_id, customer_id, state, seat_ids, tier_id, quantity, amount_minor, currency,
                          expires_at, order_id, checkouts)
       VALUES ($1, $2, $3, 'customer', $4, $5, $6, $7, 500, 'EUR', now(), $8, $9)`,
      [id, accountId, eventId, state, seatIds, seatIds === null ? tierId : null, quantity, orderId, orderId ? 1 : 0],
    )
    return id
  }
  const book = async (content: { seatIds?: string[]; quantity: number }) => {
    const [orderId, paymentId, bookingId] = [randomUUID(), randomUUID(), randomUUID()]
    await pool.query(
      `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, state, purpose)
       VALUES ($1, $2, 'customer', 500, 'EUR', 'paid', 'checkout')`,
      [orderId, accountId],
    )
    await pool.query(
      `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, state, next_attempt_at, abandon_after,
                             gateway_intent_id, gateway_charge_id, intent_parameters, settled_at)
       VALUES ($1, $2, $3, 500, 'EUR', 'pm_card_visa', 'succeeded', now(), now(), $4, $5, '{}', now())`,
      [paymentId, accountId, orderId, `pi_${paymentId}`, `ch_${paymentId}`],
    )
    const holdId = await hold({ ...content, state: 'booked', orderId })
    await pool.query(
      `INSERT INTO bookings (id, account_id, event_id, customer_id, hold_id, order_id, payment_id, state, confirmed_at)
       VALUES ($1, $2, $3, 'customer', $4, $5, $6, 'confirmed', now())`,
      [bookingId, accountId, eventId, holdId, orderId, paymentId],
    )
    return { orderId, holdId, bookingId }
  }
  const booked = await book({ seatIds: [seatId ?? ''], quantity: 1 })
  const places = await book({ quantity: 2 })
  const lapsed = await hold({ quantity: 4 })
  const walkedAway = await hold({ quantity: 1, state: 'released' })
  await pool.query(
    'INSERT INTO booked_seats (account_id, booking_id, seat_id) SELECT account_id, id, $2 FROM bookings WHERE id = $1',
    [booked.bookingId, seatId],
  )
  await pool.query(
    `INSERT INTO seat_claims (seat_id, section_id, hold_id, expires_at, pinned, booking_id, account_id)
     SELECT claim.*, account_id FROM holds, (VALUES ($1::uuid, $3::uuid, $4::uuid, now(), true, $5::uuid), ($2, $3, $4, now(), false, NULL)) AS claim
      WHERE holds.id = $4`,
    [seatId, otherSeatId, sectionId, booked.holdId, booked.bookingId],
  )
  return { eventId, sectionId, tierId, seatId, booked, places, lapsed, walkedAway }
}

const setTo: Readonly<Record<string, string>> = {
  'an order': `UPDATE orders SET state = 'processing', version = version + 1`,
  'a refund': `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, next_attempt_at, gateway_intent_id, gateway_charge_id)
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
    `INSERT INTO refunds (id, account_id, order_id, payment_id, amount_minor, currency, state, next_attempt_at, gateway_intent_id, gateway_charge_id, gateway_refund_id)
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
    `INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, state, goal, next_attempt_at, abandon_after,
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
        ...{ nextAttemptAt: now, abandonAfter: now, settledAt: now },
      },
    })
    await client.refund.create({
      data: {
        ...{ id: refundId, accountId, orderId, paymentId, amountMinor: 234, currency: 'EUR', state: 'succeeded' },
        ...{
          gatewayIntentId: 'pi_1',
          gatewayChargeId: 'ch_1',
          gatewayRefundId: 're_1',
          nextAttemptAt: now,
          settledAt: now,
        },
      },
    })
    await client.transfer.create({
      data: {
        ...money,
        id: transferId,
        accountId,
        paymentId,
        kind: 'charge',
        debitAccount: 'gateway',
        creditAccount: 'merchant',
      },
    })
    await client.paymentEvent.createMany({
      data: ['claimed', 'taken-over', 'taken-over'].map((event, index) => ({
        ...{ accountId, paymentId, event, by: 'test', generation: index },
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
