// The floor: one payment with the essential work of Seatbelt, and nothing else.
//
// It does the steps that a safe payment cannot do without: read the idempotency key, take the Redis lock, commit a
// claim, create an intent, store its id, confirm it, settle with transfer and outbox message, release the lock. That
// makes 5 round trips to PostgreSQL, 2 to Redis and 2 to the gateway.
//
// The floor is a measure, not a model: without validation, error handling, recovery and authentication.

import { createHash, randomUUID } from 'node:crypto'
import process from 'node:process'
import express from 'express'
import { Redis } from 'ioredis'
import pg from 'pg'
import { Pool as HttpPool } from 'undici'

const { DATABASE_URL, REDIS_URLS, GATEWAY_URL, GATEWAY_API_KEY, HOST, PORT, EXIT_WITH_PARENT } = process.env

/** As many as one Seatbelt replica has. */
const databaseConnections = 10
/** More than requests that are ever in flight, so that no request waits for a connection to the gateway. */
const gatewayConnections = 100
const lockTtlMs = 5_000

const schema = `
  CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY, amount_minor int NOT NULL, state text NOT NULL DEFAULT 'pending', version int NOT NULL DEFAULT 0);
  CREATE TABLE IF NOT EXISTS payments (
    id uuid PRIMARY KEY, order_id uuid NOT NULL, state text NOT NULL, generation int NOT NULL, gateway_intent_id text,
    parameters jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
  CREATE UNIQUE INDEX IF NOT EXISTS payments_one_live ON payments (order_id) WHERE state IN ('processing', 'succeeded');
  CREATE TABLE IF NOT EXISTS payment_events (id bigserial PRIMARY KEY, payment_id uuid NOT NULL, event text NOT NULL);
  CREATE TABLE IF NOT EXISTS idempotency_keys (
    key text PRIMARY KEY, fingerprint bytea NOT NULL, payment_id uuid NOT NULL, status int, body text);
  CREATE TABLE IF NOT EXISTS transfers (id uuid PRIMARY KEY, payment_id uuid NOT NULL, amount_minor int NOT NULL);
  CREATE TABLE IF NOT EXISTS outbox (id uuid PRIMARY KEY, payment_id uuid NOT NULL, payload jsonb NOT NULL);`

const statements = {
  begin: 'BEGIN',
  commit: 'COMMIT',
  createOrder: 'INSERT INTO orders (id, amount_minor) VALUES ($1, $2)',
  findKey: 'SELECT status, body FROM idempotency_keys WHERE key = $1',
  lockOrder: 'SELECT pg_advisory_xact_lock($1::bigint)::text',
  readOrder: `
    SELECT orders.*,
           (SELECT count(*) FROM payments
             WHERE payments.order_id = orders.id AND payments.state IN ('processing', 'succeeded')) AS live_payments
      FROM orders WHERE id = $1`,
  claim: `
    WITH claimed AS (
      UPDATE orders SET state = 'processing', version = version + 1 WHERE id = $1 AND version = $2 RETURNING id),
    payment AS (
      INSERT INTO payments (id, order_id, state, generation, parameters)
      SELECT $3, id, 'processing', 1, $4::jsonb FROM claimed),
    event AS (
      INSERT INTO payment_events (payment_id, event) SELECT $3, 'claimed' FROM claimed),
    bound_key AS (
      INSERT INTO idempotency_keys (key, fingerprint, payment_id) SELECT $5, $6, $3 FROM claimed)
    SELECT id FROM claimed`,
  storeIntent: `
    WITH stored AS (
      UPDATE payments SET gateway_intent_id = $2
       WHERE id = $1 AND gateway_intent_id IS NULL AND generation = 1 RETURNING id)
    INSERT INTO payment_events (payment_id, event) SELECT id, 'intent stored' FROM stored`,
  settle: `
    WITH settled AS (
      UPDATE payments SET state = 'succeeded' WHERE id = $1 AND generation = 1 RETURNING id, order_id),
    paid AS (
      UPDATE orders SET state = 'paid', version = version + 1 FROM settled WHERE orders.id = settled.order_id),
    event AS (
      INSERT INTO payment_events (payment_id, event) SELECT id, 'settled' FROM settled),
    transfer AS (
      INSERT INTO transfers (id, payment_id, amount_minor) SELECT $2, id, $7 FROM settled),
    message AS (
      INSERT INTO outbox (id, payment_id, payload) SELECT $3, id, $4::jsonb FROM settled)
    UPDATE idempotency_keys SET status = 201, body = $5 FROM settled WHERE key = $6`,
}

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: databaseConnections, pipeline: true })
const redis = new Redis(REDIS_URLS)
const gateway = new HttpPool(GATEWAY_URL, { connections: gatewayConnections })

redis.defineCommand('releaseLock', {
  numberOfKeys: 1,
  lua: "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end",
})

/** Runs a prepared statement. Statements that are issued without awaiting each other leave together. */
function run(client, name, values = []) {
  return client.query({ name, text: statements[name], values })
}

/** Lends one connection, for the statements of one transaction. */
async function withConnection(work) {
  const client = await pool.connect()
  try {
    return await work(client)
  } finally {
    client.release()
  }
}

async function claim({ orderId, key, fingerprint, paymentId, parameters }) {
  await withConnection(async (client) => {
    const [, , order] = await Promise.all([
      run(client, 'begin'),
      run(client, 'lockOrder', [lockNumber(orderId)]),
      run(client, 'readOrder', [orderId]),
    ])
    const { version } = order.rows[0]
    await Promise.all([
      run(client, 'claim', [orderId, version, paymentId, JSON.stringify(parameters), key, fingerprint]),
      run(client, 'commit'),
    ])
  })
}

async function settle({ orderId, key, paymentId, body, amountMinor }) {
  await withConnection((client) =>
    Promise.all([
      run(client, 'begin'),
      run(client, 'lockOrder', [lockNumber(orderId)]),
      run(client, 'settle', [paymentId, randomUUID(), randomUUID(), body, body, key, amountMinor]),
      run(client, 'commit'),
    ]),
  )
}

function lockNumber(orderId) {
  return BigInt(`0x${orderId.replaceAll('-', '').slice(0, 15)}`).toString()
}

async function askGateway(path, key, form) {
  const { body } = await gateway.request({
    method: 'POST',
    path,
    headers: {
      authorization: `Bearer ${GATEWAY_API_KEY}`,
      'content-type': 'application/x-www-form-urlencoded',
      'idempotency-key': key,
    },
    body: new URLSearchParams(form).toString(),
  })
  return body.json()
}

async function pay(orderId, key, fingerprint, { paymentMethod }) {
  const paymentId = randomUUID()
  const amountMinor = 1_000
  const parameters = {
    amount: String(amountMinor),
    currency: 'eur',
    payment_method: paymentMethod,
    confirm: 'false',
    capture_method: 'automatic',
    'metadata[paymentId]': paymentId,
    'metadata[orderId]': orderId,
  }
  await claim({ orderId, key, fingerprint, paymentId, parameters })
  const intent = await askGateway('/v1/payment_intents', `${paymentId}:create:1`, parameters)
  await run(pool, 'storeIntent', [paymentId, intent.id])
  const confirmed = await askGateway(`/v1/payment_intents/${intent.id}/confirm`, `${paymentId}:confirm:1`, {
    payment_method: paymentMethod,
  })
  const payment = { id: paymentId, orderId, amountMinor, state: confirmed.status, gatewayIntentId: intent.id }
  const body = JSON.stringify({ ...payment, createdAt: new Date() })
  await settle({ orderId, key, paymentId, body, amountMinor })
  return body
}

const app = express()
app.use(express.json())

app.get('/readyz', (_request, response) => response.json({ status: 'ready' }))

app.post('/v1/orders', async (request, response) => {
  const id = randomUUID()
  await run(pool, 'createOrder', [id, request.body.amountMinor])
  response.status(201).json({ id })
})

app.post('/v1/orders/:id/payments', async (request, response) => {
  const orderId = request.params.id
  const key = request.get('idempotency-key')
  const fingerprint = createHash('sha256').update(JSON.stringify(request.body)).digest()
  const { rows } = await run(pool, 'findKey', [key])
  if (rows[0]?.status) {
    response.status(rows[0].status).set('Idempotent-Replayed', 'true').type('json').send(rows[0].body)
    return
  }
  const token = randomUUID()
  await redis.set(`lock:${orderId}`, token, 'PX', lockTtlMs, 'NX')
  const body = await pay(orderId, key, fingerprint, request.body)
  await redis.releaseLock(`lock:${orderId}`, token)
  response.status(201).type('json').send(body)
})

await pool.query(schema)
app.listen(Number(PORT), HOST)
if (EXIT_WITH_PARENT === '1') process.stdin.resume().on('end', () => process.exit(0))
