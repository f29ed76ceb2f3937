import { type Refund as RefundRow, type Sql, sql, type Tx } from '@seatbelt/database'
import type { OrderPurpose, Refund } from '@seatbelt/domain'
import { finishAttempt, type GatewayRefundLayer, guardSettle, mayPass, type RefundEvidence } from '@seatbelt/safety'
import { LastEffect, unrecorded } from '../shared/last-effect.ts'
import { isDue, leasedRefunds, startLease, takeOver } from '../shared/leased-work.ts'
import type { RefundResult } from '../shared/operations.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { type OwnedRefund, toRefundAttempt } from './owned-refund.ts'
import { leaveRefundOpen, settleRefund } from './settle-refund.ts'

export interface RecoveredRefund {
  readonly refund: Refund
  readonly result: RefundResult
}

/**
 * Takes over one refund whose owner died or gave up, or that the bank takes its time for, looks for it at the gateway,
 * and finishes it. A refund cannot be called off, so it is wanted for ever. The worker calls it for whatever is due, a
 * retried request for its own.
 *
 * Guarantees: of many copies, one takes a refund (SKIP LOCKED, and the generation fences its former owner). It lists
 * the gateway's refunds before it asks for one. Null: nothing is due, or the gateway must not be asked now.
 * Fails with: database errors. The lease then runs out, and the refund is due again.
 */
export async function recoverRefund(
  deps: PaymentDeps,
  refundId?: string,
  ask: GatewayRefundLayer = deps.layers.gatewayRefund,
): Promise<RecoveredRefund | null> {
  const recovered = await deps.layers.gatewayGate.forRecovery(null, async () => {
    const owned = await takeOverRefund(deps, refundId)
    return owned && { refund: owned.refund, result: await finishRefund(deps, owned, ask) }
  })
  return recovered && 'reason' in recovered ? null : recovered
}

/**
 * The work of every owner of a refund that exists: the effect, and the settle under the order's lock. If it still fails
 * on our side after a day, the refund waits for a person, as a payment does.
 */
async function finishRefund(deps: PaymentDeps, owned: OwnedRefund, ask: GatewayRefundLayer): Promise<RefundResult> {
  const { layers } = deps
  const resource = orderLockName(owned.refund)
  const effect = new LastEffect(({ attempt }: OwnedRefund) => ask(attempt))
  const settle = (tx: Tx, next: OwnedRefund, evidence: RefundEvidence) => settleRefund(deps, tx, next, evidence)
  try {
    return await finishAttempt(layers, resource, { effect: effect.run, settle }, owned)
  } catch (fault) {
    if (!owned.isOverdue || mayPass(fault)) throw fault
    layers.reportFault(fault, resource)
    // What was made elsewhere may be what cannot be recorded. The next look sees it again.
    const evidence = { ...unrecorded(effect.found), elsewhere: [] }
    return guardSettle(layers, resource, (tx) => leaveRefundOpen(deps, tx, owned, evidence))
  }
}

type DueRow = RefundRow & {
  readonly keyIsRemembered: boolean
  readonly overdue: boolean
  readonly purpose: OrderPurpose
  readonly orderName: string
}

const due = isDue(leasedRefunds)

/**
 * The age of the key is judged by the database's clock, here, where the lease begins: no attempt lasts longer than it.
 */
async function takeOverRefund(deps: PaymentDeps, refundId?: string): Promise<OwnedRefund | null> {
  const attempt = { owner: deps.runtime.newId(), lease: startLease(deps) }
  const which: Sql = refundId === undefined ? due : sql`${due} AND id = ${refundId}::uuid`
  const row = await takeOver<DueRow>(deps, leasedRefunds, sql`${which} ORDER BY next_attempt_at`, attempt.owner)
  if (!row) return null
  const refund = toRefund(row)
  const facts = { ...attempt, isFirstOwner: false, keyIsRemembered: row.keyIsRemembered }
  return {
    refund,
    purpose: row.purpose,
    attempt: toRefundAttempt(refund, row, facts),
    attempts: row.attempts,
    isOverdue: row.overdue,
  }
}
