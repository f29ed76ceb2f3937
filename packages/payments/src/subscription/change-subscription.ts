import type { Tx } from '@seatbelt/database'
import { decideToChange, inProgressRetryAfterSeconds, type Subscription } from '@seatbelt/domain'
import { type Call, guardTransaction, type SubscriptionChange } from '@seatbelt/safety'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { periodToBeginWith, readClock } from './create-subscription.ts'
import { lockSubscription } from './lock-subscription.ts'

/**
 * Ends a subscription for good, once per key.
 *
 * Guarantees: no charge is begun once it is committed. One that was on its way to the gateway then is finished, and if it
 * brings no money, its invoice is given up. What is open otherwise is given up here, in the same commit.
 */
export function cancelSubscription(deps: PaymentDeps, call: Call, subscriptionId: string): Promise<Result> {
  return changeSubscription(deps, call, subscriptionId, async (tx) => {
    await giveUpOpenInvoice(deps, tx, subscriptionId)
    return { state: 'cancelled' }
  })
}

/**
 * Charges another payment method from now on, once per key; the way out of `past_due`.
 *
 * What is open is tried with it in the next run, and another method begins without declines. After `past_due` the
 * subscription begins anew with the period of the present moment, or with the one after where the present one is the one
 * that was given up: a period has one invoice, and an uncollectible one rests. Periods that passed without service are not
 * charged afterwards all at once; a merchant who served in them collects them by an order. The same payment method may be
 * told again, as after its customer has spoken with the bank; its declines stay.
 */
export function changePaymentMethod(
  deps: PaymentDeps,
  call: Call,
  { subscriptionId, paymentMethod }: { readonly subscriptionId: string; readonly paymentMethod: string },
): Promise<Result> {
  return changeSubscription(deps, call, subscriptionId, async (tx, subscription) => {
    await tx.$executeRaw`
      UPDATE invoices
         SET next_try_at = LEAST(next_try_at, clock_timestamp()),
             declines = CASE WHEN ${paymentMethod === subscription.paymentMethod} THEN declines ELSE 0 END
       WHERE subscription_id = ${subscriptionId}::uuid AND state = 'open'`
    if (subscription.state !== 'past_due') return { paymentMethod }
    const next = periodToBeginWith(subscription, await readClock(tx))
    const isLater = next.nextPeriod > subscription.nextPeriod
    return { paymentMethod, state: 'active', ...(isLater && next) }
  })
}

/**
 * Keeps the subscription's row while it is decided about, and takes no other lock: the run's claims and all settles of an
 * invoice take the same row, after their order's lock and before any row of an order or an invoice, so that the order's lock
 * is not needed here. A version to compare would not do, because a claim changes nothing of the subscription; it is raised
 * for those who compare it instead (`invoiceSubscription`), and under the row's lock nobody can have been faster.
 */
function changeSubscription(
  { layers, renderings }: PaymentDeps,
  call: Call,
  subscriptionId: string,
  decide: (tx: Tx, subscription: Subscription) => Promise<SubscriptionChange>,
): Promise<Result> {
  const { accountId } = call
  const contended = { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds } as const
  return guardTransaction(layers, call, {
    resource: null,
    contended,
    work: async (tx) => {
      const known = await tx.subscription.findUnique({ where: { accountId_id: { accountId, id: subscriptionId } } })
      if (!known) return { kind: 'refused', refusal: { code: 'subscription-not-found', subscriptionId } }
      const subscription = await lockSubscription(tx, subscriptionId)
      const decision = decideToChange(subscription)
      if (decision.code !== 'change') return { kind: 'refused', refusal: decision }

      const change = await decide(tx, subscription)
      if (!(await layers.compareAndSet.subscription(tx, subscription, change)))
        throw new Error(`subscription ${subscriptionId} changed under its lock`)
      const changed = { ...subscription, ...change, version: subscription.version + 1 }
      return { kind: 'done', answer: renderings.subscriptionChanged(changed) }
    },
  })
}

/** Not where its order is being paid: then whoever settles finds the subscription cancelled, and decides. */
async function giveUpOpenInvoice({ layers }: PaymentDeps, tx: Tx, subscriptionId: string): Promise<void> {
  const open = await tx.invoice.findFirst({ where: { subscriptionId, state: 'open' }, include: { order: true } })
  if (open?.order.state !== 'pending') return
  if (!(await layers.compareAndSet.order(tx, open.order, 'cancelled')))
    throw new Error(`order ${open.orderId} changed while its subscription was locked`)
  await tx.$executeRaw`
    UPDATE invoices SET state = 'uncollectible', settled_at = clock_timestamp() WHERE id = ${open.id}::uuid`
}
