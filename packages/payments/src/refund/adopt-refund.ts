import { sql, type Tx } from '@seatbelt/database'
import type { Refund } from '@seatbelt/domain'
import type { RefundAttempt } from '@seatbelt/safety'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { openRefund } from './open-refund.ts'
import type { OwnedRefund } from './owned-refund.ts'

/**
 * Enters a refund that the gateway has and our books do not, as if it had just been claimed. Under its order's lock;
 * the same transaction settles it. Null: its payment is not there, or has not so much left.
 */
export async function adoptRefund(
  deps: PaymentDeps,
  tx: Tx,
  { accountId, paymentId, amountMinor, reason }: Pick<Refund, 'accountId' | 'paymentId' | 'amountMinor' | 'reason'>,
  known: Pick<RefundAttempt, 'id' | 'gatewayKey'>,
): Promise<OwnedRefund | null> {
  const [payment] = await tx.read(sql`SELECT 1 FROM payments WHERE id = ${paymentId}::uuid`)
  if (!payment || paymentId === null) return null
  const opened = await openRefund(deps, tx, { accountId, paymentId, amountMinor, reason, lease: null, known })
  return opened.kind === 'opened' ? opened.owned : null
}
