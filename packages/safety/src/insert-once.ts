import type { Tx } from '@seatbelt/database'
import type { Money } from '@seatbelt/domain'
import type { IntentParameters } from './gateway-protocol/gateway.ts'
import type { HistoryLine } from './history-line.ts'

/**
 * Layer 5: unique indexes, asked with ON CONFLICT DO NOTHING.
 *
 * Guarantees: an order never has two live payments, a payment is never booked twice and a period never invoiced twice, whoever inserts, with or without
 * any lock; of two transactions at once, the second waits for the first and then sees that it lost.
 * Does not guarantee: anything about a side effect outside of the database; layer 6 is for that.
 * Fails with: `null` or `false`, in which case nothing was inserted; a wait longer than `lock_timeout` fails as a fault.
 * Source: PostgreSQL's manual, "Unique Indexes" and "INSERT ... ON CONFLICT"; the indexes stand in prisma/schema.sql.
 */
export interface InsertOnce {
  /** The intent to pay, with the first line of its history. The times are the database's, so that all processes agree. */
  payment(tx: Tx, payment: NewPayment, line: HistoryLine): Promise<{ readonly createdAt: Date } | null>
  /** The intent to give money back, as for a payment. A charge is repaired once. */
  refund(tx: Tx, refund: NewRefund, line: HistoryLine): Promise<{ readonly createdAt: Date } | null>
  /** One charge per payment; one booking of one kind per refund. */
  transfer(tx: Tx, transfer: NewTransfer): Promise<boolean>
  /** One invoice per period of a subscription, and one at a time that is still open. Its order must be there. */
  invoice(tx: Tx, invoice: NewInvoice): Promise<boolean>
}

export interface NewInvoice {
  readonly id: string
  readonly accountId: string
  readonly subscriptionId: string
  readonly period: number
  readonly dueAt: Date
  readonly orderId: string
}

export interface NewPayment extends Money {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
  readonly paymentMethod: string
  readonly intentParameters: IntentParameters
  readonly goal: 'charge' | 'authorize'
  /** How long its first owner may ask the gateway before anybody else may. */
  readonly leaseMs: number
  /** How long recovery goes on asking for the money. */
  readonly wantedMs: number
}

export interface NewRefund extends Money {
  readonly id: string
  readonly accountId: string
  readonly orderId: string
  /** Null for a repair of reconciliation. */
  readonly paymentId: string | null
  readonly reason: string | null
  readonly gatewayIntentId: string
  readonly gatewayChargeId: string
  /** Null: nobody owns it, and it is due at once. */
  readonly leaseMs: number | null
}

export interface NewTransfer extends Money {
  readonly id: string
  readonly paymentId: string
  readonly kind: 'charge' | 'refund' | 'refund_reversal'
  /** Of the latter two. */
  readonly refundId: string | null
  readonly debitAccount: string
  readonly creditAccount: string
}

export const insertOnce: InsertOnce = {
  payment: async (tx, payment, { event, by, gatewayRequestId }) => {
    const rows = await tx.$queryRaw<{ createdAt: Date }[]>`
      WITH inserted AS (
      INSERT INTO payments (id, account_id, order_id, amount_minor, currency, payment_method, intent_parameters,
                            goal, leased_until, look_at, wanted_until)
      VALUES (${payment.id}::uuid, ${payment.accountId}::uuid, ${payment.orderId}::uuid, ${payment.amountMinor},
              ${payment.currency}, ${payment.paymentMethod}, ${JSON.stringify(payment.intentParameters)}::jsonb, ${payment.goal},
              clock_timestamp() + make_interval(secs => ${payment.leaseMs / 1000}::float8), clock_timestamp(),
              clock_timestamp() + make_interval(secs => ${payment.wantedMs / 1000}::float8))
      ON CONFLICT DO NOTHING
      RETURNING id, generation, created_at),
      noted AS (
      INSERT INTO payment_events (payment_id, event, by, generation, gateway_request_id)
      SELECT id, ${event}, ${by}, generation, ${gatewayRequestId} FROM inserted)
      SELECT created_at AS "createdAt" FROM inserted`
    return rows[0] ?? null
  },

  refund: async (tx, refund, { event, by, gatewayRequestId }) => {
    const origin = refund.paymentId === null ? 'reconciliation' : 'merchant'
    const rows = await tx.$queryRaw<{ createdAt: Date }[]>`
      WITH inserted AS (
      INSERT INTO refunds (id, account_id, order_id, payment_id, origin, amount_minor, currency, reason,
                           gateway_intent_id, gateway_charge_id, leased_until, look_at, attempt_since)
      VALUES (${refund.id}::uuid, ${refund.accountId}::uuid, ${refund.orderId}::uuid, ${refund.paymentId}::uuid, ${origin},
              ${refund.amountMinor}, ${refund.currency}, ${refund.reason}, ${refund.gatewayIntentId}, ${refund.gatewayChargeId},
              clock_timestamp() + make_interval(secs => ${refund.leaseMs === null ? null : refund.leaseMs / 1000}::float8),
              clock_timestamp(), clock_timestamp())
      ON CONFLICT DO NOTHING
      RETURNING id, payment_id, generation, created_at),
      noted AS (
      INSERT INTO payment_events (payment_id, refund_id, event, by, generation, gateway_request_id)
      SELECT payment_id, id, ${event}, ${by}, generation, ${gatewayRequestId} FROM inserted WHERE payment_id IS NOT NULL)
      SELECT created_at AS "createdAt" FROM inserted`
    return rows[0] ?? null
  },

  transfer: async (tx, transfer) => {
    const count = await tx.$executeRaw`
      INSERT INTO transfers (id, payment_id, refund_id, kind, debit_account, credit_account, amount_minor, currency)
      VALUES (${transfer.id}::uuid, ${transfer.paymentId}::uuid, ${transfer.refundId}::uuid, ${transfer.kind},
              ${transfer.debitAccount}, ${transfer.creditAccount}, ${transfer.amountMinor}, ${transfer.currency})
      ON CONFLICT DO NOTHING`
    return count === 1
  },

  invoice: async (tx, { id, accountId, subscriptionId, period, dueAt, orderId }) => {
    const count = await tx.$executeRaw`
      INSERT INTO invoices (id, account_id, subscription_id, period, due_at, order_id, next_try_at, created_at)
      VALUES (${id}::uuid, ${accountId}::uuid, ${subscriptionId}::uuid, ${period}, ${dueAt}::timestamptz,
              ${orderId}::uuid, ${dueAt}::timestamptz,
              clock_timestamp())
      ON CONFLICT DO NOTHING`
    return count === 1
  },
}
