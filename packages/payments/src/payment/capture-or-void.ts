import { type Payment as PaymentRow, sql, type Tx } from '@seatbelt/database'
import { type Call, decideToEndAuthorization, type OrderPurpose } from '@seatbelt/domain'
import { guardEffect } from '@seatbelt/safety'
import { leasedPayments, startLease, wasClaimed } from '../shared/leased-work.ts'
import type { Result } from '../shared/operations.ts'
import { orderLockOfPayment } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { claimCaptureOrVoid } from './claim-next-step.ts'
import { askGateway, toNextStep } from './owned-payment.ts'
import { resumePayment } from './resume-payment.ts'
import { settlePayment } from './settle-payment.ts'

/**
 * Takes the money that a payment has reserved.
 *
 * Guarantees: of capturing and voiding one happens, and once. A caller that receives an outcome receives the recorded
 * one. An authorization that the gateway will never capture is voided, and the answer says that it was refused.
 * `unsettled` means the same as for `payOrder`.
 */
export function capturePayment(deps: PaymentDeps, call: Call, paymentId: string): Promise<Result> {
  return captureOrVoid(deps, call, { paymentId, goal: 'capture' })
}

/** Releases the money that a payment has reserved; guarantees as for capturing. The order can be paid anew. */
export function voidPayment(deps: PaymentDeps, call: Call, paymentId: string): Promise<Result> {
  return captureOrVoid(deps, call, { paymentId, goal: 'void' })
}

interface EndRequest {
  readonly paymentId: string
  readonly goal: 'capture' | 'void'
}

function captureOrVoid(deps: PaymentDeps, call: Call, { paymentId, goal }: EndRequest): Promise<Result> {
  return guardEffect(deps.layers, call, {
    lockOn: () => orderLockOfPayment(deps, call, paymentId),
    begins: goal,
    claim: async (tx) => {
      const attempt = { owner: deps.runtime.newId(), lease: startLease(deps) }
      const { purpose, ...row } = await readAuthorized(tx, call.accountId, paymentId)
      if (purpose !== 'merchant') return { kind: 'refused', refusal: { code: 'order-managed', orderId: row.orderId } }
      const decision = decideToEndAuthorization(row)
      if (decision.code !== 'end-authorization') return { kind: 'refused', refusal: decision }
      const claimed = claimCaptureOrVoid(deps, tx, { row, goal, owner: attempt.owner })
      return { kind: 'claimed', attempt: toNextStep(claimed, purpose, attempt), target: { step: goal, paymentId } }
    },
    effect: (owned) => askGateway(deps, owned),
    settle: (tx, owned, found) => settlePayment(deps, tx, owned, found, call),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedPayments, attempt),
    unsettled: ({ payment }) => payment,
    resume: (target) => resumePayment(deps, target),
  })
}

/** Locked: recovery, which voids an authorization that was not captured in time, takes no advisory lock. */
async function readAuthorized(
  tx: Tx,
  accountId: string,
  paymentId: string,
): Promise<PaymentRow & { purpose: OrderPurpose }> {
  const [row] = await tx.read<PaymentRow & { purpose: OrderPurpose }>(sql`
    SELECT payments.*, orders.purpose
      FROM payments JOIN orders ON orders.id = payments.order_id
     WHERE payments.account_id = ${accountId}::uuid AND payments.id = ${paymentId}::uuid
       FOR NO KEY UPDATE OF payments`)
  if (!row) throw new Error(`payment ${paymentId} is gone`)
  return row
}
