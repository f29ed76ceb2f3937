import type { Subscription } from '@seatbelt/domain'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toSubscription } from '../shared/rows.ts'
import { admitBillingFence, type BillingTerm } from './billing-fence.ts'
import { dueAt, lastPeriodDue } from './period.ts'

/**
 * Makes the invoice of the period that is due, with the order that collects it, and moves the subscription on to its next
 * period: one transaction, in which no money is asked for.
 *
 * Guarantees: one invoice per period, however many do this at once (the index, and the subscription's version); none while
 * the one before is open; none by a leader that was deposed (`StaleFence` is thrown). False: nothing was to be done.
 */
export async function invoiceSubscription(
  deps: PaymentDeps,
  { fence, dueBy }: BillingTerm,
  subscriptionId: string,
): Promise<boolean> {
  const { layers, newId } = deps
  return layers.transaction<boolean, boolean>(async (tx, rollBack) => {
    await admitBillingFence(tx, fence)
    const subscription = toSubscription(await tx.subscription.findUniqueOrThrow({ where: { id: subscriptionId } }))
    const { accountId, customerId, amountMinor, currency, receiptEmail, nextPeriod, nextDueAt } = subscription
    if (subscription.state !== 'active' || nextDueAt > dueBy) return false

    const orderId = newId()
    await tx.order.create({
      data: { id: orderId, accountId, customerId, amountMinor, currency, receiptEmail, purpose: 'invoice' },
    })
    const period = { accountId, subscriptionId, period: nextPeriod, dueAt: nextDueAt }
    if (!(await layers.insertOnce.invoice(tx, { id: newId(), orderId, ...period }))) rollBack(false)
    if (!(await layers.compareAndSet.subscription(tx, subscription, periodAfter(subscription)))) rollBack(false)
    return true
  })
}

/** Numbered on even where the zone's rules were changed since and say that the same period is due again. */
function periodAfter(subscription: Subscription): { readonly nextPeriod: number; readonly nextDueAt: Date } {
  const { nextPeriod, nextDueAt } = subscription
  const next = Math.max(nextPeriod, lastPeriodDue(subscription, nextDueAt)) + 1
  return { nextPeriod: next, nextDueAt: dueAt(subscription, next) }
}
