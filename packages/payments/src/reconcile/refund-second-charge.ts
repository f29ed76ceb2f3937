import { sql, type Tx } from '@seatbelt/database'
import { currencies, type OrderPurpose } from '@seatbelt/domain'
import { type Claimed, guardSystemEffect, type Refused } from '@seatbelt/safety'
import { insertRefund } from '../refund/open-refund.ts'
import type { OwnedRefund } from '../refund/owned-refund.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { leasedRefunds, startLease, wasClaimed } from '../shared/leased-work.ts'
import { inProgress } from '../shared/order-lock.ts'

import { type DecidedNow, decideNow, type Outcome, type Repair, repairBefore, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { askForCharge } from './seen-charge.ts'

/**
 * Refunds a second charge of an order, once, whatever is repeated or killed: what is left of it, and only while the
 * charge that the order is paid by stands at the gateway.
 *
 * It is a refund without a payment, unique on the charge; from its claim on it is like any other, and recovery finishes
 * it.
 */
export async function refundSecondCharge(deps: ReconcileDeps, repair: Repair): Promise<Outcome> {
  const refused = await whyNotSecond(deps, repair)
  if (refused) return refused
  const { layers } = deps.payments
  const result = await guardSystemEffect(layers, {
    lockOn: { resource: repair.resource, contended: inProgress(repair.orderId) },
    begins: { accountId: repair.accountId, operation: 'refund' },
    claim: (tx) => claim(deps, tx, repair),
    effect: ({ attempt }: OwnedRefund) => layers.gatewayRefund(attempt),
    settle: (tx, owned, evidence) => settleRefund(deps.payments, tx, owned, evidence),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedRefunds, attempt),
    unsettled: ({ refund }) => refund,
  })
  const repaired = await repairBefore(deps, repair.charge.id)
  if (repaired) return repaired
  // Refused, and nothing written: what stands now says why.
  return result.kind === 'refused' ? whyRefused(await decideNow(deps, deps.payments.database.query, repair)) : waiting
}

function whyRefused({ action }: DecidedNow): Outcome {
  if (action === 'refund' || action === 'wait') return waiting
  return { kind: action === 'none' ? 'gone' : 'person' }
}

/**
 * Counterpart of the rule that the live payment's own charge is never refunded: that charge must be there, and stand.
 */
async function whyNotSecond(deps: ReconcileDeps, repair: Repair): Promise<Outcome | null> {
  const { paidByIntentId, order } = (await decideNow(deps, deps.payments.database.query, repair)).books
  if (paidByIntentId === null || paidByIntentId === repair.intentId) return { kind: 'person' }
  const first = await askForCharge(deps, paidByIntentId)
  const stands =
    first !== 'uncountable' &&
    first?.status === 'succeeded' &&
    first.id === order?.paidBy?.gatewayChargeId &&
    first.capturedMinor - first.refundedMinor > 0
  if (stands) return null
  return { kind: 'person', detail: 'the charge that the order is paid by does not stand at the gateway' }
}

async function claim(deps: ReconcileDeps, tx: Tx, repair: Repair): Promise<Claimed<OwnedRefund> | Refused> {
  const { payments } = deps
  const { accountId, orderId, charge, intentId: gatewayIntentId } = repair
  const { action, gatewayMinor: amountMinor } = await decideNow(deps, tx.read.bind(tx), repair)
  // Our books cannot hold every currency.
  const currency = currencies.find((known) => known === charge.currency)
  if (action !== 'refund' || !currency) return { kind: 'refused', refusal: inProgress(orderId) }
  const lease = startLease(payments)
  const [order] = await tx.read<{ now: Date; purpose: OrderPurpose; orderName: string }>(sql`
    SELECT clock_timestamp() AS now, purpose, COALESCE(gateway_reference, id::text) AS order_name
      FROM orders WHERE id = ${orderId}::uuid`)
  if (!order) throw new Error(`order ${orderId} is gone`)
  const money = { accountId, orderId, paymentId: null, amountMinor, currency, reason: null } as const
  const names = { id: payments.runtime.newId(), gatewayKey: payments.layers.gatewayReference('repair', charge.id) }
  const source = { origin: 'reconciliation', gatewayIntentId, gatewayChargeId: charge.id } as const
  const attempt = insertRefund(payments, tx, { ...money, ...names, ...source, ...order, lease })
  return { kind: 'claimed', attempt, target: { step: 'refund', refundId: attempt.refund.id } }
}
