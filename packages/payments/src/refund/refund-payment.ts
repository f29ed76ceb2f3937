import type { RollBack, Tx } from '@seatbelt/database'
import type { Refund } from '@seatbelt/domain'
import { type Call, type ClaimedRefund, guardEffect, type OwnLease, type Refused } from '@seatbelt/safety'
import { atOrderOfPayment } from '../order/order-lock.ts'
import type { NewRefundRequest, RefundResult } from '../shared/operations.ts'
import { type PaymentDeps, startOwnLease } from '../shared/payment-deps.ts'
import { resumeRefund } from '../shared/resume.ts'
import { openRefund } from './open-refund.ts'
import { settleRefund } from './settle-refund.ts'

/**
 * Gives back what a payment took, or a part of it, once per key.
 *
 * Guarantees: all refunds of a payment together never exceed it, whatever comes at the same time, those under way counted as
 * given; a caller who hears an outcome hears the one that is recorded. A refund that the bank takes its time for is told as
 * pending, which is final for the caller's key; the refund itself tells what becomes of it. `unsettled` means as for
 * `payOrder`. What `gateway-refund.ts` does not guarantee is not guaranteed here.
 */
export function refundPayment(deps: PaymentDeps, call: Call, request: NewRefundRequest): Promise<RefundResult> {
  const { layers } = deps
  return guardEffect(layers, call, {
    meetAt: () => atOrderOfPayment(deps, call, request.paymentId),
    claim: (tx, rollBack) => claimRefund(deps, tx, { call, request, rollBack }),
    effect: ({ claimed, lease }) => layers.gatewayRefund(claimed, lease),
    settle: (tx, { refund, claimed }, evidence) => settleRefund(deps, tx, { refund, claimed, evidence }),
    unsettled: ({ refund }) => refund,
    resume: (intent) => resumeRefund(deps, intent),
  })
}

/** A refund as its first owner has it between claim and settle. */
export interface RefundClaimedByOwner {
  readonly refund: Refund
  readonly claimed: ClaimedRefund
  readonly lease: OwnLease
}

/** The claim of a refund, whoever asks for it and whatever else belongs into its commit: under the order's lock. */
export interface RefundClaim {
  readonly call: Call
  readonly request: NewRefundRequest
  readonly rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>
}

/** Read, decide, reserve the amount, insert the intent once, bind the key to it. All of it or nothing is committed. */
export async function claimRefund(
  deps: PaymentDeps,
  tx: Tx,
  { call, request, rollBack }: RefundClaim,
): Promise<{ readonly kind: 'claimed'; readonly claimed: RefundClaimedByOwner } | Refused> {
  const lease = startOwnLease(deps.policy)
  const { accountId } = call
  const opened = await openRefund(deps, tx, { ...request, accountId, leaseMs: deps.policy.leaseMs })
  if (opened.kind === 'refused') return opened
  if (opened.kind === 'contended') return rollBack(opened)
  const { refund, claimed } = opened
  if (!(await deps.layers.idempotencyKey.bindToIntent(tx, call, { step: 'refund', refundId: refund.id })))
    return rollBack({ kind: 'key-taken' })
  return { kind: 'claimed', claimed: { refund, claimed, lease } }
}
