import { Prisma, type Tx } from '@seatbelt/database'
import type {
  Decline,
  OrderPurpose,
  OrderState,
  PaymentOutcome,
  RefundOutcome,
  SubscriptionState,
} from '@seatbelt/domain'
import type { HistoryLine } from './history-line.ts'

/**
 * Layer 4: compare-and-set on the order's version and on the payment's generation; for billing, on the subscription's version
 * and the invoice's tries.
 *
 * Guarantees: a write happens only if the row is as its writer last saw it. An owner that was paused until somebody else
 * took over fails here, whatever it believes about its locks: the generation is the fence.
 * Does not guarantee: anything about rows that do not exist yet; layer 5 is for inserts.
 * Fails with: `false` or `null`, in which case nothing was written and the caller must read again.
 * Source: Kung and Robinson, "On Optimistic Methods for Concurrency Control" (1981).
 */
export interface CompareAndSet extends RefundCompareAndSet {
  /** Moves the order from the version that was read to the next one. */
  order(tx: Tx, read: { readonly id: string; readonly version: number }, state: OrderState): Promise<boolean>
  /**
   * Ends the payment, if the generation is the claimed one. `fenced` says that its intent can take no money any more; an
   * end without a fence additionally needs that no intent is stored.
   */
  settlePayment(tx: Tx, claimed: Claimed, outcome: FinalOutcome, fenced: boolean): Promise<Settled | null>
  /** Writes down that the amount is on hold, if the generation is the claimed one. The step is over, the payment is not. */
  authorizePayment(tx: Tx, claimed: Claimed): Promise<Authorized | null>
  /** Claims what becomes of a hold: between capturing and voiding, whoever comes first decides. Null: it is decided. */
  endAuthorization(
    tx: Tx,
    read: Claimed,
    next: { readonly goal: 'capture' | 'void'; readonly leaseMs: number | null },
  ): Promise<Claimed | null>
  /** Takes a payment from whoever owns it, for evidence that came by another way. */
  depose(tx: Tx, read: Claimed): Promise<Claimed | null>
  /** Stores which intent of the gateway is this payment's, if none is stored, together with its line of history. */
  storeIntent(tx: Tx, claimed: Claimed, gatewayIntentId: string, line: HistoryLine): Promise<boolean>
  /** Notes why it was declined and by whom, before the intent is cancelled and the gateway forgets it. */
  noteDecline(tx: Tx, claimed: Claimed, decline: Decline): Promise<boolean>
  /** Uses the next number in the gateway's key for one kind of request, if the one that was used is still stored. */
  raiseAttempt(tx: Tx, claimed: Claimed, request: GatewayRequest, used: number): Promise<boolean>
  /** Changes the subscription from the version that was read. */
  subscription(
    tx: Tx,
    read: { readonly id: string; readonly version: number },
    change: SubscriptionChange,
  ): Promise<boolean>
  /** Takes the next try to collect an invoice, if nobody took it since it was read and it was due by then. */
  startTry(tx: Tx, read: { readonly id: string; readonly tries: number }, dueBy: Date): Promise<boolean>
  /** Ends the ownership without an outcome: recovery looks after `pauseMs`; a person should as well if `needsReview`. */
  giveUp(tx: Tx, claimed: Claimed, next: NextLook): Promise<boolean>
}

export interface NextLook {
  readonly pauseMs: number
  readonly needsReview: boolean
}

/** The same for refunds, and for what they move of their payment. */
export interface RefundCompareAndSet {
  /** Sets so much of a payment aside, if that much of it is left. */
  reserveForRefund(tx: Tx, paymentId: string, amountMinor: number): Promise<boolean>
  /** Ends the refund, if the generation is the claimed one. */
  settleRefund(tx: Tx, claimed: Claimed, outcome: FinalRefundOutcome): Promise<{ readonly settledAt: Date } | null>
  /** Writes down that the gateway has it in hand, which is looked at again after `pauseMs`. The step is over, the refund is not. */
  keepRefundPending(tx: Tx, claimed: Claimed, next: PendingRefund): Promise<boolean>
  /** As for a payment. */
  giveUpRefund(tx: Tx, claimed: Claimed, next: NextLook): Promise<boolean>
  /** As for a payment. From here on the gateway is to remember another key. */
  raiseRefundAttempt(tx: Tx, claimed: Claimed, used: number): Promise<boolean>
  /** As for a payment. */
  deposeRefund(tx: Tx, read: Claimed): Promise<Claimed | null>
  /** Takes back a refund that had succeeded. Null: it had not, or it was taken back before. */
  reverseRefund(tx: Tx, refundId: string, failureCode: string): Promise<{ readonly reversedAt: Date } | null>
  /** Moves what of a payment is given back, and set aside to be, by so much. Null: that was never there. */
  moveRefunded(tx: Tx, paymentId: string, by: MovedAmounts): Promise<Refunded | null>
}

/** What is left out stays. */
export interface SubscriptionChange {
  readonly state?: SubscriptionState
  readonly paymentMethod?: string
  readonly nextPeriod?: number
  readonly nextDueAt?: Date
}

/** What ends a refund. */
export type FinalRefundOutcome = Exclude<RefundOutcome, { state: 'pending' }>

export interface PendingRefund {
  readonly gatewayRefundId: string
  readonly pauseMs: number
}

export interface MovedAmounts {
  readonly refundedMinor: number
  readonly pendingMinor: number
}

/** A payment after its amounts were moved, and its order as it stands under the lock. */
export interface Refunded {
  readonly amountMinor: number
  readonly refundedMinor: number
  readonly order: Settled['order']
}

/** A payment, or a refund, as its present owner claimed it. */
export interface Claimed {
  readonly id: string
  readonly generation: number
}

/** What ends a payment. */
export type FinalOutcome = Exclude<PaymentOutcome, { state: 'authorized' }>

export interface Settled {
  readonly settledAt: Date
  /** The payment's order as it stands under the lock, for the compare-and-set that follows. */
  readonly order: {
    readonly id: string
    readonly version: number
    readonly state: OrderState
    readonly purpose: OrderPurpose
  }
}

/** A payment whose amount is on hold, and what its order is for. */
export interface Authorized {
  readonly authorizedAt: Date
  readonly gatewayIntentId: string
  readonly purpose: OrderPurpose
}

export type GatewayRequest = 'create' | 'confirm' | 'capture' | 'cancel'

const refundCompareAndSet: RefundCompareAndSet = {
  reserveForRefund: async (tx, paymentId, amountMinor) => {
    const count = await tx.$executeRaw`
      UPDATE payments SET refund_pending_minor = refund_pending_minor + ${amountMinor}
       WHERE id = ${paymentId}::uuid AND state = 'succeeded'
         AND refunded_minor + refund_pending_minor + ${amountMinor} <= amount_minor`
    return count === 1
  },

  settleRefund: async (tx, claimed, outcome) => {
    const rows = await tx.$queryRaw<{ settledAt: Date }[]>`
      UPDATE refunds
         SET state = ${outcome.state}::refund_state, leased_until = NULL, settled_at = clock_timestamp(),
             failure_code = ${outcome.state === 'failed' ? outcome.failureCode : null},
             gateway_refund_id = COALESCE(gateway_refund_id, ${outcome.gatewayRefundId})
       WHERE ${stillClaimedRefund(claimed)}
      RETURNING settled_at AS "settledAt"`
    return rows[0] ?? null
  },

  keepRefundPending: async (tx, claimed, { gatewayRefundId, pauseMs }) => {
    const count = await tx.$executeRaw`
      UPDATE refunds
         SET state = 'pending', gateway_refund_id = ${gatewayRefundId}, leased_until = NULL, looks = looks + 1, hinted = false,
             look_at = ${lookAfter(pauseMs)}
       WHERE ${stillClaimedRefund(claimed)}`
    return count === 1
  },

  giveUpRefund: async (tx, claimed, { pauseMs, needsReview }) => {
    const count = await tx.$executeRaw`
      UPDATE refunds
         SET leased_until = NULL, looks = looks + 1, hinted = false, look_at = ${lookAfter(pauseMs)},
             state = CASE WHEN ${needsReview} THEN 'needs_review' ELSE refunds.state END
       WHERE ${stillClaimedRefund(claimed)}`
    return count === 1
  },

  raiseRefundAttempt: async (tx, claimed, used) => {
    const count = await tx.$executeRaw`
      UPDATE refunds SET refund_attempt = ${used + 1}, attempt_since = clock_timestamp()
       WHERE ${stillClaimedRefund(claimed)} AND refund_attempt = ${used}`
    return count === 1
  },

  deposeRefund: async (tx, read) => {
    const count = await tx.$executeRaw`
      UPDATE refunds SET generation = generation + 1, leased_until = NULL WHERE ${stillClaimedRefund(read)}`
    return count === 1 ? { id: read.id, generation: read.generation + 1 } : null
  },

  reverseRefund: async (tx, refundId, failureCode) => {
    const rows = await tx.$queryRaw<{ reversedAt: Date }[]>`
      UPDATE refunds SET state = 'failed', failure_code = ${failureCode}, reversed_at = clock_timestamp()
       WHERE id = ${refundId}::uuid AND state = 'succeeded'
      RETURNING reversed_at AS "reversedAt"`
    return rows[0] ?? null
  },

  moveRefunded: async (tx, paymentId, { refundedMinor, pendingMinor }) => {
    const rows = await tx.$queryRaw<RefundedRow[]>`
      UPDATE payments
         SET refunded_minor = refunded_minor + ${refundedMinor}, refund_pending_minor = refund_pending_minor + ${pendingMinor}
        FROM orders
       WHERE payments.id = ${paymentId}::uuid AND payments.state = 'succeeded' AND orders.id = payments.order_id
         AND refunded_minor + ${refundedMinor} >= 0 AND refund_pending_minor + ${pendingMinor} >= 0
      RETURNING payments.amount_minor AS "amountMinor", refunded_minor AS "refundedMinor",
                orders.id AS "orderId", orders.version, orders.state::text AS "orderState",
                orders.purpose`
    const [row] = rows
    if (!row) return null
    const { amountMinor, refundedMinor: nowMinor } = row
    return { amountMinor, refundedMinor: nowMinor, order: orderIn(row) }
  },
}

export const compareAndSet: CompareAndSet = {
  ...refundCompareAndSet,

  order: async (tx, { id, version }, state) => {
    const count = await tx.$executeRaw`
      UPDATE orders SET state = ${state}::order_state, version = ${version + 1} WHERE id = ${id}::uuid AND version = ${version}`
    return count === 1
  },

  settlePayment: async (tx, claimed, outcome, fenced) => {
    const rows = await tx.$queryRaw<SettledRow[]>`
      UPDATE payments
         SET state = ${outcome.state}::payment_state, leased_until = NULL, settled_at = clock_timestamp(),
             decline_code = ${'declineCode' in outcome ? outcome.declineCode : null},
             declined_by = ${'declinedBy' in outcome ? outcome.declinedBy : null},
             gateway_charge_id = ${outcome.state === 'succeeded' ? outcome.gatewayChargeId : null}
        FROM orders
       WHERE ${stillClaimed(claimed)} AND (${fenced} OR gateway_intent_id IS NULL) AND orders.id = payments.order_id
      RETURNING settled_at AS "settledAt", orders.id AS "orderId", orders.version, orders.state::text AS "orderState",
                orders.purpose`
    const [row] = rows
    return row ? { settledAt: row.settledAt, order: orderIn(row) } : null
  },

  authorizePayment: async (tx, claimed) => {
    const rows = await tx.$queryRaw<Authorized[]>`
      UPDATE payments
         SET state = 'authorized', leased_until = NULL, hinted = false, decline_code = NULL, declined_by = NULL, authorized_at = clock_timestamp(),
             void_at = step_started_at + make_interval(days => ${authorizationDays}::int)
        FROM orders
       WHERE ${stillClaimed(claimed)} AND goal = 'authorize' AND orders.id = payments.order_id
      RETURNING authorized_at AS "authorizedAt", gateway_intent_id AS "gatewayIntentId", orders.purpose`
    return rows[0] ?? null
  },

  endAuthorization: async (tx, { id, generation }, { goal, leaseMs }) => {
    const count = await tx.$executeRaw`
      UPDATE payments
         SET state = ${goal === 'capture' ? 'capturing' : 'voiding'}::payment_state, goal = ${goal}, generation = generation + 1,
             leased_until = clock_timestamp() + make_interval(secs => ${leaseMs === null ? null : leaseMs / 1000}::float8),
             look_at = clock_timestamp(), looks = 0, step_started_at = clock_timestamp(), hinted = false
       WHERE id = ${id}::uuid AND generation = ${generation} AND state = 'authorized'`
    return count === 1 ? { id, generation: generation + 1 } : null
  },

  depose: async (tx, claimed) => {
    const count = await tx.$executeRaw`
      UPDATE payments SET generation = generation + 1, leased_until = NULL WHERE ${stillClaimed(claimed)}`
    return count === 1 ? { id: claimed.id, generation: claimed.generation + 1 } : null
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

  noteDecline: async (tx, claimed, { declineCode, declinedBy }) => {
    const count = await tx.$executeRaw`
      UPDATE payments SET decline_code = ${declineCode}, declined_by = ${declinedBy} WHERE ${stillClaimed(claimed)}`
    return count === 1
  },

  raiseAttempt: async (tx, claimed, request, used) => {
    const column = attemptColumns[request]
    const count = await tx.$executeRaw`
      UPDATE payments SET ${column} = ${used + 1} WHERE ${stillClaimed(claimed)} AND ${column} = ${used}`
    return count === 1
  },

  subscription: async (tx, { id, version }, change) => {
    const data = { ...change, version: version + 1 }
    const { count } = await tx.subscription.updateMany({ where: { id, version }, data })
    return count === 1
  },

  startTry: async (tx, { id, tries }, dueBy) => {
    // Due again from now on: for a later run, if this try comes to nothing without the bank's word. Every run asks for
    // what was due when its hour began.
    const count = await tx.$executeRaw`
      UPDATE invoices SET tries = ${tries + 1}, next_try_at = clock_timestamp()
       WHERE id = ${id}::uuid AND state = 'open' AND tries = ${tries} AND next_try_at <= ${dueBy}::timestamptz`
    return count === 1
  },

  giveUp: async (tx, claimed, { pauseMs, needsReview }) => {
    const count = await tx.$executeRaw`
      UPDATE payments
         SET leased_until = NULL, looks = looks + 1, hinted = false,
             look_at = ${lookAfter(pauseMs)},
             state = CASE WHEN ${needsReview} THEN 'needs_review' ELSE payments.state END
       WHERE ${stillClaimed(claimed)}`
    return count === 1
  },
}

/**
 * Card networks let a hold lapse after 4 days and 18 hours at the earliest (Visa, without the customer there); counted from
 * the claim, which was before the hold. Stripe: "Place a hold on a payment method", "Authorization window".
 */
const authorizationDays = 4

const attemptColumns = {
  create: Prisma.sql`create_attempt`,
  confirm: Prisma.sql`confirm_attempt`,
  capture: Prisma.sql`capture_attempt`,
  cancel: Prisma.sql`cancel_attempt`,
} satisfies Record<GatewayRequest, Prisma.Sql>

interface OrderColumns {
  readonly orderId: string
  readonly version: number
  readonly orderState: OrderState
  readonly purpose: OrderPurpose
}

function orderIn({ orderId, version, orderState, purpose }: OrderColumns): Settled['order'] {
  return { id: orderId, version, state: orderState, purpose }
}

interface SettledRow extends OrderColumns {
  readonly settledAt: Date
}

interface RefundedRow extends OrderColumns {
  readonly amountMinor: number
  readonly refundedMinor: number
}

/** The gateway told of news while the owner was at work: then at once. */
function lookAfter(pauseMs: number): Prisma.Sql {
  return Prisma.sql`CASE WHEN hinted THEN clock_timestamp()
                            ELSE clock_timestamp() + make_interval(secs => ${pauseMs / 1000}::float8) END`
}

function stillClaimed({ id, generation }: Claimed): Prisma.Sql {
  return Prisma.sql`payments.id = ${id}::uuid AND payments.generation = ${generation}
         AND payments.state IN ('processing', 'capturing', 'voiding', 'needs_review')`
}

function stillClaimedRefund({ id, generation }: Claimed): Prisma.Sql {
  return Prisma.sql`refunds.id = ${id}::uuid AND refunds.generation = ${generation}
         AND refunds.state IN ('processing', 'pending', 'needs_review')`
}
