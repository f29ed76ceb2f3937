import type { Pool, PoolClient } from 'pg'
import type { Books, OrderRow, PaymentRow, RecordedAnswerRow, TransferRow } from './evidence.ts'
import { IncompleteRead } from './incomplete-read.ts'

/** Rows of one table at most: with five tables some 500 MB at worst, and ten times what the longest run makes. */
const rowsLimit = 500_000

/**
 * Reads our books as they stood at one moment: one read-only transaction with one snapshot.
 * @throws IncompleteRead if a table could not be read to its end.
 */
export async function readBooks(pool: Pool): Promise<Books> {
  const client = await pool.connect().catch((cause) => {
    throw new IncompleteRead('the database could not be reached', { cause })
  })
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const books = await readAll(client)
    await client.query('COMMIT')
    client.release()
    return books
  } catch (cause) {
    // The connection goes with its transaction.
    client.release(true)
    if (cause instanceof IncompleteRead) throw cause
    throw new IncompleteRead('the database could not be read', { cause })
  }
}

/** The database's own time. @throws if it cannot be asked. */
export async function readClock(pool: Pool): Promise<Date> {
  const { rows } = await pool.query<{ now: Date }>('SELECT now()')
  if (rows[0] === undefined) throw new Error('the database did not say what time it is')
  return rows[0].now
}

/** How many payments and orders, of those made since then, wait for an outcome right now. @throws IncompleteRead */
export async function countUnsettled(pool: Pool, since: Date): Promise<number> {
  try {
    const { rows } = await pool.query<{ unsettled: number }>(
      `SELECT (SELECT count(*) FROM payments WHERE state = 'processing' AND created_at >= $1)::integer
            + (SELECT count(*) FROM orders WHERE state = 'processing' AND created_at >= $1)::integer AS unsettled`,
      [since],
    )
    return rows[0]?.unsettled ?? 0
  } catch (cause) {
    throw new IncompleteRead('the database could not be asked what is unsettled', { cause })
  }
}

async function readAll(client: PoolClient): Promise<Books> {
  const orders = await readRows<OrderRow>(
    client,
    `SELECT id, amount_minor AS "amountMinor", currency, state::text AS state, created_at AS "createdAt" FROM orders`,
  )
  const payments = await readRows<PaymentRow>(
    client,
    `SELECT id, order_id AS "orderId", amount_minor AS "amountMinor", currency, state::text AS state,
            gateway_intent_id AS "gatewayIntentId", gateway_charge_id AS "gatewayChargeId", settled_at AS "settledAt"
       FROM payments`,
  )
  const transfers = await readRows<TransferRow>(
    client,
    `SELECT id, payment_id AS "paymentId", kind, amount_minor AS "amountMinor", currency FROM transfers`,
  )
  // Bodies are compared by their hash, so that a hundred thousand of them need not travel.
  const recordedAnswers = await readRows<RecordedAnswerRow>(
    client,
    `SELECT key, payment_id AS "paymentId", answer_status AS status, answer_location AS location,
            encode(sha256(convert_to(answer_body, 'UTF8')), 'hex') AS "bodySha256"
       FROM idempotency_keys WHERE payment_id IS NOT NULL AND answer_status IS NOT NULL`,
  )
  const takenOver = await readRows<{ id: string }>(
    client,
    `SELECT DISTINCT payment_id AS id FROM payment_events WHERE event = 'taken-over'`,
  )
  return { orders, payments, transfers, recordedAnswers, takenOverPaymentIds: new Set(takenOver.map(({ id }) => id)) }
}

async function readRows<Row extends object>(client: PoolClient, query: string): Promise<Row[]> {
  const { rows } = await client.query<Row>(`${query} LIMIT ${rowsLimit + 1}`)
  if (rows.length > rowsLimit) throw new IncompleteRead(`more than ${rowsLimit} rows: ${query}`)
  return rows
}
