import { decideToCancel, inProgressRetryAfterSeconds } from '@seatbelt/domain'
import { type Call, guardTransaction, orderLockName } from '@seatbelt/safety'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { findOrderToDecide } from './find-order-to-decide.ts'

/**
 * Cancels an order that nobody is paying, once per key. It races with `payOrder` under the same lock: whoever decides
 * first wins, and the other one is refused.
 */
export function cancelOrder(deps: PaymentDeps, call: Call, orderId: string): Promise<Result> {
  const { layers, renderings } = deps
  const inProgress = { code: 'payment-in-progress', orderId, retryAfterSeconds: inProgressRetryAfterSeconds } as const
  return guardTransaction(layers, call, {
    resource: orderLockName({ accountId: call.accountId, orderId }),
    contended: inProgress,
    work: async (tx) => {
      const found = await findOrderToDecide(tx, call.accountId, orderId)
      if (!found) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
      const decision = decideToCancel(found.order, found.live)
      if (decision.code !== 'cancel') return { kind: 'refused', refusal: decision }
      // Under the lock only a writer that does not take it can have been faster; then nothing is written here.
      if (!(await layers.compareAndSet.order(tx, found.order, 'cancelled')))
        return { kind: 'refused', refusal: inProgress }
      return { kind: 'done', answer: renderings.orderCancelled({ ...found.order, state: 'cancelled' }) }
    },
  })
}
