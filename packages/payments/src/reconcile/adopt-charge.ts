import { ourIdIn } from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import { adoptIntent, nameOfIntent } from '../payment/adopt-intent.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { decideUnderLock, type Outcome, type Repair } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/**
 * Enters a charge that our books do not have as its order's payment: claimed and settled as any other, in one commit,
 * so that the order, the booking, the messages and whatever else belongs to a payment follow. Nothing is asked of the
 * gateway.
 */
export function adoptCharge(deps: ReconcileDeps, repair: Repair): Promise<Outcome> {
  const { payments } = deps
  return decideUnderLock(deps, repair, 'adopt', async (tx) => {
    const found = await readOrderToDecide(payments, tx, repair.accountId, repair.orderId)
    if (!found) throw new Error(`order ${repair.orderId} is gone`)
    const { charge, intentId } = repair
    const name = ourIdIn(charge.metadata, 'paymentId')
    if (found.closedNames.includes(name))
      return { kind: 'person', detail: 'an operator has closed it: npm run review -- orphans' }
    const owned = adoptIntent(payments, tx, found, { intentId, gatewayKey: nameOfIntent(found, name) })
    const { id: gatewayChargeId, capturedMinor } = charge
    const outcome = { state: 'succeeded', gatewayChargeId, capturedMinor } as const
    const evidence = { kind: 'outcome', fenced: true, outcome, intentId, requestLog: [] } as const
    await settlePayment(payments, tx, owned, { evidence, nextLease: null })
    return { kind: 'done', detail: `payment ${owned.payment.id}` }
  })
}
