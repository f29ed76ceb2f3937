// The same payment as a durable workflow of DBOS: the idempotency key is the workflow's id; claim, create, confirm and
// record are its steps.
//
// DBOS commits the result of every step before the next one starts, and a repeated key returns the recorded result. It
// uses the same lean HTTP client as the floor, so that the comparison is about the steps, not about a client.

import { randomUUID } from 'node:crypto'
import process from 'node:process'
import { DBOS } from '@dbos-inc/dbos-sdk'
import express from 'express'
import pg from 'pg'
import { Pool as HttpPool } from 'undici'

const { DATABASE_URL = '', GATEWAY_URL = '', GATEWAY_API_KEY, HOST, PORT, EXIT_WITH_PARENT } = process.env

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 })
const gateway = new HttpPool(GATEWAY_URL, { connections: 100 })

const schema = `
  CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY, amount_minor int NOT NULL, status text NOT NULL DEFAULT 'pending', payment_id text);
  CREATE TABLE IF NOT EXISTS payments (
    id text PRIMARY KEY, order_id uuid NOT NULL, gateway_intent_id text NOT NULL, status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());`

/** Makes this workflow the one that pays the order. A repeated step finds its own claim and succeeds again. */
async function claimOrder(orderId: string, paymentId: string): Promise<number | null> {
  const { rows } = await pool.query<{ amount_minor: number }>(
    `UPDATE orders SET status = 'processing', payment_id = $2
      WHERE id = $1 AND (status = 'pending' OR payment_id = $2) RETURNING amount_minor`,
    [orderId, paymentId],
  )
  return rows[0]?.amount_minor ?? null
}

async function recordPayment(orderId: string, paymentId: string, intent: Intent): Promise<void> {
  await pool.query(
    `WITH payment AS (
       INSERT INTO payments (id, order_id, gateway_intent_id, status) VALUES ($2, $1, $3, $4)
       ON CONFLICT (id) DO NOTHING)
     UPDATE orders SET status = 'paid' WHERE id = $1`,
    [orderId, paymentId, intent.id, intent.status],
  )
}

interface Intent {
  readonly id: string
  readonly status: string
}

async function askGateway(path: string, key: string, form: Record<string, string>): Promise<Intent> {
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
  const intent = (await body.json()) as Intent
  if (statusCode !== 200) throw new Error(`the gateway answered ${statusCode}`)
  return { id: intent.id, status: intent.status }
}

/** Workflows that ran for the request that waits for them. The result of any other workflow was recorded earlier. */
const executed = new Set<string>()

/** Each effect is a step of its own. A step may run again after a crash; all four are harmless then. */
async function payWorkflow(orderId: string, paymentMethod: string) {
  const paymentId = DBOS.workflowID ?? ''
  executed.add(paymentId)
  const amountMinor = await DBOS.runStep(() => claimOrder(orderId, paymentId), { name: 'claim' })
  if (amountMinor === null) return null
  const { id } = await DBOS.runStep(() => createIntent(paymentId, orderId, amountMinor), { name: 'create' })
  const confirmed = await DBOS.runStep(() => confirmIntent(paymentId, id, paymentMethod), { name: 'confirm' })
  await DBOS.runStep(() => recordPayment(orderId, paymentId, confirmed), { name: 'record' })
  return { id: paymentId, orderId, amountMinor, gatewayIntentId: id, state: confirmed.status }
}

function createIntent(paymentId: string, orderId: string, amountMinor: number): Promise<Intent> {
  const form = { amount: String(amountMinor), currency: 'eur', 'metadata[orderId]': orderId }
  return askGateway('/v1/payment_intents', `${paymentId}:create`, form)
}

function confirmIntent(paymentId: string, intentId: string, paymentMethod: string): Promise<Intent> {
  const form = { payment_method: paymentMethod }
  return askGateway(`/v1/payment_intents/${intentId}/confirm`, `${paymentId}:confirm`, form)
}

const pay = DBOS.registerWorkflow(payWorkflow, { name: 'pay' })

const app = express()
app.use(express.json())

app.get('/readyz', (_request, response) => void response.json({ status: 'ready' }))

app.post('/v1/orders', async (request, response) => {
  const id = randomUUID()
  await pool.query('INSERT INTO orders (id, amount_minor) VALUES ($1, $2)', [id, request.body.amountMinor])
  response.status(201).json({ id })
})

app.post('/v1/orders/:id/payments', async (request, response) => {
  const workflowID = request.get('idempotency-key') ?? ''
  const handle = await DBOS.startWorkflow(pay, { workflowID })(request.params.id, request.body.paymentMethod)
  const payment = await handle.getResult()
  if (payment === null) return void response.status(409).json({ error: 'the order is not pending' })
  if (!executed.delete(workflowID)) response.set('Idempotent-Replayed', 'true')
  response.status(201).json(payment)
})

await pool.query(schema)
DBOS.setConfig({ name: 'bench', systemDatabaseUrl: DATABASE_URL, logLevel: 'warn' })
await DBOS.launch()
app.listen(Number(PORT), HOST ?? '127.0.0.1')
if (EXIT_WITH_PARENT === '1') process.stdin.resume().on('end', () => process.exit(0))
