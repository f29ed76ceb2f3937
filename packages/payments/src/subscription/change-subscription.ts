import { sql, TransactionConflict, type Tx } from '@seatbelt/database'
import { type Call, decideToChange, maxDeclines, type Subscription } from '@seatbelt/domain'
import { guardTransaction } from '@seatbelt/safety'
import { finishWithdrawal, lockOpenPayment, type OpenPayment, withdrawPayment } from '../payment/withdraw-payment.ts'
import { readClock } from '../shared/clock.ts'
import { leasedPayments } from '../shared/leased-work.ts'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { unlocked } from '../shared/unlocked.ts'
import { periodToBeginWith } from './create-subscription.ts'
import { lockSubscription, moveSubscription, type SubscriptionChange } from './subscription-to-decide.ts'

/**
 * Ends a subscription for good, once per key.
 *
 * Guarantees: it stands as soon as it is committed, and no charge begins afterwards. A charge that is under way is
 * withdrawn in the same commit: its owner is deposed, and its intent is cancelled at the gateway. The answer names the
 * payment if the money had been taken before; `unsettled` says that this is being found out. An open invoice that is
 * not paid is given up.
 */
export function cancelSubscription(deps: PaymentDeps, call: Call, subscriptionId: string): Promise<Result> {
  return changeSubscription(deps, call, subscriptionId, (tx, { now, openPayment }) => {
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
    return { change: { state: 'cancelled', pausedBecause: null }, withdrawn: openPayment }
  })
}

export interface NewPaymentMethod {
  readonly subscriptionId: string
  readonly paymentMethod: string
}

/**
 * Charges another payment method from now on, once per key; the way out of `past_due`.
 *
 * The next run tries what is open with it, and another method begins without declines. The request may name the
 * present method, as after its customer has spoken with the bank: its declines stay, and after `past_due` it is tried
 * once more.
 *
 * After `past_due` missed periods follow the policy of the subscription. `collect`: the unpaid invoice stayed open, and
 * the periods after it are charged one a day. `skip`: the unpaid invoice was given up, and the subscription begins anew
 * with the present period, or with the next one if the present one was given up: a period has one invoice.
 *
 * A charge of the former method that is under way is withdrawn, as by a cancellation.
 */
export function changePaymentMethod(
  deps: PaymentDeps,
  call: Call,
  { subscriptionId, paymentMethod }: NewPaymentMethod,
): Promise<Result> {
  return changeSubscription(deps, call, subscriptionId, (tx, { subscription, now, openPayment }) => {
    const withdrawn = openPayment?.paymentMethod === paymentMethod ? null : openPayment
    tx.write(sql`
      UPDATE invoices
         SET next_try_at = LEAST(next_try_at, ${now}::timestamptz), refusals = 0,
             declines = CASE WHEN ${paymentMethod === subscription.paymentMethod}
                             THEN LEAST(declines, ${maxDeclines - 1}) ELSE 0 END
       WHERE subscription_id = ${subscriptionId}::uuid AND state = 'open'`)
    if (subscription.state !== 'past_due') return { change: { paymentMethod }, withdrawn }
    const next = periodToBeginWith(subscription, now)
    const isLater = subscription.missedPeriods === 'skip' && next.nextPeriod > subscription.nextPeriod
    return { change: { paymentMethod, state: 'active', ...(isLater && next) }, withdrawn }
  })
}

/** A change is decided by this. */
interface Read {
  readonly subscription: Subscription
  readonly now: Date
  /** The payment of the open invoice whose outcome is not known yet. */
  readonly openPayment: OpenPayment | null
}

interface Decided {
  readonly change: SubscriptionChange
  /** The payment that is no longer wanted. */
  readonly withdrawn: OpenPayment | null
}

/**
 * Locks the rows that it decides about, and takes no advisory lock.
 *
 * The run's claims and all settles of an invoice lock the subscription's row, after their order's lock and before any
 * row of an order or an invoice, so the order's lock is not needed here. The version alone would not do, because a
 * claim does not change the subscription; it is raised for `invoiceSubscription`, which compares it.
 */
function changeSubscription(
  deps: PaymentDeps,
  call: Call,
  subscriptionId: string,
  decide: (tx: Tx, read: Read) => Decided,
): Promise<Result> {
  return guardTransaction(deps.layers, call, {
    lockOn: unlocked,
    work: async (tx) => {
      const { subscription, ...read } = await lockToChange(tx, call, subscriptionId)
      if (!subscription) return { kind: 'refused', refusal: { code: 'subscription-not-found', subscriptionId } }
      const decision = decideToChange(subscription)
      if (decision.code !== 'change') return { kind: 'refused', refusal: decision }
      const { change, withdrawn } = decide(tx, { ...read, subscription })
      const changed = moveSubscription(tx, subscription, change)
      if (withdrawn) return withdrawPayment(deps, tx, withdrawn)
      return { kind: 'done', answer: deps.renderings.subscriptionChanged(changed, null) }
    },
    resume: (target) => finishWithdrawal(deps, call, target),
  })
}

/**
 * One round trip. The payment is locked first, as every settle does. A payment that a run claimed while this
 * transaction waited for the subscription is seen by the last read alone: then all is read anew.
 */
async function lockToChange(tx: Tx, { accountId }: Call, id: string) {
  const openOrder = sql`order_id IN (SELECT order_id FROM invoices
     WHERE account_id = ${accountId}::uuid AND subscription_id = ${id}::uuid AND state = 'open')`
  const [[openPayment = null], subscription, now, [openNow]] = await Promise.all([
    lockOpenPayment(tx, openOrder),
    lockSubscription(tx, sql`account_id = ${accountId}::uuid AND id = ${id}::uuid`),
    readClock(tx),
    tx.read<{ id: string }>(sql`SELECT id FROM payments WHERE ${openOrder} AND ${leasedPayments.isOpen}`),
  ])
  if (openNow && openNow.id !== openPayment?.id)
    throw new TransactionConflict(`the invoice of subscription ${id} was claimed meanwhile`)
  return { subscription, now, openPayment }
}
