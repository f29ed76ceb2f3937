import { type Sql, sql } from '@seatbelt/database'

/**
 * Layer 4: compare-and-set on an order's version and on the generation of a payment or refund; for billing, on the
 * subscription's version and the invoice's tries.
 *
 * Guarantees: a write takes effect only if the row is as its writer last saw it. An owner that was paused until another
 * took over fails here, whatever it believes about its locks: the generation is the fence.
 * Does not guarantee: anything about rows that do not exist yet; layer 5 does, for inserts.
 * Fails with: `GuardFailed`. The whole transaction is rolled back, also when COMMIT travels with the write, and runs
 * anew, so that the next run reads what is true by then.
 * Source: Kung and Robinson, "On Optimistic Methods for Concurrency Control" (1981).
 *
 * The statements stand beside their steps. Each has this shape:
 *
 *   WITH changed AS (UPDATE orders SET ... WHERE id = $1 AND version = $2 RETURNING id)
 *   SELECT guard((SELECT count(*) FROM changed) = 1, 'order-version')
 *
 * `changedOne` has the last line of each guard.
 */
export const changedOne = {
  'order-version': sql`guard((SELECT count(*) FROM changed) = 1, 'order-version')`,
  'payment-generation': sql`guard((SELECT count(*) FROM changed) = 1, 'payment-generation')`,
  'payment-refundable': sql`guard((SELECT count(*) FROM changed) = 1, 'payment-refundable')`,
  'payment-disputed': sql`guard((SELECT count(*) FROM changed) = 1, 'payment-disputed')`,
  'dispute-seen': sql`guard((SELECT count(*) FROM changed) = 1, 'dispute-seen')`,
  'refund-generation': sql`guard((SELECT count(*) FROM changed) = 1, 'refund-generation')`,
  'subscription-version': sql`guard((SELECT count(*) FROM changed) = 1, 'subscription-version')`,
  'invoice-tries': sql`guard((SELECT count(*) FROM changed) = 1, 'invoice-tries')`,
  'hold-state': sql`guard((SELECT count(*) FROM changed) = 1, 'hold-state')`,
  'seats-claimed': sql`guard((SELECT count(*) FROM changed) = 1, 'seats-claimed')`,
  'booking-state': sql`guard((SELECT count(*) FROM changed) = 1, 'booking-state')`,
  'places-held': sql`guard((SELECT count(*) FROM changed) = 1, 'places-held')`,
} as const satisfies Record<string, Sql>

export type GuardName = keyof typeof changedOne
