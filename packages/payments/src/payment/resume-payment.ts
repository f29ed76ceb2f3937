import { sql } from '@seatbelt/database'
import type { KeyTarget } from '@seatbelt/safety'
import { leasedPayments } from '../shared/leased-work.ts'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { resume } from '../shared/resume.ts'
import { toPayment } from '../shared/rows.ts'
import { recoverPayment } from './recover-payment.ts'

/** Answers a request whose key started a step of this payment before. */
export async function resumePayment(deps: PaymentDeps, target: KeyTarget): Promise<Result> {
  if (target.step === 'refund') throw new Error('the key of a payment is bound to a refund')
  const { paymentId: id, step } = target
  const isItsKey = sql`key.payment_id = payments.id AND key.step = ${step}`
  const recover = () => recoverPayment(deps, id)
  return resume(deps, { table: leasedPayments, id, isItsKey, toSubject: toPayment, recover })
}
