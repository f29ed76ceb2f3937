import { sql, type Tx } from '@seatbelt/database'
import type { RefundableAmount } from '../shared/payment-deps.ts'

/** Under the lock of the payment's order. */
export async function readRefundState(tx: Tx, paymentId: string): Promise<RefundableAmount> {
  const [row] = await tx.read<RefundableAmount>(sql`
    SELECT GREATEST(0, COALESCE(captured_minor, amount_minor) - refunded_minor - refund_pending_minor - disputed_minor)
             AS left_minor,
           dispute_state IS NOT DISTINCT FROM 'open' AS is_disputed,
           EXISTS (SELECT FROM refunds
                    WHERE payment_id = payments.id AND state IN ('processing', 'needs_review')) AS is_outcome_unknown,
           EXISTS (SELECT FROM refunds WHERE payment_id = payments.id AND state = 'needs_review') AS is_in_review
      FROM payments WHERE id = ${paymentId}::uuid`)
  if (!row) throw new Error(`payment ${paymentId} is gone`)
  return row
}
