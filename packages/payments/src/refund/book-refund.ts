import { sql, type Tx } from '@seatbelt/database'
import { type OrderState, orderStateAfterRefunds, type Refund } from '@seatbelt/domain'
import { changedOne } from '@seatbelt/safety'
import { moveOrder } from '../order/order-to-decide.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** A refund's payment and order, as they stand under the order's lock. */
export interface PaidOrder {
  /** Null of a repair, which belongs to no payment. */
  readonly paidMinor: number | null
  readonly refundedMinor: number | null
  readonly orderVersion: number
  readonly orderState: OrderState
}

/**
 * Writes what a refund that was just settled moves: its payment's amounts, its order's state, and the transfer where
 * money moved. To be called once, in the commit that settled it, under its order's lock.
 *
 * A repair of reconciliation refunds a charge that was never booked, so it moves nothing.
 */
export function bookRefund(deps: PaymentDeps, tx: Tx, refund: Refund, paid: PaidOrder): void {
  const { amountMinor } = refund
  const hasSucceeded = refund.state === 'succeeded'
  moveAmounts(tx, refund, paid, { refundedMinor: hasSucceeded ? amountMinor : 0, pendingMinor: -amountMinor })
  if (hasSucceeded) transfer(deps, tx, refund, 'refund')
}

/** The way back, for a refund that had succeeded and has failed after all. */
export function unbookRefund(deps: PaymentDeps, tx: Tx, refund: Refund, paid: PaidOrder): void {
  moveAmounts(tx, refund, paid, { refundedMinor: -refund.amountMinor, pendingMinor: 0 })
  transfer(deps, tx, refund, 'refund_reversal')
}

/** Refunds of one payment that were made without us, and for which nothing was reserved. */
export function bookRefundsFromElsewhere(
  deps: PaymentDeps,
  tx: Tx,
  paid: PaidOrder & { readonly id: string; readonly orderId: string },
  refunds: readonly Refund[],
): void {
  const succeeded = refunds.filter(({ state }) => state === 'succeeded')
  const pending = refunds.filter(({ state }) => state === 'pending')
  const subject = { orderId: paid.orderId, paymentId: paid.id }
  moveAmounts(tx, subject, paid, { refundedMinor: sumOf(succeeded), pendingMinor: sumOf(pending) })
  for (const refund of succeeded) transfer(deps, tx, refund, 'refund')
}

function sumOf(refunds: readonly Refund[]): number {
  return refunds.reduce((sum, { amountMinor }) => sum + amountMinor, 0)
}

function moveAmounts(
  tx: Tx,
  { orderId, paymentId }: Pick<Refund, 'orderId' | 'paymentId'>,
  { paidMinor, refundedMinor, orderVersion, orderState }: PaidOrder,
  by: { readonly refundedMinor: number; readonly pendingMinor: number },
): void {
  if (paymentId === null || paidMinor === null || refundedMinor === null) return
  tx.write(sql`
    WITH changed AS (
      UPDATE payments
         SET refunded_minor = refunded_minor + ${by.refundedMinor},
             refund_pending_minor = refund_pending_minor + ${by.pendingMinor}
       WHERE id = ${paymentId}::uuid AND state = 'succeeded' AND refunded_minor = ${refundedMinor}
      RETURNING id)
    SELECT ${changedOne['payment-refundable']}`)
  const state = orderStateAfterRefunds({ capturedMinor: paidMinor, refundedMinor: refundedMinor + by.refundedMinor })
  if (state === orderState) return
  if (orderState !== 'paid' && orderState !== 'partially_refunded' && orderState !== 'refunded')
    throw new Error(`order ${orderId} is ${orderState} while its payment is refunded`)
  moveOrder(tx, { id: orderId, version: orderVersion }, state)
}

/**
 * From what we owe the merchant to what the gateway owes us, or back. Once of each kind:
 * `transfers_refund_id_kind_key`. What was returned outside of the gateway is owed to the person who paid it.
 */
function transfer(
  { runtime }: PaymentDeps,
  tx: Tx,
  { id: refundId, paymentId, accountId, amountMinor, currency, origin }: Refund,
  kind: 'refund' | 'refund_reversal',
): void {
  if (paymentId === null) return
  const merchant = `merchant:${accountId}`
  const payer = origin === 'operator' ? 'operator' : 'gateway'
  const [debit, credit] = kind === 'refund' ? [merchant, payer] : [payer, merchant]
  tx.write(sql`
    INSERT INTO transfers (id, account_id, payment_id, refund_id, kind, debit_account, credit_account, amount_minor, currency)
    VALUES (${runtime.newId()}::uuid, ${accountId}::uuid, ${paymentId}::uuid, ${refundId}::uuid, ${kind}, ${debit},
            ${credit}, ${amountMinor}, ${currency})`)
}
