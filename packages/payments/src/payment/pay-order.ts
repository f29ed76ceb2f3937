import type { RollBack, Tx } from '@seatbelt/database'
import { decideToPay, type Payment } from '@seatbelt/domain'
import { type Call, type Effectful, guardEffect } from '@seatbelt/safety'
import { findOrderToDecide } from '../order/find-order-to-decide.ts'
import { atOrder } from '../order/order-lock.ts'
import type { NewPaymentRequest, Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { resumePayment } from '../shared/resume.ts'
import { type ClaimedByOwner, claimPayment } from './claim-payment.ts'
import { settlePayment } from './settle-payment.ts'

/**
 * Takes an order's money, once, whatever is repeated, delayed, killed or lost.
 *
 * Guarantees: an order is charged at most once over all keys and processes; a caller who hears an outcome hears the one
 * that is recorded. `unsettled` means that the outcome is being found out: the same key brings it later.
 */
export function payOrder(deps: PaymentDeps, call: Call, request: NewPaymentRequest): Promise<Result> {
  const { layers } = deps
  return guardEffect(layers, call, {
    meetAt: atOrder({ accountId: call.accountId, orderId: request.orderId }),
    claim: (tx, rollBack) => claim(deps, tx, call, request, rollBack),
    effect: ({ claimed, lease }) => layers.gatewayIntent(claimed, lease),
    settle: (tx, { payment, claimed }, evidence) => settlePayment(deps, tx, { payment, claimed, evidence }),
    unsettled: ({ payment }) => payment,
    resume: (intent) => resumePayment(deps, intent),
  })
}

/** Read, decide, compare-and-set, insert the intent once, bind the key to it. All of it or nothing is committed. */
async function claim(
  deps: PaymentDeps,
  tx: Tx,
  call: Call,
  request: NewPaymentRequest,
  rollBack: RollBack<{ kind: 'key-taken' } | { kind: 'contended' }>,
): ReturnType<Effectful<ClaimedByOwner, never, Payment>['claim']> {
  const { orderId, paymentMethod, capture } = request
  const found = await findOrderToDecide(tx, call.accountId, orderId)
  if (!found) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
  const decision = decideToPay(found.order, found.live)
  if (decision.code !== 'pay') return { kind: 'refused', refusal: decision }

  const asked = { paymentMethod, ...(capture === 'manual' && { captureMethod: capture }) }
  const result = await claimPayment(deps, tx, { order: found.order, asked }, rollBack)
  if (result.kind === 'refused') return result
  const { id: paymentId } = result.claimed.payment
  if (!(await deps.layers.idempotencyKey.bindToIntent(tx, call, { step: 'pay', paymentId })))
    return rollBack({ kind: 'key-taken' })
  return result
}
