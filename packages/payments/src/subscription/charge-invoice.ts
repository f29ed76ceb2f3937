import type { RollBack, Tx } from '@seatbelt/database'
import { decideToPay, type Payment } from '@seatbelt/domain'
import { type Effectful, type Evidence, guardOwnEffect, orderLockName } from '@seatbelt/safety'
import { findOrderToDecide } from '../order/find-order-to-decide.ts'
import { type ClaimedByOwner, claimPayment, inProgress } from '../payment/claim-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { admitBillingFence, type BillingTerm } from './billing-fence.ts'
import { lockSubscription } from './lock-subscription.ts'

export interface DueInvoice {
  readonly id: string
  readonly accountId: string
  readonly subscriptionId: string
  readonly orderId: string
}

export type ChargeResult =
  | 'charged'
  | 'declined'
  /** The payment came to nothing without the bank's word: a later run tries anew. */
  | 'cancelled'
  /** The outcome is not known. Recovery finds it out, and nobody asks for the money again before. */
  | 'unsettled'
  /** It was paid, tried or cancelled meanwhile. */
  | 'not-due'
  /** Somebody is at its order, or nobody could say whether: look again. */
  | 'busy'
  /** The gateway takes nothing now, and nothing was claimed. */
  | 'gateway-away'

/**
 * Tries once to collect an invoice from the payment method that its customer left with the gateway.
 *
 * Guarantees: as `payOrder`. There is no key; what can happen once is the invoice's try: whoever takes it names the number
 * of tries that was read, and the order has one live payment at most. Nothing is claimed by a leader that was deposed
 * (`StaleFence` is thrown), nor for a subscription that was cancelled.
 */
export async function chargeInvoice(deps: PaymentDeps, term: BillingTerm, invoice: DueInvoice): Promise<ChargeResult> {
  const { layers } = deps
  let learned: Evidence | undefined
  const result = await guardOwnEffect<ClaimedByOwner, Evidence, Payment>(layers, {
    resource: orderLockName(invoice),
    contended: inProgress(invoice.orderId),
    claim: (tx, rollBack) => claim(deps, tx, { term, invoice, rollBack }),
    effect: async ({ claimed, lease }) => {
      learned = await layers.gatewayIntent(claimed, lease)
      return learned
    },
    settle: (tx, { payment, claimed }, evidence) => settlePayment(deps, tx, { payment, claimed, evidence }),
    unsettled: ({ payment }) => payment,
  })
  return resultOf(result, learned)
}

interface Claim {
  readonly term: BillingTerm
  readonly invoice: DueInvoice
  readonly rollBack: RollBack<{ kind: 'contended' }>
}

/** Under the order's lock: am I still the leader? Then read all of it again, decide, and take the try. */
async function claim(
  deps: PaymentDeps,
  tx: Tx,
  { term, invoice: { id, accountId, orderId, subscriptionId }, rollBack }: Claim,
): ReturnType<Effectful<ClaimedByOwner, never, Payment>['claim']> {
  await admitBillingFence(tx, term.fence)
  const subscription = await lockSubscription(tx, subscriptionId)
  const found = await findOrderToDecide(tx, accountId, orderId)
  if (!found) throw new Error(`invoice ${id} has no order`)
  const decision = decideToPay(found.order, found.live, 'invoice')
  if (decision.code !== 'pay') return { kind: 'refused', refusal: decision }
  if (subscription.state !== 'active')
    return { kind: 'refused', refusal: { code: 'subscription-cancelled', subscriptionId } }

  const read = await tx.invoice.findUniqueOrThrow({ where: { id } })
  if (!(await deps.layers.compareAndSet.startTry(tx, read, term.dueBy)))
    return { kind: 'refused', refusal: { code: 'order-managed', orderId } }

  const { paymentMethod, gatewayCustomerId } = subscription
  const asked = { paymentMethod, offSessionCustomer: gatewayCustomerId }
  const result = await claimPayment(deps, tx, { order: found.order, asked }, rollBack)
  // The try was not used.
  return result.kind === 'refused' ? rollBack({ kind: 'contended' }) : result
}

function resultOf(result: Result, learned: Evidence | undefined): ChargeResult {
  if (result.kind === 'refused') {
    // Never for want of a place: the configuration gives the run's lanes one each.
    if (result.refusal.code === 'temporarily-unavailable') return 'gateway-away'
    return result.refusal.code === 'payment-in-progress' ? 'busy' : 'not-due'
  }
  const outcome = learned?.kind === 'outcome' ? learned.outcome : null
  // Without an answer to give, whoever settled before us (the gateway's word, recovery) shows in the payment alone.
  const state = result.kind === 'unsettled' ? result.subject.state : outcome?.state
  switch (state) {
    case 'succeeded':
      return 'charged'
    case 'declined':
      return outcome?.state === 'declined' && outcome.declinedBy === 'gateway' ? 'cancelled' : 'declined'
    case 'cancelled':
    case 'voided':
      return 'cancelled'
    default:
      return 'unsettled'
  }
}
