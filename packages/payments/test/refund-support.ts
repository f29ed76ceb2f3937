import { randomUUID } from 'node:crypto'
import type { Currency } from '@seatbelt/domain'
import { createPaymentOperations, type NewRefundRequest, type RefundResult, recoverRefund } from '../src/index.ts'
import { accountId, bodyOf, call, type Replica, type Shop } from './shop.ts'

export interface Paid {
  readonly orderId: string
  readonly paymentId: string
}

/** A paid order of 4,200 minor units. The card decides what becomes of its refunds. */
export async function openPaid(
  replica: Replica,
  paymentMethod = 'pm_card_visa',
  currency: Currency = 'EUR',
): Promise<Paid> {
  const orderId = await replica.createOrder(4_200, currency)
  const { paymentId } = bodyOf<{ paymentId: string }>(await replica.pay(orderId, randomUUID(), paymentMethod))
  return { orderId, paymentId }
}

/** `amountMinor` null: all that is left. */
export function refund(
  replica: Replica,
  paymentId: string,
  amountMinor: number | null = null,
  key: string = randomUUID(),
): Promise<RefundResult> {
  const request: NewRefundRequest = { paymentId, amountMinor, reason: null }
  return createPaymentOperations(replica.deps).refundPayment(call(key, request), request)
}

interface RefundRow {
  readonly id: string
  readonly state: string
  readonly amountMinor: number
  readonly failureCode: string | null
  readonly generation: number
  readonly attempt: number
  readonly gatewayRefundId: string | null
}

/** What is in the database about a payment and its refunds. */
export async function booksOf(shop: Shop, { orderId, paymentId }: Paid) {
  const [order] = await shop.sql<{ state: string }>('SELECT state FROM orders WHERE id = $1', [orderId])
  const [payment] = await shop.sql<{ refunded: number; pending: number }>(
    'SELECT refunded_minor AS refunded, refund_pending_minor AS pending FROM payments WHERE id = $1',
    [paymentId],
  )
  const refunds = await shop.sql<RefundRow>(
    `SELECT id, state, amount_minor AS "amountMinor", failure_code AS "failureCode", generation, refund_attempt AS attempt,
            gateway_refund_id AS "gatewayRefundId" FROM refunds WHERE payment_id = $1 ORDER BY id`,
    [paymentId],
  )
  const transfers = await shop.sql<{ kind: string; debit: string; credit: string; amount: number }>(
    `SELECT kind, debit_account AS debit, credit_account AS credit, amount_minor AS amount
       FROM transfers WHERE payment_id = $1 AND kind <> 'charge' ORDER BY created_at, id`,
    [paymentId],
  )
  return { order: order?.state, ...payment, refunds, transfers }
}

/** What the merchant is to be told about a refund, in the order in which it became true. */
export async function toldAbout(shop: Shop, refundId: string): Promise<string[]> {
  const rows = await shop.sql<{ topic: string }>(
    `SELECT topic FROM outbox WHERE subject_id = $1 AND channel = 'webhook' ORDER BY created_at, id`,
    [refundId],
  )
  return rows.map(({ topic }) => topic)
}

/** The merchant wants to hear of everything. */
export async function openWebhookEndpoint(shop: Shop): Promise<void> {
  await shop.sql(
    `INSERT INTO webhook_endpoints (account_id, url, secret) VALUES ($1, 'https://merchant.example/hooks', 'whsec_c2VjcmV0')
     ON CONFLICT DO NOTHING`,
    [accountId],
  )
}

export interface RefundAtGateway {
  readonly refundId: string
  readonly amountMinor: number
  readonly status: string
}

/** What the gateway says it gave back for this order, whatever became of it since. */
export async function refundsAtGateway(shop: Shop, orderId: string): Promise<readonly RefundAtGateway[]> {
  const response = await fetch(`${shop.gatewayUrl}/_ledger/orders/${orderId}`)
  return ((await response.json()) as { refunds: RefundAtGateway[] }).refunds
}

/** The customer's bank has decided. */
export async function bankDecides(shop: Shop, gatewayRefundId: string, what: 'succeed' | 'fail'): Promise<void> {
  const url = `${shop.gatewayUrl}/_control/refunds/${gatewayRefundId}/${what}`
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  if (!response.ok) throw new Error(`the gateway refused: ${await response.text()}`)
}

/** As the passing of a day does. */
export async function forgetKeys(shop: Shop): Promise<void> {
  await fetch(`${shop.gatewayUrl}/_control/forget-keys`, { method: 'POST' })
}

/** Lets the leases of a payment's refunds run out and their pauses be over, as time would. */
export async function letRefundLeasesRunOut(shop: Shop, { paymentId }: Paid): Promise<void> {
  await shop.sql(
    `UPDATE refunds SET leased_until = CASE WHEN leased_until IS NOT NULL THEN now() - interval '1 second' END,
            next_attempt_at = now() - interval '1 second' WHERE settled_at IS NULL AND payment_id = $1`,
    [paymentId],
  )
}

/** As if so much time had passed since they were claimed. */
export async function letRefundsAge(shop: Shop, paid: Paid, interval: string): Promise<void> {
  await shop.sql(
    `UPDATE refunds SET created_at = created_at - $1::interval, attempt_since = attempt_since - $1::interval
      WHERE settled_at IS NULL AND payment_id = $2`,
    [interval, paid.paymentId],
  )
  await letRefundLeasesRunOut(shop, paid)
}

/** Recovery until a payment's refunds are settled: what a worker does, without its pauses. */
export async function recoverRefunds(shop: Shop, paid: Paid, replica: Replica): Promise<void> {
  for (let looks = 0; looks < 10; looks++) {
    await letRefundLeasesRunOut(shop, paid)
    while (await recoverRefund(replica.deps));
    const open = await shop.sql('SELECT 1 FROM refunds WHERE settled_at IS NULL AND payment_id = $1', [paid.paymentId])
    if (open.length === 0) return
  }
  throw new Error('recovery did not come to an end')
}
