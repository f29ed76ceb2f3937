import { sql } from '@seatbelt/database'
import type { KeyTarget } from '@seatbelt/safety'
import { leasedRefunds } from '../shared/leased-work.ts'
import type { RefundResult } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { resume } from '../shared/resume.ts'
import { toRefund } from '../shared/rows.ts'
import { recoverRefund } from './recover-refund.ts'

/** Answers a request whose key started this refund before. */
export async function resumeRefund(deps: PaymentDeps, target: KeyTarget): Promise<RefundResult> {
  if (target.step !== 'refund') throw new Error('the key of a refund is bound to a payment')
  const { refundId: id } = target
  const isItsKey = sql`key.refund_id = refunds.id`
  const recover = () => recoverRefund(deps, id)
  return resume(deps, { table: leasedRefunds, id, isItsKey, toSubject: toRefund, recover })
}
