import type { Tx } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import { type Claimed, guardEffect, type Refused } from '@seatbelt/safety'
import { leasedRefunds, startLease, wasClaimed } from '../shared/leased-work.ts'
import type { NewRefundRequest, RefundResult } from '../shared/operations.ts'
import { orderLockOfPayment } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { openRefund } from './open-refund.ts'
import type { OwnedRefund } from './owned-refund.ts'
import { resumeRefund } from './resume-refund.ts'
import { settleRefund } from './settle-refund.ts'

/**
 * Refunds what a payment took, or a part of it, once per key.
 *
 * Guarantees: all refunds of a payment together never exceed it, whatever comes at the same time; those under way
 * count. A caller that receives an outcome receives the recorded one. A refund that the bank has not decided is
 * answered as pending, which is final for the key; the refund itself shows what becomes of it. `unsettled` means the
 * same as for `payOrder`. What `gateway-refund.ts` does not guarantee is not guaranteed here.
 */
export function refundPayment(deps: PaymentDeps, call: Call, request: NewRefundRequest): Promise<RefundResult> {
  return guardEffect(deps.layers, call, {
    lockOn: () => orderLockOfPayment(deps, call, request.paymentId),
    begins: 'refund',
    claim: (tx) => claimRefund(deps, tx, call, request),
    effect: ({ attempt }) => deps.layers.gatewayRefund(attempt),
    settle: (tx, owned, evidence) => settleRefund(deps, tx, owned, evidence, call),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedRefunds, attempt),
    unsettled: ({ refund }) => refund,
    resume: (target) => resumeRefund(deps, target),
  })
}

/** The claim of a refund that a request owns, whatever else belongs into its commit. */
export async function claimRefund(
  deps: PaymentDeps,
  tx: Tx,
  { accountId }: Call,
  request: NewRefundRequest,
): Promise<Claimed<OwnedRefund> | Refused> {
  const opened = await openRefund(deps, tx, { ...request, accountId, lease: startLease(deps) })
  if (opened.kind === 'refused') return opened
  return { kind: 'claimed', attempt: opened.owned, target: { step: 'refund', refundId: opened.owned.refund.id } }
}
