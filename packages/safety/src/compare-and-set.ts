import { Prisma, type Tx } from '@seatbelt/database'
import type { OrderState, PaymentOutcome } from '@seatbelt/domain'
import type { HistoryLine } from './history-line.ts'

/**
 * Layer 4: compare-and-set on the order's version and on the payment's generation.
 *
 * Guarantees: a write happens only if the row is as its writer last saw it. An owner that was paused until somebody else
 * took over fails here, whatever it believes about its locks: the generation is the fence.
 * Does not guarantee: anything about rows that do not exist yet; layer 5 is for inserts.
 * Fails with: `false` or `null`, in which case nothing was written and the caller must read again.
 * Source: Kung and Robinson, "On Optimistic Methods for Concurrency Control" (1981).
 */
export interface CompareAndSet {
  /** Moves the order from the version that was read to the next one. */
  order(tx: Tx, read: { readonly id: string; readonly version: number }, state: OrderState): Promise<boolean>
  /**
   * Ends the payment, if the generation is the claimed one. `fenced` says that its intent can take no money any more; an
   * end without a fence additionally needs that no intent is stored.
   */
  settlePayment(tx: Tx, claimed: Claimed, outcome: PaymentOutcome, fenced: boolean): Promise<Settled | null>
  /** Stores which intent of the gateway is this payment's, if none is stored, together with its line of history. */
  storeIntent(tx: Tx, claimed: Claimed, gatewayIntentId: string, line: HistoryLine): Promise<boolean>
  /** Notes why the gateway declined, before the intent is cancelled and the gateway forgets it. */
  noteDecline(tx: Tx, claimed: Claimed, declineCode: string): Promise<boolean>
  /** Uses the next number in the gateway's key for one kind of request, if the one that was used is still stored. */
  raiseAttempt(tx: Tx, claimed: Claimed, request: GatewayRequest, used: number): Promise<boolean>
  /** Ends the ownership without an outcome: recovery looks after `pauseMs`; a person should as well if `needsReview`. */
  giveUp(tx: Tx, claimed: Claimed, next: { readonly pauseMs: number; readonly needsReview: boolean }): Promise<boolean>
}

/** A payment as its present owner claimed it. */
export interface Claimed {
  readonly id: string
  readonly generation: number
}

export interface Settled {
  readonly settledAt: Date
  /** The payment's order as it stands under the lock, for the compare-and-set that follows. */
  readonly order: { readonly id: string; readonly version: number; readonly state: OrderState }
}

export type GatewayRequest = 'create' | 'confirm' | 'cancel'

export const compareAndSet: CompareAndSet = {
  order: async (tx, { id, version }, state) => {
    const count = await tx.$executeRaw`
      UPDATE orders SET state = ${state}::order_state, version = ${version + 1} WHERE id = ${id}::uuid AND version = ${version}`
    return count === 1
  },

  settlePayment: async (tx, claimed, outcome, fenced) => {
    const rows = await tx.$queryRaw<SettledRow[]>`
      UPDATE payments
         SET state = ${outcome.state}::payment_state, leased_until = NULL, settled_at = clock_timestamp(),
             decline_code = ${outcome.state === 'declined' ? outcome.declineCode : null},
             gateway_charge_id = ${outcome.state === 'succeeded' ? outcome.gatewayChargeId : null}
        FROM orders
       WHERE ${stillClaimed(claimed)} AND (${fenced} OR gateway_intent_id IS NULL) AND orders.id = payments.order_id
      RETURNING settled_at AS "settledAt", orders.id AS "orderId", orders.version, orders.state::text AS "orderState"`
    const [row] = rows
    return row
      ? { settledAt: row.settledAt, order: { id: row.orderId, version: row.version, state: row.orderState } }
      : null
  },

  storeIntent: async (tx, claimed, gatewayIntentId, { event, by, gatewayRequestId }) => {
    const count = await tx.$executeRaw`
      WITH stored AS (
        UPDATE payments SET gateway_intent_id = ${gatewayIntentId}
         WHERE ${stillClaimed(claimed)} AND gateway_intent_id IS NULL
        RETURNING id, generation)
      INSERT INTO payment_events (payment_id, event, by, generation, gateway_request_id, detail)
      SELECT id, ${event}, ${by}, generation, ${gatewayRequestId}, ${gatewayIntentId} FROM stored`
    return count === 1
  },

  noteDecline: async (tx, claimed, declineCode) => {
    const count = await tx.$executeRaw`
      UPDATE payments SET decline_code = ${declineCode} WHERE ${stillClaimed(claimed)}`
    return count === 1
  },

  raiseAttempt: async (tx, claimed, request, used) => {
    const column = attemptColumns[request]
    const count = await tx.$executeRaw`
      UPDATE payments SET ${column} = ${used + 1} WHERE ${stillClaimed(claimed)} AND ${column} = ${used}`
    return count === 1
  },

  giveUp: async (tx, claimed, { pauseMs, needsReview }) => {
    const count = await tx.$executeRaw`
      UPDATE payments
         SET leased_until = NULL, looks = looks + 1, look_at = clock_timestamp() + make_interval(secs => ${pauseMs / 1000}::float8),
             state = CASE WHEN ${needsReview} THEN 'needs_review' ELSE payments.state END
       WHERE ${stillClaimed(claimed)}`
    return count === 1
  },
}

const attemptColumns = {
  create: Prisma.sql`create_attempt`,
  confirm: Prisma.sql`confirm_attempt`,
  cancel: Prisma.sql`cancel_attempt`,
} satisfies Record<GatewayRequest, Prisma.Sql>

interface SettledRow {
  readonly settledAt: Date
  readonly orderId: string
  readonly version: number
  readonly orderState: OrderState
}

function stillClaimed({ id, generation }: Claimed): Prisma.Sql {
  return Prisma.sql`payments.id = ${id}::uuid AND payments.generation = ${generation}
         AND payments.state IN ('processing', 'needs_review')`
}
