import type { Refund as RefundRow, Tx } from '@seatbelt/database'
import type { RefundOutcome } from '@seatbelt/domain'
import { orderLockName } from '@seatbelt/safety'
import type { HistoryEntry } from '../shared/history.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { reverseRefund } from './reverse-refund.ts'

/** `agrees`: it says nothing new. `contradicts`: the gateway gave money back that our books know nothing of. */
export type LateEvidence = 'agrees' | 'reversed' | 'contradicts'

/**
 * Judges what is heard of a refund that is settled already, under its order's lock: from a deposed owner, or from the
 * gateway's events, which come in any order.
 *
 * Guarantees: a refund only ever goes forward, from succeeded to failed, as at the gateway; older news change nothing. What
 * contradicts the books is reported, and never thrown: it is a person's to judge, and must not come again for ever.
 */
export async function applyLateEvidence(
  deps: PaymentDeps,
  tx: Tx,
  row: RefundRow,
  { outcome, trail }: { readonly outcome: RefundOutcome; readonly trail: readonly HistoryEntry[] },
): Promise<LateEvidence> {
  if (row.settledAt === null) throw new Error(`refund ${row.id} is ${row.state}: it is to be settled`)
  if (outcome.state === 'pending' || outcome.gatewayRefundId === null) return 'agrees'
  const isOfThisRefund = outcome.gatewayRefundId === row.gatewayRefundId
  if (outcome.state === 'succeeded') return isOfThisRefund ? 'agrees' : contradict(deps, row, outcome.gatewayRefundId)
  if (!isOfThisRefund || row.state !== 'succeeded') return 'agrees'
  return (await reverseRefund(deps, tx, row, { failureCode: outcome.failureCode, trail })) ? 'reversed' : 'agrees'
}

function contradict({ layers }: PaymentDeps, row: RefundRow, gatewayRefundId: string): 'contradicts' {
  const fault = new Error(`refund ${row.id} is ${row.state}, and the gateway gave it back as ${gatewayRefundId}`)
  layers.reportFault(fault, orderLockName(row))
  return 'contradicts'
}
