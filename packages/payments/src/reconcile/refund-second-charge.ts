import type { RollBack, Tx } from '@seatbelt/database'
import { type Currency, currencies, type Refund } from '@seatbelt/domain'
import { type ClaimedRefund, guardOwnEffect, type OwnLease } from '@seatbelt/safety'
import { inProgress } from '../payment/claim-payment.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { toClaimedRefund } from '../refund/to-claimed-refund.ts'
import { startOwnLease } from '../shared/payment-deps.ts'
import type { Unanswered } from './ask-patiently.ts'
import { decideNow, type Outcome, type Repair, repairBefore, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { askForCharge, isUnanswered, isUncountable } from './seen-charge.ts'

/**
 * Gives back a second charge of an order, once, whatever is repeated or killed: what is left of it, and only while the charge
 * that the order is paid by stands at the gateway.
 *
 * A refund without a payment, unique on the charge; from its claim on it is like any other, and recovery finishes it.
 */
export async function refundSecondCharge(deps: ReconcileDeps, repair: Repair): Promise<Outcome | Unanswered> {
  const first = await firstChargeStands(deps, repair)
  if (first.kind !== 'stands') return first
  const { payments } = deps
  const { layers } = payments
  const decided: { outcome: Outcome } = { outcome: waiting }
  const result = await guardOwnEffect(layers, {
    resource: repair.resource,
    contended: inProgress(repair.orderId),
    claim: (tx, rollBack) => claim(deps, tx, { repair, decided, rollBack }),
    effect: ({ claimed, lease }) => layers.gatewayRefund(claimed, lease),
    settle: (tx, { refund, claimed }, evidence) => settleRefund(payments, tx, { refund, claimed, evidence }),
    unsettled: ({ refund }) => refund,
  })
  // Refused, and nothing written: another repair may have been faster, else it is as was decided under the lock.
  return (await repairBefore(deps, repair.charge.id)) ?? (result.kind === 'refused' ? decided.outcome : waiting)
}

/** The pair of the rule that the live payment's own charge is never given back: it must be there, and stand. */
async function firstChargeStands(
  deps: ReconcileDeps,
  repair: Repair,
): Promise<{ readonly kind: 'stands' } | Outcome | Unanswered> {
  const { books } = await deps.payments.database.statement((client) => decideNow(deps, client, repair))
  const { paidByIntentId, order } = books
  if (paidByIntentId === null || paidByIntentId === repair.intentId) return { kind: 'person' }
  const first = await askForCharge(deps, paidByIntentId)
  if (isUnanswered(first)) return first
  const stands =
    !isUncountable(first) &&
    first?.status === 'succeeded' &&
    first.id === order?.paidBy?.gatewayChargeId &&
    first.capturedMinor - first.refundedMinor > 0
  if (stands) return { kind: 'stands' }
  return { kind: 'person', detail: 'the charge that the order is paid by does not stand at the gateway' }
}

interface ClaimedRepair {
  readonly refund: Refund
  readonly claimed: ClaimedRefund
  readonly lease: OwnLease
}

interface Claim {
  readonly repair: Repair
  /** What was found under the lock, where that is not a claim. */
  readonly decided: { outcome: Outcome }
  readonly rollBack: RollBack<{ kind: 'contended' }>
}

async function claim(deps: ReconcileDeps, tx: Tx, { repair, decided, rollBack }: Claim) {
  const { layers, policy, newId, by } = deps.payments
  const lease = startOwnLease(policy)
  const refused = { kind: 'refused', refusal: inProgress(repair.orderId) } as const
  const { action, gatewayMinor: amountMinor } = await decideNow(deps, tx, repair)
  const currency = toCurrency(repair.charge.currency)
  if (action !== 'refund' || currency === null) {
    decided.outcome = action === 'wait' ? waiting : { kind: action === 'none' ? 'gone' : 'person' }
    return refused
  }
  const { accountId, orderId, charge, intentId: gatewayIntentId } = repair
  const intent = { id: newId(), accountId, orderId, paymentId: null, amountMinor, currency, reason: null }
  const atGateway = {
    gatewayIntentId,
    gatewayChargeId: charge.id,
    gatewayRefundId: null,
    refundAttempt: 1,
    generation: 1,
  }
  const line = { event: 'claimed', by, gatewayRequestId: null }
  const inserted = await layers.insertOnce.refund(tx, { ...intent, ...atGateway, leaseMs: policy.leaseMs }, line)
  if (!inserted) return rollBack({ kind: 'contended' })
  const refund: Refund = {
    ...{ ...intent, createdAt: inserted.createdAt, origin: 'reconciliation', state: 'processing' },
    ...{ failureCode: null, settledAt: null, reversedAt: null },
  }
  const claimed = toClaimedRefund(refund, atGateway, { isFirstOwner: true, keyIsRemembered: true })
  return { kind: 'claimed', claimed: { refund, claimed, lease } satisfies ClaimedRepair } as const
}

/** Null: one that our books cannot hold. */
function toCurrency(code: string): Currency | null {
  return currencies.find((known) => known === code) ?? null
}
