import { type Payment as PaymentRow, type Refund as RefundRow, sql, type Tx } from '@seatbelt/database'
import { decideToRefund, type Refund, type RefundRefusal } from '@seatbelt/domain'
import { guardSettle } from '@seatbelt/safety'
import { tellRefund } from '../messages/enqueue-messages.ts'
import { bookRefundsFromElsewhere, type PaidOrder } from '../refund/book-refund.ts'
import { readRefundState } from '../refund/refundable.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { isOpenOrphan } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment, toRefund } from '../shared/rows.ts'
import type { Operator } from './operator-action.ts'

/** `amountMinor` null: all that is left. */
export interface RefundOutside {
  readonly paymentId: string
  readonly amountMinor: number | null
}

/** `not-recorded`: nothing was changed. */
export type RecordedOutside =
  | { readonly kind: 'not-found' }
  | { readonly kind: 'not-recorded'; readonly why: string }
  | { readonly kind: 'recorded'; readonly refund: Refund }

/**
 * Records money that an operator returned outside of the gateway, such as by bank transfer, where the gateway cannot
 * refund the payment. The gateway is not asked.
 *
 * Guarantees: the refund, what the payment and its order become, the transfer, the messages, and the operator's name
 * and reason are one commit. All refunds of a payment together never exceed it. Nothing is recorded while the gateway
 * may still refund the same money. All tries share the refund's id, by which the next one recognizes a try whose COMMIT
 * was not answered.
 */
export async function recordRefundOutside(
  deps: PaymentDeps,
  asked: RefundOutside,
  operator: Operator,
): Promise<RecordedOutside> {
  const [known] = await deps.database.query<{ accountId: string; orderId: string }>(sql`
    SELECT account_id, order_id FROM payments WHERE id = ${asked.paymentId}::uuid`)
  if (!known) return { kind: 'not-found' }
  const refundId = deps.runtime.newId()
  return guardSettle(deps.layers, orderLockName(known), (tx) => record(deps, tx, { ...asked, refundId }, operator))
}

async function record(
  deps: PaymentDeps,
  tx: Tx,
  { paymentId, amountMinor: askedMinor, refundId }: RefundOutside & { readonly refundId: string },
  operator: Operator,
): Promise<RecordedOutside> {
  const [[recorded], [row], { isOutcomeUnknown }] = await Promise.all([
    tx.read<RefundRow>(sql`SELECT * FROM refunds WHERE id = ${refundId}::uuid`),
    tx.read<PaidRow>(sql`
      SELECT payments.*, COALESCE(captured_minor, payments.amount_minor) AS paid_minor, clock_timestamp() AS now,
             orders.version AS order_version, orders.state::text AS order_state,
             EXISTS (SELECT FROM orphans
                      WHERE (order_id = orders.id OR order_reference = orders.gateway_reference)
                        AND kind = 'refund' AND ${isOpenOrphan}) AS has_orphan
        FROM payments JOIN orders ON orders.id = payments.order_id WHERE payments.id = ${paymentId}::uuid`),
    readRefundState(tx, paymentId),
  ])
  if (recorded) return { kind: 'recorded', refund: toRefund(recorded) }
  if (!row) return { kind: 'not-found' }
  if (isOutcomeUnknown) return notRecorded('the outcome of another refund is not known yet')
  if (row.hasOrphan) return notRecorded('the gateway has a refund that our books do not: npm run review -- orphans')
  const payment = toPayment(row)
  const decision = decideToRefund(payment, askedMinor, null)
  if (decision.code !== 'refund') return notRecorded(inWords(decision))
  const refund: Refund = {
    id: refundId,
    accountId: payment.accountId,
    orderId: payment.orderId,
    paymentId,
    origin: 'operator',
    amountMinor: decision.amountMinor,
    currency: payment.currency,
    reason: operator.reason,
    state: 'succeeded',
    failureCode: null,
    createdAt: row.now,
    settledAt: row.now,
    reversedAt: null,
  }
  insert(deps, tx, row, refund, operator)
  bookRefundsFromElsewhere(deps, tx, row, [refund])
  tellRefund(deps, tx, refund, null)
  return { kind: 'recorded', refund }
}

interface PaidRow extends PaymentRow, Omit<PaidOrder, 'refundedMinor'> {
  readonly hasOrphan: boolean
  readonly now: Date
}

function notRecorded(why: string): RecordedOutside {
  return { kind: 'not-recorded', why }
}

function inWords(refusal: RefundRefusal): string {
  switch (refusal.code) {
    case 'payment-not-refundable':
      return `it is ${refusal.state}`
    case 'refund-exceeds-payment':
      return `${refusal.refundableMinor} minor units of it are left to refund`
    case 'payment-disputed':
      return refusal.disputeState === 'open'
        ? 'its dispute is open and decides about the money: repeat the command if the dispute is won'
        : 'its dispute was lost, which returned all that was left of it'
    case 'refund-between-units':
    case 'too-many-refunds':
      throw new Error(`${refusal.code} is a limit of the gateway alone`)
    default:
      return refusal satisfies never
  }
}

function insert({ by }: PaymentDeps, tx: Tx, row: PaidRow, refund: Refund, { name, reason }: Operator): void {
  tx.write(sql`
    WITH inserted AS (
      INSERT INTO refunds (id, account_id, order_id, payment_id, origin, amount_minor, currency, reason, state,
                           gateway_intent_id, gateway_charge_id, next_attempt_at, created_at, settled_at)
      VALUES (${refund.id}::uuid, ${refund.accountId}::uuid, ${refund.orderId}::uuid, ${refund.paymentId}::uuid,
              'operator', ${refund.amountMinor}, ${refund.currency}, ${reason}, 'succeeded', ${row.gatewayIntentId},
              ${row.gatewayChargeId}, ${refund.createdAt}::timestamptz, ${refund.createdAt}::timestamptz,
              ${refund.settledAt}::timestamptz)
      RETURNING account_id, payment_id, id, generation)
    INSERT INTO payment_events (account_id, payment_id, refund_id, event, by, generation, detail, actor)
    SELECT account_id, payment_id, id, 'operator', ${by}, generation,
           ${`refunded outside of the gateway: ${reason}`}, ${name}
      FROM inserted`)
}
