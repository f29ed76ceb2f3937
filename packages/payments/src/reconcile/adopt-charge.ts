import type { RollBack, Tx } from '@seatbelt/database'
import { type ClaimedPayment, isContention } from '@seatbelt/safety'
import { findOrderToDecide } from '../order/find-order-to-decide.ts'
import { type ClaimedByOwner, claimPayment } from '../payment/claim-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { lockSubscription } from '../subscription/lock-subscription.ts'
import { decideNow, type Outcome, type Repair, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/** The gateway's lists do not tell; and nobody will ask for this money again. */
const unknownPaymentMethod = 'unknown'

/**
 * Enters a charge that our books do not have as its order's payment: claimed and settled as any other, in one commit, so that
 * the order, the booking, the messages and whatever else hangs on a payment follow. Nothing is asked of the gateway.
 */
export async function adoptCharge(deps: ReconcileDeps, repair: Repair): Promise<Outcome> {
  const { layers } = deps.payments
  try {
    return await layers
      .transaction<Outcome, Outcome | { kind: 'contended' }>((tx, rollBack) =>
        layers.advisoryLock(tx, repair.resource, () => adopt(deps, tx, repair, rollBack)),
      )
      .then((outcome) => (outcome.kind === 'contended' ? waiting : outcome))
  } catch (fault) {
    if (isContention(fault)) return waiting
    throw fault
  }
}

async function adopt(
  deps: ReconcileDeps,
  tx: Tx,
  repair: Repair,
  rollBack: RollBack<{ kind: 'contended' }>,
): Promise<Outcome> {
  const { payments } = deps
  await lockSubscriptionBehind(tx, repair)
  const { action } = await decideNow(deps, tx, repair)
  if (action !== 'adopt') return action === 'none' ? { kind: 'gone' } : waiting
  const found = await findOrderToDecide(tx, repair.accountId, repair.orderId)
  if (!found) throw new Error(`order ${repair.orderId} is gone`)

  const asked = { paymentMethod: unknownPaymentMethod }
  const claim = await claimPayment(payments, tx, { order: found.order, asked }, rollBack)
  if (claim.kind === 'refused') return rollBack({ kind: 'contended' })
  await settle(deps, tx, repair, claim.claimed, rollBack)
  return { kind: 'done', detail: `payment ${claim.claimed.payment.id}` }
}

/** Where the order collects an invoice: the settle takes it as well, and whoever cancels takes it before the order's row. */
async function lockSubscriptionBehind(tx: Tx, { orderId }: Repair): Promise<void> {
  const invoice = await tx.invoice.findUnique({ where: { orderId }, select: { subscriptionId: true } })
  if (invoice) await lockSubscription(tx, invoice.subscriptionId)
}

async function settle(
  { payments }: ReconcileDeps,
  tx: Tx,
  { charge, intentId }: Repair,
  { payment, claimed: unstored }: ClaimedByOwner,
  rollBack: RollBack<{ kind: 'contended' }>,
): Promise<void> {
  const { by, layers } = payments
  const line = { event: 'adopted', by, gatewayRequestId: null }
  if (!(await layers.compareAndSet.storeIntent(tx, unstored, intentId, line))) return rollBack({ kind: 'contended' })
  const claimed: ClaimedPayment = { ...unstored, gatewayIntentId: intentId }
  const outcome = { state: 'succeeded', gatewayChargeId: charge.id } as const
  const evidence = { kind: 'outcome', fenced: true, outcome, trail: [] } as const
  await settlePayment(payments, tx, { payment: { ...payment, gatewayIntentId: intentId }, claimed, evidence })
}
