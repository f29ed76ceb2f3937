import { type Call, decideToCancel } from '@seatbelt/domain'
import { guardTransaction } from '@seatbelt/safety'
import { moveOrder, readOrderToDecide } from '../order/order-to-decide.ts'
import type { Result } from '../shared/operations.ts'
import { orderLock } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { finishWithdrawal, lockPaymentWithoutRequest, withdrawPayment } from './withdraw-payment.ts'

/**
 * Cancels an order, once per key. It races with `payOrder` under the same lock: the first to decide wins, and the other
 * one is refused.
 *
 * If the request that paid gave up or died, its payment is withdrawn in the same commit, and then its intent is
 * cancelled at the gateway. The answer says what came of that: the order is cancelled, or the money had been taken and
 * the order is paid. `unsettled`: that is being found out, and the order can only end in one of the two.
 */
export function cancelOrder(deps: PaymentDeps, call: Call, orderId: string): Promise<Result> {
  const { layers, renderings } = deps
  return guardTransaction(layers, call, {
    lockOn: orderLock({ accountId: call.accountId, orderId }),
    work: async (tx) => {
      const found = await readOrderToDecide(deps, tx, call.accountId, orderId)
      if (!found) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
      const decision = decideToCancel(found.order, found.live)
      if (decision.code === 'payment-in-progress' || decision.code === 'payment-in-review') {
        const abandoned = await lockPaymentWithoutRequest(tx, orderId)
        return abandoned ? withdrawPayment(deps, tx, abandoned) : { kind: 'refused', refusal: decision }
      }
      if (decision.code !== 'cancel') return { kind: 'refused', refusal: decision }
      if (found.isBlocked) return { kind: 'refused', refusal: { code: 'order-blocked', orderId } }
      moveOrder(tx, found.order, 'cancelled')
      return { kind: 'done', answer: renderings.orderCancelled({ ...found.order, state: 'cancelled' }, null) }
    },
    resume: (target) => finishWithdrawal(deps, call, target),
  })
}
