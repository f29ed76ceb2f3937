import { sql, type Tx } from '@seatbelt/database'
import { changedOne } from '@seatbelt/safety'
import { readOrderToDecide } from '../order/order-to-decide.ts'
import { claimPayment } from '../payment/claim-payment.ts'
import type { OwnedPayment } from '../payment/owned-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { decideUnderLock, type Outcome, type Repair } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/** The gateway's lists do not show it, and this money is never asked for again. */
const unknownPaymentMethod = 'unknown'

/**
 * Enters a charge that our books do not have as its order's payment: claimed and settled as any other, in one commit,
 * so that the order, the booking, the messages and whatever else belongs to a payment follow. Nothing is asked of the
 * gateway.
 */
export function adoptCharge(deps: ReconcileDeps, repair: Repair): Promise<Outcome> {
  const { payments } = deps
  return decideUnderLock(deps, repair, 'adopt', async (tx) => {
    const found = await readOrderToDecide(tx, repair.accountId, repair.orderId)
    if (!found) throw new Error(`order ${repair.orderId} is gone`)
    const owned = claimPayment(payments, tx, { ...found, how: { paymentMethod: unknownPaymentMethod } })
    await settle(deps, tx, repair, owned)
    return { kind: 'done', detail: `payment ${owned.payment.id}` }
  })
}

async function settle({ payments }: ReconcileDeps, tx: Tx, repair: Repair, claimed: OwnedPayment): Promise<void> {
  const { charge, intentId } = repair
  const { id, generation } = claimed.attempt
  tx.write(sql`
    WITH changed AS (
      UPDATE payments SET gateway_intent_id = ${intentId}
       WHERE id = ${id}::uuid AND generation = ${generation} AND gateway_intent_id IS NULL
      RETURNING account_id, id, generation),
    noted AS (
      INSERT INTO payment_events (account_id, payment_id, event, by, generation, detail)
      SELECT account_id, id, 'adopted', ${payments.by}, generation, ${intentId} FROM changed)
    SELECT ${changedOne['payment-generation']}`)
  const owned: OwnedPayment = {
    ...claimed,
    payment: { ...claimed.payment, gatewayIntentId: intentId },
    attempt: { ...claimed.attempt, gatewayIntentId: intentId },
  }
  const outcome = { state: 'succeeded', gatewayChargeId: charge.id } as const
  const evidence = { kind: 'outcome', fenced: true, outcome, requestLog: [] } as const
  await settlePayment(payments, tx, owned, { evidence, nextLease: null })
}
