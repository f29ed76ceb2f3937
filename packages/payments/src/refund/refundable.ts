import { sql, type Tx } from '@seatbelt/database'
import type { RefundableAmount } from '../shared/payment-deps.ts'

/** Under the lock of the payment's order. */
export async function readRefundState(tx: Tx, paymentId: string): Promise<RefundableAmount> {
  const [row] = await tx.read<RefundableAmount>(sql`
    SELECT GREATEST(0, COALESCE(captured_minor, amount_minor) - refunded_minor - refund_pending_minor - disputed_minor)
             AS left_minor,
           COALESCE(dispute_state = 'open' OR (dispute_state = 'won' AND disputed_minor > 0), false) AS is_disputed,
           dispute_state,
           EXISTS (SELECT FROM refunds
                    WHERE payment_id = payments.id AND state IN ('processing', 'needs_review')) AS is_outcome_unknown,
           EXISTS (SELECT FROM refunds WHERE payment_id = payments.id AND state = 'needs_review') AS is_in_review
      FROM payments WHERE id = ${paymentId}::uuid`)
  if (!row) throw new Error(`payment ${paymentId} is gone`)
  return row
}
