import type { Pool, PoolClient, QueryResult } from 'pg'
import { allOf } from './all-of.ts'
import type {
  Books,
  DisputeRow,
  GatewayCustomerRow,
  InvoiceRow,
  OrderRow,
  PaymentRow,
  ReceiptRow,
  RecordedAnswerRow,
  RefundRow,
  SubscriptionRow,
  TransferRow,
} from './evidence.ts'
import { IncompleteRead } from './incomplete-read.ts'
import { readSeatBooks } from './read-seat-books.ts'
import type { CapacitySeen } from './seat-evidence.ts'

/** Rows of one table at most: some 700 MB at worst, and ten times what the longest run makes. */
const rowsLimit = 500_000

/** A pool, or what lends one connection. */
export interface Connects {
  connect(): Promise<Reader>
}

type Reader = Pick<PoolClient, 'query' | 'release' | 'pipeline'>
type Query = (text: string) => Promise<QueryResult>

/**
 * Reads our books as they stood at one moment: one read-only transaction with one snapshot. `seen` is what tiers and sections
 * looked like before, if anybody looked.
 * @throws IncompleteRead if a table could not be read to its end.
 */
export async function readBooks(pool: Connects, seen: CapacitySeen | null = null): Promise<Books> {
  const client = await pool.connect().catch((cause) => {
    throw new IncompleteRead('the database could not be reached', { cause })
  })
  try {
    const query: Query = client.pipeline ? (text) => client.query(text) : inTurn((text) => client.query(text))
    const begun = query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const [books] = await Promise.all([readAll(query, seen), begun, query('COMMIT')])
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

/**
 * How much, of what was made since then, waits right now for an outcome or to be sent. @throws IncompleteRead
 *
 * Not what waits for others than us: an authorization whose merchant still has time, a refund whose bank takes its own, and a
 * webhook whose receiver refused it. The authorization of a checkout waits for us alone; and a hold that nobody checks out waits
 * for its customer, however long ago it lapsed.
 */
export async function countUnsettled(pool: Pool, since: Date): Promise<number> {
  try {
    const { rows } = await pool.query<{ unsettled: number }>(
      `SELECT (SELECT count(*) FROM payments
                WHERE (state IN ('processing', 'capturing', 'voiding') OR (state = 'authorized' AND (void_at <= now()
                       OR EXISTS (SELECT FROM orders WHERE id = order_id AND purpose = 'checkout'))))
                  AND created_at >= $1)::integer
            + (SELECT count(*) FROM orders WHERE state = 'processing' AND created_at >= $1
                  AND NOT EXISTS (SELECT FROM payments WHERE order_id = orders.id AND payments.state = 'authorized'))::integer
            + (SELECT count(*) FROM refunds WHERE state = 'processing' AND created_at >= $1)::integer
            + (SELECT count(*) FROM holds WHERE state = 'checking_out' AND created_at >= $1)::integer
            + (SELECT count(*) FROM bookings WHERE state IN ('pending', 'cancelling') AND created_at >= $1)::integer
            + (SELECT count(*) FROM outbox WHERE published_at IS NULL AND dead_at IS NULL AND created_at >= $1
                  AND (channel = 'receipt' OR last_error IS NULL))::integer AS unsettled`,
      [since],
    )
    return rows[0]?.unsettled ?? 0
  } catch (cause) {
    throw new IncompleteRead('the database could not be asked what is unsettled', { cause })
  }
}

async function readAll(query: Query, seen: CapacitySeen | null): Promise<Books> {
  const money = `amount_minor AS "amountMinor", currency`
  const rowsOf = <Row extends object>(text: string) => readRows<Row>(query, text)
  const { clock, leftOpenPayments, names, announced, endpoints, seats, ...books } = await allOf({
    clock: rowsOf<{ now: Date }>('SELECT now()'),
    names: rowsOf<{ name: string; id: string }>(
      `SELECT gateway_reference AS name, id FROM orders WHERE gateway_reference IS NOT NULL
        UNION ALL SELECT gateway_key, id FROM payments WHERE gateway_key IS NOT NULL
        UNION ALL SELECT gateway_key, id FROM refunds WHERE gateway_key IS NOT NULL`,
    ),
    orders: rowsOf<OrderRow>(
      `SELECT id, account_id AS "accountId", ${money}, state::text AS state, purpose, receipt_email AS "receiptEmail",
              created_at AS "createdAt" FROM orders`,
    ),
    payments: rowsOf<PaymentRow>(
      `SELECT id, order_id AS "orderId", ${money}, state::text AS state,
              COALESCE(captured_minor, amount_minor) AS "capturedMinor", refunded_minor AS "refundedMinor",
              refund_pending_minor AS "refundPendingMinor", disputed_minor AS "disputedMinor", gateway_intent_id AS "gatewayIntentId",
              gateway_charge_id AS "gatewayChargeId", void_at AS "voidAt", settled_at AS "settledAt" FROM payments`,
    ),
    refunds: rowsOf<RefundRow>(
      `SELECT id, order_id AS "orderId", payment_id AS "paymentId", origin, ${money}, state::text AS state,
              gateway_charge_id AS "gatewayChargeId", gateway_refund_id AS "gatewayRefundId", reversed_at AS "reversedAt"
         FROM refunds`,
    ),
    disputes: rowsOf<DisputeRow>(
      `SELECT id, payment_id AS "paymentId", gateway_dispute_id AS "gatewayDisputeId", gateway_status AS "gatewayStatus"
         FROM disputes`,
    ),
    transfers: rowsOf<TransferRow>(
      `SELECT id, payment_id AS "paymentId", refund_id AS "refundId", kind, debit_account AS "debitAccount",
              credit_account AS "creditAccount", ${money} FROM transfers`,
    ),
    // Bodies are compared by their hash, so that a hundred thousand of them need not travel.
    recordedAnswers: rowsOf<RecordedAnswerRow>(
      `SELECT account_id AS "accountId", key, answer_status AS status, answer_location AS location,
              encode(sha256(convert_to(answer_body, 'UTF8')), 'hex') AS "bodySha256"
         FROM idempotency_keys WHERE answer_status IS NOT NULL`,
    ),
    subscriptions: rowsOf<SubscriptionRow>(
      `SELECT id, state::text AS state, next_period AS "nextPeriod", next_due_at AS "nextDueAt",
              created_at AS "createdAt" FROM subscriptions`,
    ),
    gatewayCustomers: rowsOf<GatewayCustomerRow>(
      `SELECT gateway_customer_id AS id, account_id AS "accountId" FROM gateway_customers`,
    ),
    invoices: rowsOf<InvoiceRow>(
      `SELECT id, subscription_id AS "subscriptionId", period, order_id AS "orderId", state::text AS state FROM invoices`,
    ),
    receipts: rowsOf<ReceiptRow>(
      `SELECT id, topic, subject_id AS "subjectId", recipient, attempts, dead_at IS NOT NULL AS "isGivenUp"
         FROM outbox WHERE channel = 'receipt'`,
    ),
    announced: rowsOf<{ fact: string }>(
      `SELECT topic || ' ' || subject_id AS fact FROM outbox WHERE channel = 'webhook'`,
    ),
    endpoints: rowsOf<{ accountId: string }>('SELECT account_id AS "accountId" FROM webhook_endpoints'),
    // A deposed owner's last line has the outcome that it had seen, or why it had seen none.
    leftOpenPayments: rowsOf<{ id: string }>(
      `SELECT DISTINCT payment_id AS id FROM payment_events
        WHERE refund_id IS NULL AND (event IN ('taken-over', 'unknown') OR (event = 'superseded'
              AND detail NOT IN ('authorized', 'succeeded', 'declined', 'cancelled', 'voided')))`,
    ),
    seats: readSeatBooks(rowsOf),
  })
  const [{ now: readAt } = { now: null }] = clock
  if (readAt === null) throw new Error('the database did not say what time it is')
  return {
    ...books,
    readAt,
    idsByName: new Map(names.map(({ name, id }) => [name, id])),
    announced: new Set(announced.map(({ fact }) => fact)),
    accountsWithWebhooks: new Set(endpoints.map(({ accountId }) => accountId)),
    leftOpenPaymentIds: new Set(leftOpenPayments.map(({ id }) => id)),
    seats: { ...seats, seen },
  }
}

async function readRows<Row extends object>(query: Query, text: string): Promise<Row[]> {
  const { rows } = await query(`${text} LIMIT ${rowsLimit + 1}`)
  if (rows.length > rowsLimit) throw new IncompleteRead(`more than ${rowsLimit} rows: ${text}`)
  return rows
}

/** Without a pipeline, a statement is sent when the one before it was answered: each then has its own time-out. */
function inTurn(query: Query): Query {
  let last: Promise<unknown> = Promise.resolve()
  return (text) => {
    const result = last.then(() => query(text))
    last = result
    return result
  }
}
