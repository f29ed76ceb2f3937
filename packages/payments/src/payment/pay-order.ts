import { sql } from '@seatbelt/database'
import { type Call, decideOnDeclines, decideToPay, orderStateAfter } from '@seatbelt/domain'
import { guardEffect } from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import { lockDeclines } from '../shared/declines.ts'
import { leasedPayments, wasClaimed } from '../shared/leased-work.ts'
import type { NewPaymentRequest, Result } from '../shared/operations.ts'
import { orderLock } from '../shared/order-lock.ts'
import type { PaymentDeps, Purpose } from '../shared/payment-deps.ts'
import { claimPayment } from './claim-payment.ts'
import { askGateway } from './owned-payment.ts'
import { resumePayment } from './resume-payment.ts'
import { settlePayment } from './settle-payment.ts'

/**
 * Takes an order's money, once, whatever is repeated, delayed, killed or lost.
 *
 * Guarantees: an order is charged at most once over all keys and processes. A caller that receives an outcome receives
 * the recorded one. `unsettled` means that the outcome is being found out: the same key brings it later.
 */
export function payOrder(deps: PaymentDeps, call: Call, request: NewPaymentRequest): Promise<Result> {
  const { orderId, paymentMethod, capture } = request
  return guardEffect(deps.layers, call, {
    lockOn: orderLock({ accountId: call.accountId, orderId }),
    begins: 'pay',
    claim: async (tx) => {
      const { declineLimits } = deps.policy
      const order = sql`FROM orders WHERE id = ${orderId}::uuid AND account_id = ${call.accountId}::uuid`
      lockDeclines(tx, declineLimits, { accountId: call.accountId, customer: sql`customer_id`, from: order })
      const found = await readOrderToDecide(deps, tx, call.accountId, orderId, declineLimits)
      if (!found) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
      const decision = decideToPay(found.order, found.live)
      if (decision.code !== 'pay') return { kind: 'refused', refusal: decision }
      if (found.isBlocked) return { kind: 'refused', refusal: { code: 'order-blocked', orderId } }
      const mayTry = decideOnDeclines(found.declines)
      if (mayTry.code !== 'pay') return { kind: 'refused', refusal: mayTry }
      const how = { paymentMethod, ...(capture === 'manual' && { captureMethod: capture }) }
      const attempt = claimPayment(deps, tx, { ...found, how })
      return { kind: 'claimed', attempt, target: { step: 'pay', paymentId: attempt.payment.id } }
    },
    effect: (owned) => askGateway(deps, owned),
    settle: (tx, owned, found) => settlePayment(deps, tx, owned, found, call),
    wasClaimed: (tx, { attempt }) => wasClaimed(tx, leasedPayments, attempt),
    unsettled: ({ payment }) => payment,
    resume: (target) => resumePayment(deps, target),
  })
}

/** An order of the API: the merchant decides about an authorization, and the answers show the payment. */
export const merchantPurpose: Purpose = {
  settling: async (deps, tx) => ({
    keyStep: (goal) => goal,
    authorized: async () => 'await',
    ended: async (payment, outcome, isWithdrawn) => {
      const isPaid = outcome.state === 'succeeded'
      const orderState = isWithdrawn && !isPaid ? 'cancelled' : orderStateAfter(outcome)
      const found = isWithdrawn ? await readOrderToDecide(deps, tx, payment.accountId, payment.orderId) : null
      return {
        orderState,
        answer: (step) => deps.renderings.paymentSettled(payment, outcome, step),
        withdrawalAnswer:
          found && deps.renderings.orderCancelled({ ...found.order, state: orderState }, isPaid ? payment.id : null),
        isUnfulfilled: false,
      }
    },
  }),
  refunded: async () => null,
  refundLost: async () => {},
  reinstated: async () => {},
}
