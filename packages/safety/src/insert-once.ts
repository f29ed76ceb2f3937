import { UniqueViolation } from '@seatbelt/database'
import type { Contended, KeyTaken } from './result.ts'

/**
 * Layer 5: unique indexes.
 *
 * Guarantees: an order never has two live payments, a payment is never booked twice and a period never invoiced twice,
 * no matter who inserts, with or without any lock. Of two transactions at once, the second waits for the first and then
 * fails.
 * Does not guarantee: anything about a side effect outside of the database; layer 6 does.
 * Fails with: `UniqueViolation`, which rolls the whole transaction back. For the indexes below that is a lost race. For
 * any other it is a broken invariant, and stays an error.
 * Source: PostgreSQL's manual, "Unique Indexes"; the indexes stand in prisma/schema.sql.
 */
const lostRaces: Readonly<Record<string, KeyTaken | Contended>> = {
  idempotency_keys_pkey: { kind: 'key-taken' },
  // Two copies of a creation, each of which saw its key unused. The order's id carries the reference.
  orders_pkey: { kind: 'key-taken' },
  orders_gateway_reference_key: { kind: 'key-taken' },
  holds_gateway_reference_key: { kind: 'key-taken' },
  subscriptions_gateway_reference_key: { kind: 'key-taken' },
  payments_one_live_per_order: { kind: 'contended' },
  refunds_one_repair_per_charge: { kind: 'contended' },
  invoices_one_per_period: { kind: 'contended' },
  invoices_one_open_per_subscription: { kind: 'contended' },
}

/** The meaning of such a failure for a claim, or null where it was no race. */
export function lostRace(fault: unknown): KeyTaken | Contended | null {
  return fault instanceof UniqueViolation ? (lostRaces[fault.constraint ?? ''] ?? null) : null
}
