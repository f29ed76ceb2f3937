import { type Refund as RefundRow, sql, type Tx } from '@seatbelt/database'
import type { OrderPurpose, Refund } from '@seatbelt/domain'
import { changedOne } from '@seatbelt/safety'
import { tellRefund } from '../messages/enqueue-messages.ts'
import { appendHistory, type HistoryEntry } from '../shared/history.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { type PaidOrder, unbookRefund } from './book-refund.ts'

export interface Reversal {
  readonly failureCode: string
  /** Where it was learned, for the history. */
  readonly requestLog: readonly HistoryEntry[]
}

/**
 * Reverses a refund that had succeeded, because the customer's bank sent the money back: what its payment and its order
 * become, the reversal of its transfer, its history and its messages. Under its order's lock, by the process that
 * learned of it: a webhook, a look, reconciliation.
 *
 * Guarantees: a refund is reversed once, no matter who reports it and how often. The recorded answer of its key stays:
 * it was true. `row`: a refund that has succeeded, as read under the lock.
 */
export async function reverseRefund(
  deps: PaymentDeps,
  tx: Tx,
  row: RefundRow,
  { failureCode, requestLog }: Reversal,
): Promise<void> {
  const { now, purpose, ...paid } = await readPaidOrder(tx, row.id)
  tx.write(sql`
    WITH changed AS (
      UPDATE refunds SET state = 'failed', failure_code = ${failureCode}, reversed_at = ${now}::timestamptz
       WHERE id = ${row.id}::uuid AND state = 'succeeded'
      RETURNING id)
    SELECT ${changedOne['refund-generation']}`)
  const refund: Refund = { ...toRefund(row), reversedAt: now, state: 'failed', failureCode }
  unbookRefund(deps, tx, refund, paid)
  tellRefund(deps, tx, refund, row.gatewayRefundId)
  await deps.purposes[purpose].refundLost(deps, tx, refund)
  const { accountId, paymentId } = refund
  if (paymentId === null) return
  const history = { accountId, paymentId, refundId: refund.id, generation: row.generation, by: deps.by }
  appendHistory(deps, tx, history, [...requestLog, { event: 'reversed', detail: failureCode }])
}

interface OrderToUnbook extends PaidOrder {
  readonly purpose: OrderPurpose
  readonly now: Date
}

async function readPaidOrder(tx: Tx, refundId: string): Promise<OrderToUnbook> {
  const [row] = await tx.read<OrderToUnbook>(sql`
    SELECT COALESCE(payments.captured_minor, payments.amount_minor) AS paid_minor, payments.refunded_minor,
           orders.version AS order_version, orders.state::text AS order_state, orders.purpose, clock_timestamp() AS now
      FROM refunds
      JOIN orders ON orders.id = refunds.order_id
      LEFT JOIN payments ON payments.id = refunds.payment_id
     WHERE refunds.id = ${refundId}::uuid`)
  if (!row) throw new Error(`refund ${refundId} is gone`)
  return row
}
