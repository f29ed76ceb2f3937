import type { Money } from './money.ts'
import type { OrderState } from './order.ts'
import { orderStateAfter, type PaymentOutcome } from './payment.ts'
import type { Refusal } from './refusal.ts'

/**
 * `active -> past_due` when no run tries an invoice any more, `past_due -> active` with another payment method or when
 * the invoice is paid, and `cancelled` for good. `paused`: its gateway customer is not known to be the account's.
 */
export type SubscriptionState = 'active' | 'past_due' | 'paused' | 'cancelled'

/** `open -> paid | uncollectible`. The next period waits until it is one of the two. */
export type InvoiceState = 'open' | 'paid' | 'uncollectible'

/** The policy for periods that were missed: after an outage, or while the subscription was past due. */
export const missedPeriodPolicies = ['skip', 'collect'] as const
export type MissedPeriods = (typeof missedPeriodPolicies)[number]

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
  readonly missedPeriods: MissedPeriods
  readonly state: SubscriptionState
  /** The merchant must do this before it is charged again. Null: it is not paused. */
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
  /** Tries that came to nothing without a bank's word on the card. */
  readonly refusals: number
  /** The billing run tries then. Null: no run tries any more, and the merchant must ask for it. */
  readonly nextTryAt: Date | null
  readonly settledAt: Date | null
}

/** After so many declines no run tries any more: a bank that refused three times over a week means it. */
export const maxDeclines = 3

/**
 * After the first decline, and after the second. Many declines are of the moment, so the first pause is a day; after the
 * second one a week has passed since the first try, in which a wage may have come.
 */
const hoursAfterDecline = [24, 6 * 24] as const

/**
 * After each try that came to nothing without a bank's word on the card: the gateway refused our request, or gave no
 * answer for too long. An hour is enough for what passes by itself. The waits grow, because each try is one more
 * payment of the order; after the last, some four days later, a person has to look.
 */
const hoursAfterRefusal = [1, 4, 12, 24, 48] as const
export const maxRefusals = hoursAfterRefusal.length + 1

/**
 * Decline codes upon which another try with the same card cannot succeed. Stripe: "Decline codes", and "Smart Retries"
 * for the codes that it does not retry itself.
 */
const hardDeclines: ReadonlySet<string> = new Set([
  'authentication_required',
  'highest_risk_level',
  'incorrect_number',
  'lost_card',
  'pickup_card',
  'revocation_of_all_authorizations',
  'revocation_of_authorization',
  'stolen_card',
  'transaction_not_allowed',
])

/** The effects of a try to charge it on an invoice, on its order, and on its subscription. */
export interface InvoiceDecision {
  readonly invoice: InvoiceState
  readonly declines: number
  readonly refusals: number
  /** The next try of a run, from now on. `never`: the merchant must ask for it. `due`: it is due as it was. */
  readonly retry: { readonly afterHours: number } | 'due' | 'never'
  readonly order: OrderState
  readonly subscription: SubscriptionState
}

export interface InvoiceTried {
  /** Of the payment method that is charged now, so far. */
  readonly declines: number
  readonly refusals: number
  readonly subscription: SubscriptionState
  readonly missedPeriods: MissedPeriods
  /** Was the payment method changed while this try was under way? */
  readonly isMethodReplaced: boolean
}

/**
 * Only a bank's word on the payment method that is charged now is a decline. The last word on a card that was replaced
 * says nothing. A payment that was cancelled or voided, and a request that the gateway refused, came to nothing, and
 * count on their own.
 */
export function decideAboutInvoice(tried: InvoiceTried, outcome: PaymentOutcome): InvoiceDecision {
  const { declines, refusals, subscription, isMethodReplaced } = tried
  const order = orderStateAfter(outcome)
  const asBefore = { declines, refusals, subscription, order, retry: 'due' } as const
  if (outcome.state === 'succeeded')
    return { ...asBefore, invoice: 'paid', subscription: subscription === 'past_due' ? 'active' : subscription }
  // Cancelled while this was under way: nothing more is tried for it.
  if (subscription === 'cancelled') return { ...asBefore, invoice: 'uncollectible', order: 'cancelled' }
  if (isMethodReplaced) return { ...asBefore, invoice: 'open' }
  if (outcome.state !== 'declined' || outcome.declinedBy !== 'bank') {
    const counted = { ...asBefore, refusals: Math.min(refusals + 1, maxRefusals) }
    const needsAnotherMethod = outcome.state === 'declined' && outcome.declinedBy === 'payment-method'
    const afterHours = needsAnotherMethod ? undefined : hoursAfterRefusal[refusals]
    return afterHours === undefined
      ? stopTrying(tried, counted)
      : { ...counted, invoice: 'open', retry: { afterHours } }
  }
  const counted = { ...asBefore, declines: Math.min(declines + 1, maxDeclines) }
  const afterHours = hardDeclines.has(outcome.declineCode) ? undefined : hoursAfterDecline[declines]
  return afterHours === undefined ? stopTrying(tried, counted) : { ...counted, invoice: 'open', retry: { afterHours } }
}

/** The subscription is past due. What is collected later stays open until it is paid or asked for. */
function stopTrying(
  { subscription, missedPeriods }: InvoiceTried,
  counted: Omit<InvoiceDecision, 'invoice'>,
): InvoiceDecision {
  const left = {
    ...counted,
    retry: 'never',
    subscription: subscription === 'paused' ? subscription : 'past_due',
  } as const
  if (missedPeriods === 'collect') return { ...left, invoice: 'open' }
  return { ...left, invoice: 'uncollectible', order: 'cancelled' }
}

/** An instant, and its calendar day in the zone of the subscription. */
export interface ZonedInstant {
  readonly at: Date
  /** Such as `2026-01-31`. */
  readonly day: string
}

const dayMs = 24 * 3_600_000

/**
 * Whether a run may charge the period that fell due at `dueAt`, by the last charge of the subscription: one charge a
 * calendar day at most. A period that was due when the last charge was made was missed, and waits for 24 hours.
 */
export function mayChargePeriod(dueAt: Date, last: ZonedInstant | null, now: ZonedInstant): boolean {
  if (last === null) return true
  if (last.day === now.day) return false
  return last.at <= dueAt || now.at.getTime() - last.at.getTime() >= dayMs
}

/** May this subscription be changed? What is cancelled stays so. */
export function decideToChange({
  id,
  state,
}: Pick<Subscription, 'id' | 'state'>): Refusal | { readonly code: 'change' } {
  return state === 'cancelled' ? { code: 'subscription-cancelled', subscriptionId: id } : { code: 'change' }
}
