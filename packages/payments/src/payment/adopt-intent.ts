import { type Payment as PaymentRow, type Sql, sql, type Tx } from '@seatbelt/database'
import { currencies, type Money } from '@seatbelt/domain'
import { changedOne, type GatewayIntent, type PaymentAttempt } from '@seatbelt/safety'
import type { OrderToDecide } from '../order/order-to-decide.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { claimPayment, type HowToPay } from './claim-payment.ts'
import type { OwnedPayment } from './owned-payment.ts'

/** The gateway does not show every payment method, and this money is never asked for again. */
export const unknownPaymentMethod = 'unknown'

/** An intent that our books do not have. Each part that is not known is made as for a new payment. */
export interface KnownIntent {
  readonly id?: string
  readonly gatewayKey?: string
  /** Null: an owner lost its row before it knew the intent. */
  readonly intentId: string | null
  readonly intentParameters?: HowToPay
}

/** The order waits for a payment of exactly this amount, and none is there. `name`: the payment's at the gateway. */
export function isAdoptable(
  { order, live, closedNames }: OrderToDecide,
  { amountMinor, currency }: Money,
  name: string,
): boolean {
  const isAwaited = order.state === 'pending' && live === null && !closedNames.includes(name)
  return isAwaited && order.amountMinor === amountMinor && order.currency === currency
}

/** The name that the intent carries at the gateway, unless a payment of ours has it. */
export function nameOfIntent({ names, usedNames }: OrderToDecide, carried: string | null): string {
  return carried === null || usedNames.includes(carried) ? names.payment : carried
}

/** Before the decision: a cancellation of the subscription behind an order does not take the order's lock. */
export function lockSubscriptionOf(orderId: string): Sql {
  return sql`
    SELECT 1 FROM subscriptions WHERE id = (SELECT subscription_id FROM invoices WHERE order_id = ${orderId}::uuid)
       FOR NO KEY UPDATE`
}

/**
 * Enters an intent that our books do not have as the payment of its order, as if it had just been claimed and stored.
 * Under the order's lock; the same transaction settles it.
 */
export function adoptIntent(deps: PaymentDeps, tx: Tx, found: OrderToDecide, known: KnownIntent): OwnedPayment {
  const { id = deps.runtime.newId(), gatewayKey = found.names.payment, intentId, intentParameters } = known
  const how = intentParameters ? howOf(intentParameters) : { paymentMethod: unknownPaymentMethod }
  const claimed = claimPayment(deps, tx, { ...found, id, names: { ...found.names, payment: gatewayKey }, how })
  const { generation } = claimed.attempt
  tx.write(sql`
    WITH changed AS (
      UPDATE payments SET gateway_intent_id = ${intentId}
       WHERE id = ${id}::uuid AND generation = ${generation} AND gateway_intent_id IS NULL
      RETURNING account_id, id, generation),
    noted AS (
      INSERT INTO payment_events (account_id, payment_id, event, by, generation, detail)
      SELECT account_id, id, 'adopted', ${deps.by}, generation, ${intentId} FROM changed)
    SELECT ${changedOne['payment-generation']}`)
  return {
    ...claimed,
    payment: { ...claimed.payment, gatewayIntentId: intentId },
    attempt: { ...claimed.attempt, gatewayIntentId: intentId },
  }
}

function howOf({ paymentMethod, captureMethod, offSessionCustomer }: HowToPay): HowToPay {
  return { paymentMethod, ...(captureMethod && { captureMethod }), ...(offSessionCustomer && { offSessionCustomer }) }
}

/** The payment that a retry has claimed under this name since the first one was lost. */
export async function findPaymentNamed(
  tx: Tx,
  orderId: string,
  gatewayKey: PaymentAttempt['gatewayKey'],
): Promise<PaymentRow | null> {
  const [row] = await tx.read<PaymentRow>(sql`
    SELECT * FROM payments WHERE order_id = ${orderId}::uuid AND gateway_key = ${gatewayKey} FOR NO KEY UPDATE`)
  return row ?? null
}

/** Null: our books cannot hold this currency. */
export function moneyTaken({ receivedMinor, currency }: GatewayIntent): Money | null {
  const known = currencies.find((code) => code === currency)
  return known ? { amountMinor: receivedMinor, currency: known } : null
}
