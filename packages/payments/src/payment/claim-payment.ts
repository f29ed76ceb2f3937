import type { RollBack, Tx } from '@seatbelt/database'
import { inProgressRetryAfterSeconds, type Order, type Payment, type Refusal } from '@seatbelt/domain'
import type { ClaimedPayment, IntentParameters, OwnLease } from '@seatbelt/safety'
import { type PaymentDeps, startOwnLease, wantedMs } from '../shared/payment-deps.ts'

/** A payment as its first owner has it between claim and settle. */
export interface ClaimedByOwner {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly lease: OwnLease
}

/** How the money is to be taken. */
export type Asked = Pick<IntentParameters, 'paymentMethod' | 'captureMethod' | 'offSessionCustomer'>

export interface NewClaim {
  readonly order: Order
  readonly asked: Asked
  /** How long recovery goes on asking for the money. */
  readonly wantedForMs?: number
}

/**
 * The part of a claim that every payment has, whoever asked for it: compare-and-set on the order, then the intent, once.
 *
 * Under the order's lock, after the caller has read the order and decided. What is refused has written nothing.
 */
export async function claimPayment(
  deps: PaymentDeps,
  tx: Tx,
  { order, asked, wantedForMs = wantedMs }: NewClaim,
  rollBack: RollBack<{ kind: 'contended' }>,
): Promise<{ readonly kind: 'claimed'; readonly claimed: ClaimedByOwner } | { kind: 'refused'; refusal: Refusal }> {
  const { compareAndSet, insertOnce } = deps.layers
  const lease = startOwnLease(deps.policy)
  // Under the lock only a writer that does not take it can have been faster; the row itself says so.
  if (!(await compareAndSet.order(tx, order, 'processing'))) return { kind: 'refused', refusal: inProgress(order.id) }

  const id = deps.newId()
  const { id: orderId, accountId, amountMinor, currency } = order
  const { paymentMethod } = asked
  const goal = asked.captureMethod === 'manual' ? 'authorize' : 'charge'
  const intentParameters = { amountMinor, currency, ...asked, metadata: { paymentId: id, orderId, accountId } }
  const intent = { id, accountId, orderId, amountMinor, currency, paymentMethod, intentParameters, goal } as const
  const line = { event: 'claimed', by: deps.by, gatewayRequestId: null }
  const inserted = await insertOnce.payment(
    tx,
    { ...intent, leaseMs: deps.policy.leaseMs, wantedMs: wantedForMs },
    line,
  )
  if (!inserted) return rollBack({ kind: 'contended' })

  const payment: Payment = {
    ...{ id, accountId, orderId, amountMinor, currency, paymentMethod, createdAt: inserted.createdAt },
    ...{ state: 'processing', declineCode: null, gatewayIntentId: null, authorizedAt: null, settledAt: null },
    ...{ refundedMinor: 0, refundPendingMinor: 0 },
  }
  return { kind: 'claimed', claimed: { payment, claimed: firstGeneration(intent), lease } }
}

function firstGeneration({
  id,
  goal,
  intentParameters,
}: Pick<ClaimedPayment, 'id' | 'goal' | 'intentParameters'>): ClaimedPayment {
  return {
    ...{ id, goal, intentParameters },
    generation: 1,
    isFirstOwner: true,
    gatewayIntentId: null,
    attempts: { create: 1, confirm: 1, capture: 1, cancel: 1 },
    notedDecline: null,
    wanted: true,
  }
}

export function inProgress(orderId: string) {
  return { code: 'payment-in-progress', orderId, retryAfterSeconds: inProgressRetryAfterSeconds } as const
}
