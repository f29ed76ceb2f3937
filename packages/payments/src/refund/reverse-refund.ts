import type { Refund as RefundRow, Tx } from '@seatbelt/database'
import { tellRefund } from '../messages/enqueue-messages.ts'
import { appendHistory, type HistoryEntry } from '../shared/history.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { unbookRefund } from './book-refund.ts'

export interface Reversal {
  readonly failureCode: string
  /** Where it was heard, for the history. */
  readonly trail: readonly HistoryEntry[]
}

/**
 * Takes back a refund that had succeeded, because the customer's bank sent the money back: what its payment and its order
 * become, the reversal of its transfer, its history and its messages. To be called under its order's lock, by whoever hears
 * of it: a webhook, a look, reconciliation.
 *
 * Guarantees: a refund is taken back once, whoever tells of it and however often. False: it was not to be taken back (it had
 * failed already, or is still open), and nothing was written. The recorded answer of its key stays: it was true.
 */
export async function reverseRefund(
  deps: PaymentDeps,
  tx: Tx,
  row: RefundRow,
  { failureCode, trail }: Reversal,
): Promise<boolean> {
  const reversed = await deps.layers.compareAndSet.reverseRefund(tx, row.id, failureCode)
  if (!reversed) return false
  const refund = { ...toRefund(row), ...reversed, state: 'failed', failureCode } as const
  await unbookRefund(deps, tx, refund)
  await tellRefund(deps, tx, refund)
  if (refund.paymentId === null) return true
  const owner = { paymentId: refund.paymentId, refundId: refund.id, generation: row.generation, by: deps.by }
  await appendHistory(tx, owner, [...trail, { event: 'reversed', detail: failureCode }])
  return true
}
