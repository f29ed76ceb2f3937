import type { Refund as RefundRow, Tx } from '@seatbelt/database'
import type { RefundOutcome } from '@seatbelt/domain'
import type { HistoryEntry } from '../shared/history.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { reverseRefund } from './reverse-refund.ts'

/** `agrees`: it says nothing new. `contradicts`: the gateway refunded money that our books know nothing of. */
export type LateEvidence = 'agrees' | 'reversed' | 'contradicts'

/**
 * Judges what was learned of a refund that is settled already, under its order's lock: from a deposed owner, or from
 * the gateway's events, which arrive in any order.
 *
 * Guarantees: a refund only ever goes forward, from succeeded to failed, as at the gateway; older news change nothing.
 * Evidence that contradicts the books is reported after the commit, and never thrown: a person must judge it, and an
 * event that fails would be delivered again and again.
 */
export async function applyLateEvidence(
  deps: PaymentDeps,
  tx: Tx,
  row: RefundRow,
  { outcome, requestLog }: { readonly outcome: RefundOutcome; readonly requestLog: readonly HistoryEntry[] },
): Promise<LateEvidence> {
  if (row.settledAt === null) throw new Error(`refund ${row.id} is ${row.state}: it must be settled`)
  if (outcome.state === 'pending' || outcome.gatewayRefundId === null) return 'agrees'
  const isOfThisRefund = outcome.gatewayRefundId === row.gatewayRefundId
  if (outcome.state === 'succeeded')
    return isOfThisRefund ? 'agrees' : contradict(deps, tx, row, outcome.gatewayRefundId)
  if (!isOfThisRefund || row.state !== 'succeeded') return 'agrees'
  await reverseRefund(deps, tx, row, { failureCode: outcome.failureCode, requestLog })
  return 'reversed'
}

function contradict({ layers }: PaymentDeps, tx: Tx, row: RefundRow, gatewayRefundId: string): 'contradicts' {
  const fault = new Error(`refund ${row.id} is ${row.state}, and the gateway gave it back as ${gatewayRefundId}`)
  tx.afterCommit(() => layers.reportFault(fault, orderLockName(row)))
  return 'contradicts'
}
