import { type Payment as PaymentRow, sql, type Tx } from '@seatbelt/database'
import { decideToRefund, type OrderPurpose, type Refund } from '@seatbelt/domain'
import { type AttemptLease, changedOne, type RefundAttempt, type Refused } from '@seatbelt/safety'
import { nextName } from '../order/order-to-decide.ts'
import type { NewRefundRequest } from '../shared/operations.ts'
import { isBlockedBy, type OrphanOfOrder, orphansOfOrder, usedNames } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { type OwnedRefund, toRefundAttempt } from './owned-refund.ts'

export interface RefundToOpen extends NewRefundRequest {
  readonly accountId: string
  /** Of a refund that the gateway has and whose commit was lost. The next ones otherwise. */
  readonly known?: Pick<RefundAttempt, 'id' | 'gatewayKey'>
  /** Null: no process owns it, and recovery finds it due at once. */
  readonly lease: AttemptLease | null
}

/**
 * Claims a refund, for requests and for repairs: reserves the amount, and inserts the refund once. Under the order's
 * lock. A refusal has written nothing.
 */
export async function openRefund(
  deps: PaymentDeps,
  tx: Tx,
  { accountId, paymentId, amountMinor: askedMinor, reason, lease, known }: RefundToOpen,
): Promise<{ readonly kind: 'opened'; readonly owned: OwnedRefund } | Refused> {
  const row = await readRefundable(tx, accountId, paymentId)
  // The gateway has made a refund that is known, whatever a dispute has withdrawn beside it.
  const payment = known ? { ...toPayment(row), disputeState: null, disputedMinor: 0 } : toPayment(row)
  const decision = decideToRefund(payment, askedMinor, row.refundsAtGateway)
  if (decision.code !== 'refund') return { kind: 'refused', refusal: decision }
  const used = usedNames(row.refundNames, row.orphans)
  const gatewayKey = nextName((number) => deps.layers.gatewayReference('refund', row.name, number), used)
  // A refund that meets the orphan may go on.
  if (!known && isBlockedBy(row.orphans, gatewayKey))
    return { kind: 'refused', refusal: { code: 'order-blocked', orderId: row.orderId } }

  const { amountMinor } = decision
  reserve(tx, row, amountMinor)
  const { orderId, currency } = payment
  const { id, gatewayKey: name } = known ?? { id: deps.runtime.newId(), gatewayKey }
  const toInsert = { accountId, orderId, paymentId, amountMinor, currency, reason, origin: 'merchant' } as const
  const owned = insertRefund(deps, tx, {
    ...toInsert,
    ...takenBy(row),
    id,
    gatewayKey: name,
    orderName: row.orderName,
    purpose: row.purpose,
    lease,
    now: row.now,
  })
  return { kind: 'opened', owned }
}

interface RefundableRow extends PaymentRow {
  readonly purpose: OrderPurpose
  /** How many of the payment's refunds the gateway may list: all but those that failed before there was one. */
  readonly refundsAtGateway: number
  /** Of the payment and of the order, at the gateway. */
  readonly name: string
  readonly orderName: string
  readonly refundNames: readonly (string | null)[]
  readonly orphans: readonly OrphanOfOrder[]
  readonly now: Date
}

async function readRefundable(tx: Tx, accountId: string, paymentId: string): Promise<RefundableRow> {
  const [row] = await tx.read<RefundableRow>(sql`
    SELECT payments.*, orders.purpose, clock_timestamp() AS now,
           (SELECT count(*)::int FROM refunds
             WHERE refunds.payment_id = payments.id AND NOT (refunds.state = 'failed' AND gateway_refund_id IS NULL))
             AS refunds_at_gateway,
           COALESCE(payments.gateway_key, payments.id::text) AS name,
           COALESCE(orders.gateway_reference, orders.id::text) AS order_name,
           ARRAY(SELECT gateway_key FROM refunds WHERE refunds.payment_id = payments.id) AS refund_names,
           ${orphansOfOrder('refund')}
      FROM payments JOIN orders ON orders.id = payments.order_id
     WHERE payments.account_id = ${accountId}::uuid AND payments.id = ${paymentId}::uuid`)
  if (!row) throw new Error(`payment ${paymentId} is gone`)
  return row
}

/** Sets so much of a payment aside, if that much of it is left, and its disputes are as they were read. */
function reserve(tx: Tx, { id: paymentId, disputeState, disputedMinor }: PaymentRow, amountMinor: number): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE payments SET refund_pending_minor = refund_pending_minor + ${amountMinor}
       WHERE id = ${paymentId}::uuid AND state = 'succeeded'
         AND refunded_minor + refund_pending_minor + ${amountMinor} <= COALESCE(captured_minor, amount_minor)
         AND dispute_state IS NOT DISTINCT FROM ${disputeState} AND disputed_minor = ${disputedMinor}
      RETURNING id)
    SELECT ${changedOne['payment-refundable']}`)
}

export interface RefundToInsert
  extends Pick<Refund, 'accountId' | 'orderId' | 'paymentId' | 'amountMinor' | 'currency' | 'reason' | 'origin'> {
  readonly id: string
  readonly gatewayKey: string
  readonly orderName: string
  readonly gatewayIntentId: string
  readonly gatewayChargeId: string
  readonly purpose: OrderPurpose
  readonly lease: AttemptLease | null
  /** The database's time. */
  readonly now: Date
}

/** Layer 5 for refunds. A charge is repaired once: `refunds_one_repair_per_charge`. */
export function insertRefund(
  { runtime, policy, by }: PaymentDeps,
  tx: Tx,
  { id, gatewayKey, orderName, gatewayIntentId, gatewayChargeId, purpose, lease, now, ...money }: RefundToInsert,
): OwnedRefund {
  const owner = runtime.newId()
  const leaseSeconds = lease === null ? null : policy.leaseMs / 1000
  tx.write(sql`
    WITH inserted AS (
      INSERT INTO refunds (id, account_id, order_id, payment_id, origin, amount_minor, currency, reason, owner,
                           gateway_key, gateway_intent_id, gateway_charge_id, leased_until, next_attempt_at, attempt_since,
                           created_at)
      VALUES (${id}::uuid, ${money.accountId}::uuid, ${money.orderId}::uuid, ${money.paymentId}::uuid, ${money.origin},
              ${money.amountMinor}, ${money.currency}, ${money.reason},
              ${lease === null ? null : owner}::uuid, ${gatewayKey}, ${gatewayIntentId},
              ${gatewayChargeId},
              clock_timestamp() + make_interval(secs => ${leaseSeconds}::float8), clock_timestamp(), clock_timestamp(),
              ${now}::timestamptz)
      RETURNING account_id, payment_id, id, generation)
    INSERT INTO payment_events (account_id, payment_id, refund_id, event, by, generation)
    SELECT account_id, payment_id, id, 'claimed', ${by}, generation FROM inserted WHERE payment_id IS NOT NULL`)
  const refund: Refund = {
    ...money,
    id,
    state: 'processing',
    failureCode: null,
    createdAt: now,
    settledAt: null,
    reversedAt: null,
  }
  const row = { generation: 1, gatewayIntentId, gatewayRefundId: null, gatewayKey, orderName, refundAttempt: 1 }
  const facts = { owner, lease: lease ?? noLease, isFirstOwner: true, keyIsRemembered: true }
  return { refund, purpose, attempt: toRefundAttempt(refund, row, facts), attempts: 0, isOverdue: false }
}

const noLease: AttemptLease = { allowsRequest: () => false }

/** A constraint of the table holds that a payment which succeeded names them. */
function takenBy({ id, gatewayIntentId, gatewayChargeId }: PaymentRow) {
  if (gatewayIntentId === null || gatewayChargeId === null) throw new Error(`payment ${id} succeeded without evidence`)
  return { gatewayIntentId, gatewayChargeId }
}
