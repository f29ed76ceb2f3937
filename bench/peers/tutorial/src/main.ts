// A payment as a good tutorial teaches it: redlock around "check, charge, update".
//
// It stays unsafe when a process dies, an answer is lost or a lock expires; apps/lab shows how. Here it is a yardstick
// for speed. It uses the same lean HTTP client as the floor, so that the comparison is about the steps.

import { randomUUID } from 'node:crypto'
import process from 'node:process'
import express from 'express'
import { Redis } from 'ioredis'
import pg from 'pg'
import Redlock from 'redlock'
import { Pool as HttpPool } from 'undici'

const { DATABASE_URL, REDIS_URLS = '', GATEWAY_URL = '', GATEWAY_API_KEY, HOST, PORT, EXIT_WITH_PARENT } = process.env

const lockTtlMs = 10_000

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 })
const gateway = new HttpPool(GATEWAY_URL, { connections: 100 })

interface Lease {
  release(): Promise<unknown>
}
// `redlock` ships types that its `exports` do not name.
type AcquiringRedlock = new (
  clients: readonly Redis[],
) => { acquire(resources: string[], durationMs: number): Promise<Lease> }
const redlock = new (Redlock as unknown as AcquiringRedlock)([new Redis(REDIS_URLS)])

const schema = `
  CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY, amount_minor int NOT NULL, status text NOT NULL DEFAULT 'pending');
  CREATE TABLE IF NOT EXISTS payments (
    id uuid PRIMARY KEY, order_id uuid NOT NULL, idempotency_key text UNIQUE NOT NULL, gateway_intent_id text NOT NULL,
    status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());`

async function charge(amountMinor: number, paymentMethod: string, orderId: string, key: string) {
  const form = { amount: String(amountMinor), currency: 'eur', 'metadata[orderId]': orderId }
  const intent = await askGateway('/v1/payment_intents', `${key}:create`, form)
  return askGateway(`/v1/payment_intents/${intent.id}/confirm`, `${key}:confirm`, { payment_method: paymentMethod })
}

async function askGateway(path: string, key: string, form: Record<string, string>) {
  const { statusCode, body } = await gateway.request({
    method: 'POST',
    path,
    headers: {
      authorization: `Bearer ${GATEWAY_API_KEY}`,
      'content-type': 'application/x-www-form-urlencoded',
      'idempotency-key': key,
    },
    body: new URLSearchParams(form).toString(),
  })
  const intent = (await body.json()) as { readonly id: string; readonly status: string }
  if (statusCode !== 200) throw new Error(`the gateway answered ${statusCode}`)
  return intent
}

async function findPayment(key: string) {
  const { rows } = await pool.query('SELECT * FROM payments WHERE idempotency_key = $1', [key])
  return rows[0]
}

const app = express()
app.use(express.json())

app.get('/readyz', (_request, response) => void response.json({ status: 'ready' }))

app.post('/v1/orders', async (request, response) => {
  const id = randomUUID()
  await pool.query('INSERT INTO orders (id, amount_minor) VALUES ($1, $2)', [id, request.body.amountMinor])
  response.status(201).json({ id })
})

app.post('/v1/orders/:id/payments', async (request, response) => {
  const orderId = request.params.id
  const key = request.get('idempotency-key') ?? ''
  const recorded = await findPayment(key)
  if (recorded) return void response.status(201).set('Idempotent-Replayed', 'true').json(recorded)

  const lock = await redlock.acquire([`order:${orderId}`], lockTtlMs)
  try {
    const { rows } = await pool.query('SELECT * FROM orders WHERE id = $1', [orderId])
    const order = rows[0]
    if (order?.status !== 'pending') return void response.status(409).json({ error: 'the order is not pending' })

    const intent = await charge(order.amount_minor, request.body.paymentMethod, orderId, key)

    const inserted = await pool.query(
      `INSERT INTO payments (id, order_id, idempotency_key, gateway_intent_id, status) VALUES ($1, $2, $3, $4, $5)
       RETURNING *`,
      [randomUUID(), orderId, key, intent.id, intent.status],
    )
    await pool.query("UPDATE orders SET status = 'paid' WHERE id = $1", [orderId])
    response.status(201).json(inserted.rows[0])
  } finally {
    await lock.release()
  }
})

await pool.query(schema)
app.listen(Number(PORT), HOST ?? '127.0.0.1')
if (EXIT_WITH_PARENT === '1') process.stdin.resume().on('end', () => process.exit(0))
