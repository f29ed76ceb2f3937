import { type Call, decideToCancel } from '@seatbelt/domain'
import { guardTransaction } from '@seatbelt/safety'
import type { Result } from '../shared/operations.ts'
import { orderLock } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { moveOrder, readOrderToDecide } from './order-to-decide.ts'

/**
 * Cancels an order that is not being paid, once per key. It races with `payOrder` under the same lock: the first to
 * decide wins, and the other one is refused.
 */
export function cancelOrder({ layers, renderings }: PaymentDeps, call: Call, orderId: string): Promise<Result> {
  return guardTransaction(layers, call, {
    lockOn: orderLock({ accountId: call.accountId, orderId }),
    work: async (tx) => {
      const found = await readOrderToDecide(tx, call.accountId, orderId)
      if (!found) return { kind: 'refused', refusal: { code: 'order-not-found', orderId } }
      const decision = decideToCancel(found.order, found.live)
      if (decision.code !== 'cancel') return { kind: 'refused', refusal: decision }
      moveOrder(tx, found.order, 'cancelled')
      return { kind: 'done', answer: renderings.orderCancelled({ ...found.order, state: 'cancelled' }) }
    },
  })
}
