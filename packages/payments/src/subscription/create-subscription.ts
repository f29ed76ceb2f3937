import { sql, type Tx } from '@seatbelt/database'
import type { Call, Currency, MissedPeriods, Schedule, Subscription } from '@seatbelt/domain'
import { guardTransaction } from '@seatbelt/safety'
import { readClock } from '../shared/clock.ts'
import { readCreationReference } from '../shared/creation-reference.ts'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { unlocked } from '../shared/unlocked.ts'
import { isCustomerOf } from './gateway-customer.ts'
import { dueAt, lastPeriodDue, wallTimeAt } from './period.ts'

export interface NewSubscription extends Omit<Schedule, 'anchor'> {
  readonly customerId: string
  /** The gateway's customer, to whom the payment method is attached. */
  readonly gatewayCustomerId: string
  readonly paymentMethod: string
  readonly amountMinor: number
  readonly currency: Currency
  readonly receiptEmail: string | null
  readonly missedPeriods: MissedPeriods
  /** The wall time of the first period; null: now. */
  readonly anchor: string | null
}

/**
 * Creates a subscription, once per key. It charges nothing: the billing run does, from the first full hour on.
 *
 * The gateway's customer must be known to be the account's. The payment method must be attached to it, which only the
 * merchant's own page can do, because it alone handles cards. The gateway is not asked here. If the gateway refuses a
 * method because it is not attached, runs try it again after growing waits and report that, until the subscription is
 * past due.
 */
export function createSubscription(deps: PaymentDeps, call: Call, request: NewSubscription): Promise<Result> {
  return guardTransaction(deps.layers, call, {
    lockOn: unlocked,
    work: async (tx) => {
      const { gatewayCustomerId } = request
      const [now, isOurs, gatewayReference] = await Promise.all([
        readClock(tx),
        isCustomerOf(tx, sql`account_id = ${call.accountId}::uuid AND gateway_customer_id = ${gatewayCustomerId}`),
        readCreationReference(deps, tx, call, 'subscription'),
      ])
      if (!isOurs) return { kind: 'refused', refusal: { code: 'gateway-customer-not-found', gatewayCustomerId } }
      const schedule = { ...request, anchor: request.anchor ?? wallTimeAt(request.timeZone, now) }
      const subscription: Subscription = {
        ...schedule,
        ...periodToBeginWith(schedule, now),
        id: deps.runtime.newId(),
        accountId: call.accountId,
        state: 'active',
        pausedBecause: null,
        version: 0,
        createdAt: now,
      }
      insertSubscription(tx, subscription, gatewayReference)
      return { kind: 'done', answer: deps.renderings.subscriptionCreated(subscription) }
    },
  })
}

function insertSubscription(tx: Tx, subscription: Subscription, gatewayReference: string): void {
  const { id, accountId, customerId, gatewayCustomerId, paymentMethod, receiptEmail, interval } = subscription
  tx.write(sql`
    INSERT INTO subscriptions (id, account_id, customer_id, gateway_customer_id, payment_method, receipt_email,
                               amount_minor, currency, interval_unit, interval_count, time_zone, anchor, next_period,
                               next_due_at, missed_periods, gateway_reference, created_at)
    VALUES (${id}::uuid, ${accountId}::uuid, ${customerId}, ${gatewayCustomerId}, ${paymentMethod}, ${receiptEmail},
            ${subscription.amountMinor}, ${subscription.currency}, ${interval.unit}, ${interval.count},
            ${subscription.timeZone}, ${subscription.anchor}::timestamp, ${subscription.nextPeriod},
            ${subscription.nextDueAt}::timestamptz, ${subscription.missedPeriods}, ${gatewayReference},
            ${subscription.createdAt}::timestamptz)`)
}

/**
 * The period that the present moment lies in, or the first period if the anchor is in the future.
 *
 * However far in the past the anchor lies, one charge is due at once. Periods before the present one are not ours to
 * charge.
 */
export function periodToBeginWith(
  schedule: Schedule,
  now: Date,
): { readonly nextPeriod: number; readonly nextDueAt: Date } {
  const nextPeriod = Math.max(0, lastPeriodDue(schedule, now))
  return { nextPeriod, nextDueAt: dueAt(schedule, nextPeriod) }
}
