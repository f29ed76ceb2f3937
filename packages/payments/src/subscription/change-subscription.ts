import { sql, type Tx } from '@seatbelt/database'
import { type Call, decideToChange, type Subscription } from '@seatbelt/domain'
import { guardTransaction } from '@seatbelt/safety'
import { readClock } from '../shared/clock.ts'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { unlocked } from '../shared/unlocked.ts'
import { periodToBeginWith } from './create-subscription.ts'
import { lockSubscription, moveSubscription, type SubscriptionChange } from './subscription-to-decide.ts'

/**
 * Ends a subscription for good, once per key.
 *
 * Guarantees: after its commit no charge begins. A charge that is at the gateway by then is finished; if it brings no
 * money, its invoice is given up. Any other open invoice is given up in the same commit.
 */
export function cancelSubscription(deps: PaymentDeps, call: Call, subscriptionId: string): Promise<Result> {
  return changeSubscription(deps, call, subscriptionId, (tx, _, now) => {
    // While the order is being paid, its settle finds the subscription cancelled, and decides about the invoice.
    tx.write(sql`
      WITH given_up AS (
        UPDATE invoices SET state = 'uncollectible', settled_at = ${now}::timestamptz
          FROM orders
         WHERE subscription_id = ${subscriptionId}::uuid AND invoices.state = 'open'
           AND orders.id = order_id AND orders.state = 'pending'
        RETURNING order_id, version),
      changed AS (
        UPDATE orders SET state = 'cancelled', version = orders.version + 1
          FROM given_up WHERE orders.id = order_id AND orders.version = given_up.version
        RETURNING id)
      SELECT guard((SELECT count(*) FROM changed) = (SELECT count(*) FROM given_up), 'order-version')`)
    return { state: 'cancelled' }
  })
}

export interface NewPaymentMethod {
  readonly subscriptionId: string
  readonly paymentMethod: string
}

/**
 * Charges another payment method from now on, once per key; the way out of `past_due`.
 *
 * The next run tries what is open with it, and another method begins without declines. After `past_due` the
 * subscription begins anew with the present period, or with the next one if the present one was given up: a period has
 * one invoice, and an uncollectible invoice stays so. Periods that passed without service are not charged afterwards; a
 * merchant who did serve in them collects them by an order. The request may name the present method, as after its
 * customer has spoken with the bank; its declines stay.
 */
export function changePaymentMethod(
  deps: PaymentDeps,
  call: Call,
  { subscriptionId, paymentMethod }: NewPaymentMethod,
): Promise<Result> {
  return changeSubscription(deps, call, subscriptionId, (tx, subscription, now) => {
    tx.write(sql`
      UPDATE invoices
         SET next_try_at = LEAST(next_try_at, ${now}::timestamptz),
             declines = CASE WHEN ${paymentMethod === subscription.paymentMethod} THEN declines ELSE 0 END
       WHERE subscription_id = ${subscriptionId}::uuid AND state = 'open'`)
    if (subscription.state !== 'past_due') return { paymentMethod }
    const next = periodToBeginWith(subscription, now)
    const isLater = next.nextPeriod > subscription.nextPeriod
    return { paymentMethod, state: 'active', ...(isLater && next) }
  })
}

/**
 * Locks the subscription's row while it decides, and takes no advisory lock.
 *
 * The run's claims and all settles of an invoice lock the same row, after their order's lock and before any row of an
 * order or an invoice, so the order's lock is not needed here. The version alone would not do, because a claim does not
 * change the subscription; it is raised for `invoiceSubscription`, which compares it.
 */
function changeSubscription(
  { layers, renderings }: PaymentDeps,
  call: Call,
  subscriptionId: string,
  decide: (tx: Tx, read: Subscription, now: Date) => SubscriptionChange,
): Promise<Result> {
  return guardTransaction(layers, call, {
    lockOn: unlocked,
    work: async (tx) => {
      const [subscription, now] = await Promise.all([
        lockSubscription(tx, sql`account_id = ${call.accountId}::uuid AND id = ${subscriptionId}::uuid`),
        readClock(tx),
      ])
      if (!subscription) return { kind: 'refused', refusal: { code: 'subscription-not-found', subscriptionId } }
      const decision = decideToChange(subscription)
      if (decision.code !== 'change') return { kind: 'refused', refusal: decision }
      const changed = moveSubscription(tx, subscription, decide(tx, subscription, now))
      return { kind: 'done', answer: renderings.subscriptionChanged(changed) }
    },
  })
}
