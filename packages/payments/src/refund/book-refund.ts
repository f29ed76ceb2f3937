import type { Tx } from '@seatbelt/database'
import { orderStateAfterRefunds, type Refund } from '@seatbelt/domain'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/**
 * Writes down what a refund that was just settled moves: its payment's amounts, its order's state, and the transfer where
 * money moved. To be called once, in the commit that settled it, under its order's lock.
 *
 * Fails with: an Error where the books do not fit the refund; the commit must not happen then.
 */
export async function bookRefund(deps: PaymentDeps, tx: Tx, refund: Refund): Promise<void> {
  const { amountMinor } = refund
  const isGivenBack = refund.state === 'succeeded'
  await move(deps, tx, refund, { refundedMinor: isGivenBack ? amountMinor : 0, pendingMinor: -amountMinor })
  if (isGivenBack) await transfer(deps, tx, refund, 'refund')
}

/** The way back, for a refund that had succeeded and has failed after all. */
export async function unbookRefund(deps: PaymentDeps, tx: Tx, refund: Refund): Promise<void> {
  await move(deps, tx, refund, { refundedMinor: -refund.amountMinor, pendingMinor: 0 })
  await transfer(deps, tx, refund, 'refund_reversal')
}

/** A repair of reconciliation gives back a charge that was never booked: nothing of ours moves. */
async function move(
  { layers: { compareAndSet } }: PaymentDeps,
  tx: Tx,
  { id, paymentId }: Refund,
  by: { readonly refundedMinor: number; readonly pendingMinor: number },
): Promise<void> {
  if (paymentId === null) return
  const moved = await compareAndSet.moveRefunded(tx, paymentId, by)
  if (!moved) throw new Error(`payment ${paymentId} does not hold what refund ${id} moves`)
  const { order } = moved
  const state = orderStateAfterRefunds(moved)
  if (state === order.state) return
  if (order.state !== 'paid' && order.state !== 'partially_refunded' && order.state !== 'refunded')
    throw new Error(`order ${order.id} is ${order.state} while its payment is refunded`)
  if (!(await compareAndSet.order(tx, order, state))) throw new Error(`order ${order.id} changed under its lock`)
}

/** From what we owe the merchant to what the gateway owes us, or back. */
async function transfer(
  { layers: { insertOnce }, newId }: PaymentDeps,
  tx: Tx,
  { id: refundId, paymentId, accountId, amountMinor, currency }: Refund,
  kind: 'refund' | 'refund_reversal',
): Promise<void> {
  if (paymentId === null) return
  const merchant = `merchant:${accountId}`
  const accounts =
    kind === 'refund'
      ? { debitAccount: merchant, creditAccount: 'gateway' }
      : { debitAccount: 'gateway', creditAccount: merchant }
  const booked = await insertOnce.transfer(tx, {
    ...{ id: newId(), paymentId, refundId, kind, amountMinor, currency },
    ...accounts,
  })
  if (!booked) throw new Error(`refund ${refundId} had its ${kind} booked before`)
}
