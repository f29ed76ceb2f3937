import type { Money } from './money.ts'
import type { OrderState } from './order.ts'
import { orderStateAfter, type PaymentOutcome } from './payment.ts'
import type { Refusal } from './refusal.ts'

/**
 * `active -> past_due` after three declines of one invoice by one payment method, `past_due -> active` with another
 * payment method, and `cancelled` for good. `paused`: its gateway customer is not known to be the account's.
 */
export type SubscriptionState = 'active' | 'past_due' | 'paused' | 'cancelled'

/** `open -> paid | uncollectible`. The next period waits until it is one of the two. */
export type InvoiceState = 'open' | 'paid' | 'uncollectible'

export interface Interval {
  readonly unit: IntervalUnit
  readonly count: number
}

export const intervalUnits = ['day', 'week', 'month', 'year'] as const
export type IntervalUnit = (typeof intervalUnits)[number]

/** A year of days, and otherwise the three years that the gateway's own subscriptions know as longest. */
export const longestIntervals: Readonly<Record<IntervalUnit, number>> = { day: 365, week: 156, month: 36, year: 3 }

/** A limit, as on everything. Before it lies no agreement that is still charged, after it nobody's card. */
export const anchorYears = { from: 2000, to: 2099 } as const

/** What says when the periods fall due. */
export interface Schedule {
  /** The wall time of period 0, such as `2026-01-31T09:00:00`. */
  readonly anchor: string
  /** A name of the IANA database. */
  readonly timeZone: string
  readonly interval: Interval
}

export interface Subscription extends Money, Schedule {
  readonly id: string
  readonly accountId: string
  readonly customerId: string
  /** The gateway's customer, to whom the payment method is attached. */
  readonly gatewayCustomerId: string
  readonly paymentMethod: string
  readonly receiptEmail: string | null
  readonly state: SubscriptionState
  /** What the merchant must do before it is charged again. Null: it is not paused. */
  readonly pausedBecause: string | null
  /** The first period without an invoice. */
  readonly nextPeriod: number
  readonly nextDueAt: Date
  readonly version: number
  readonly createdAt: Date
}

/** A customer at the gateway, whom one account may charge while they are away. */
export interface GatewayCustomer {
  /** The gateway's. */
  readonly id: string
  readonly accountId: string
  /** The merchant's own name for the customer. */
  readonly customerId: string
  readonly createdAt: Date
}

export interface Invoice {
  readonly id: string
  readonly subscriptionId: string
  readonly period: number
  readonly dueAt: Date
  readonly orderId: string
  readonly state: InvoiceState
  readonly declines: number
  readonly nextTryAt: Date
  readonly settledAt: Date | null
}

/** Then nobody tries any more: card networks count tries, and a bank that refused three times over a week means it. */
export const maxDeclines = 3

/**
 * After the first decline, and after the second. Many declines are of the moment, so the first pause is a day; after the
 * second one a week has passed since the first try, in which a wage may have come.
 */
const retryAfterDays = [1, 6] as const

/** What a try to charge it makes of an invoice, of its order, and of its subscription. */
export interface InvoiceDecision {
  readonly invoice: InvoiceState
  readonly declines: number
  /** From now on; null: as it is. */
  readonly retryAfterDays: number | null
  readonly order: OrderState
  readonly subscription: SubscriptionState
}

export interface InvoiceTried {
  /** Of the payment method that is charged now, so far. */
  readonly declines: number
  readonly subscription: SubscriptionState
  /** Was the payment method changed while this try was under way? */
  readonly isMethodReplaced: boolean
}

/**
 * Only what a bank says of the payment method that is charged now is a decline, and counts. A payment that was cancelled or
 * voided, a request that the gateway refused, and the last word about a card that was replaced came to nothing: the next run
 * tries anew.
 */
export function decideAboutInvoice(
  { declines, subscription, isMethodReplaced }: InvoiceTried,
  outcome: PaymentOutcome,
): InvoiceDecision {
  const isDecline = outcome.state === 'declined' && outcome.declinedBy === 'bank' && !isMethodReplaced
  const now = { declines: declines + (isDecline ? 1 : 0), retryAfterDays: null, subscription }
  if (outcome.state === 'succeeded') return { ...now, invoice: 'paid', order: orderStateAfter(outcome) }
  // Cancelled while this was under way: nothing more is tried for it.
  if (subscription === 'cancelled') return { ...now, invoice: 'uncollectible', order: 'cancelled' }
  if (now.declines >= maxDeclines)
    return { ...now, invoice: 'uncollectible', order: 'cancelled', subscription: 'past_due' }
  const pause = isDecline ? (retryAfterDays[declines] ?? null) : null
  return { ...now, invoice: 'open', order: orderStateAfter(outcome), retryAfterDays: pause }
}

/** May this subscription be changed? What is cancelled stays so. */
export function decideToChange({
  id,
  state,
}: Pick<Subscription, 'id' | 'state'>): Refusal | { readonly code: 'change' } {
  return state === 'cancelled' ? { code: 'subscription-cancelled', subscriptionId: id } : { code: 'change' }
}
