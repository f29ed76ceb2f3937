import { type DisputeKnown, type DisputeSeen, disputeAfter, isDisputeNews } from './dispute.ts'
import type { OrderState } from './order.ts'
import type { PaymentState } from './payment.ts'
import type { RefundState } from './refund.ts'

/**
 * Layer 7: what a difference between the gateway's list and our books means, and what would put it right.
 *
 * Guarantees: money is only ever proposed to be given back of a charge that belongs to no payment of ours, for an order that
 * another charge pays for and keeps; what is only on hold is let go of, never refunded; what somebody is still at work on is
 * not judged; whatever is not in this table is for a person.
 * Does not guarantee: that what was read is still so. Whoever acts reads again under the order's lock, and asks again here.
 * Fails with: `left`, where it is too early to tell.
 * Source: every row of `docs/reconciliation.md` is a branch here.
 */
export type Verdict =
  | { readonly kind: 'agrees' }
  /** Somebody is still at work on it: the next run will see what came of that. */
  | { readonly kind: 'left' }
  | { readonly kind: 'differs'; readonly difference: Difference }

export interface Difference {
  readonly kind: DifferenceKind
  readonly action: RepairAction
  /** What the gateway has of the customer's money, or gave back, and what our books say; the rest is in words. */
  readonly gatewayMinor: number
  readonly booksMinor: number
  /** Where the kind alone does not say it. */
  readonly detail: string | null
}

export const differenceKinds = [
  /** A charge for an order that nobody has paid. */
  'orphan-unpaid-order',
  /** A charge for an order that was cancelled. */
  'orphan-cancelled-order',
  /** A charge that names no order of ours. */
  'orphan-unknown-order',
  /** A second charge that stands, for an order that another one pays for. */
  'charged-twice',
  /** An amount on hold that no payment of ours will ever capture. */
  'uncaptured-orphan',
  /** Our payment ended without money, and its own intent took some. */
  'row-final-but-charged',
  'amount-differs',
  /** Our books have a charge that the gateway does not. */
  'missing',
  /** Given back at the gateway, and not through us. */
  'refunded-elsewhere',
  /** One refund of ours was given back twice. */
  'refunded-twice',
  /** The gateway gave money back for a refund that our books call failed, or do not have. */
  'refund-unbooked',
  /** The bank sent a refund back, and nobody told us. */
  'refund-lost',
  /** Our books have a refund that the gateway does not. */
  'refund-missing',
  'refund-amount-differs',
  /** The gateway has a dispute, or news of one, that our books do not have. */
  'dispute-unbooked',
] as const

export type DifferenceKind = (typeof differenceKinds)[number]

/**
 * `adopt`: enter the charge as the order's payment. `enter-refund`, `enter-dispute`: enter it as one of the payment.
 * `person`: nothing that a program should do.
 */
export type RepairAction =
  | 'adopt'
  | 'refund'
  | 'cancel-intent'
  | 'reverse-refund'
  | 'enter-refund'
  | 'enter-dispute'
  | 'person'

/** As the gateway shows it. Its currencies are codes that we may not know. */
export interface ChargeSeen {
  readonly id: string
  readonly status: 'succeeded' | 'pending' | 'failed'
  readonly amountMinor: number
  /** 0 while it is on hold, and after it was let go of. */
  readonly capturedMinor: number
  readonly refundedMinor: number
  readonly currency: string
}

export interface ChargeInBooks {
  /** The payment that has stored the charge's intent. */
  readonly owner: OwnerOfCharge | null
  /** The order that the charge is for. */
  readonly order: OrderOfCharge | null
}

export interface OwnerOfCharge {
  readonly state: PaymentState
  /** The amount that it took by our books. Until it has succeeded: the amount asked for. */
  readonly amountMinor: number
  readonly currency: string
  readonly gatewayChargeId: string | null
}

export interface OrderOfCharge {
  readonly state: OrderState
  readonly amountMinor: number
  readonly currency: string
  /** Nothing of the order is open, and what is settled has been so for long enough. */
  readonly isQuiet: boolean
  /** The payment that succeeded, if one did. */
  readonly paidBy: {
    readonly gatewayChargeId: string
    readonly amountMinor: number
    readonly refundedMinor: number
    /** The amount that disputes withdrew and did not reinstate. */
    readonly disputedMinor: number
    readonly isDisputeOpen: boolean
  } | null
  /** What became of an earlier repair of this very charge. */
  readonly repair: RefundState | null
}

const agrees: Verdict = { kind: 'agrees' }
const left: Verdict = { kind: 'left' }

export function decideCharge(charge: ChargeSeen, { owner, order }: ChargeInBooks): Verdict {
  if (charge.status === 'failed') return agrees
  if (charge.status === 'pending') return left
  // The gateway shows a hold that was let go of as one that was given back.
  if (charge.capturedMinor === 0 && charge.refundedMinor > 0) return agrees
  return owner ? decideOwned(charge, owner) : decideOrphan(charge, order)
}

function decideOwned(charge: ChargeSeen, owner: OwnerOfCharge): Verdict {
  switch (owner.state) {
    case 'processing':
    case 'capturing':
    case 'voiding':
    case 'needs_review':
      return left
    case 'authorized':
      return isHold(charge) ? agrees : left
    case 'declined':
    case 'cancelled':
    case 'voided':
      if (isHold(charge)) return differs('uncaptured-orphan', 'cancel-intent', charge.amountMinor)
      if (standingMinor(charge) === 0) return agrees
      return differs('row-final-but-charged', 'person', standingMinor(charge), {
        detail: `our payment is ${owner.state}`,
      })
    case 'succeeded':
      return compare(charge, owner)
    default:
      return owner.state satisfies never
  }
}

function compare(charge: ChargeSeen, { amountMinor, currency, gatewayChargeId }: OwnerOfCharge): Verdict {
  if (charge.id !== gatewayChargeId) {
    const detail = `our payment succeeded by ${gatewayChargeId}`
    const standing = isHold(charge) ? charge.amountMinor : standingMinor(charge)
    return standing === 0 ? agrees : differs('row-final-but-charged', 'person', standing, { detail })
  }
  if (charge.currency !== currency)
    return differs('amount-differs', 'person', charge.capturedMinor, {
      booksMinor: amountMinor,
      detail: `the gateway took ${charge.currency}, our books say ${currency}`,
    })
  if (charge.capturedMinor === amountMinor) return agrees
  return differs('amount-differs', 'person', charge.capturedMinor, { booksMinor: amountMinor })
}

function decideOrphan(charge: ChargeSeen, order: OrderOfCharge | null): Verdict {
  const atGatewayMinor = isHold(charge) ? charge.amountMinor : standingMinor(charge)
  // All of it went back, by us or by somebody else: nobody has lost anything.
  if (atGatewayMinor === 0) return agrees
  if (!order) return differs('orphan-unknown-order', 'person', atGatewayMinor)
  if (!order.isQuiet) return left
  if (isHold(charge)) return differs('uncaptured-orphan', 'cancel-intent', atGatewayMinor)
  switch (order.state) {
    case 'processing':
      return left
    case 'pending':
      return decideUnpaid(charge, order)
    case 'cancelled':
      return differs('orphan-cancelled-order', 'person', atGatewayMinor)
    case 'paid':
    case 'partially_refunded':
    case 'refunded':
      return decideSecond(charge, order)
    default:
      return order.state satisfies never
  }
}

/** The customer has paid, and only we do not know it. Anything but the exact price is not a payment of it. */
function decideUnpaid(charge: ChargeSeen, { amountMinor, currency, repair }: OrderOfCharge): Verdict {
  const unpaid = (action: RepairAction, detail: string | null = null) =>
    differs('orphan-unpaid-order', action, standingMinor(charge), { detail })
  if (repair) return unpaid('person', `a repair of it has ${repair} before`)
  if (charge.refundedMinor > 0) return unpaid('person', 'a part of it was given back')
  if (charge.capturedMinor !== amountMinor || charge.currency !== currency)
    return unpaid('person', 'it is not what the order costs')
  return unpaid('adopt')
}

function decideSecond(charge: ChargeSeen, { paidBy, repair }: OrderOfCharge): Verdict {
  const twice = (action: RepairAction, detail: string | null = null) =>
    differs('charged-twice', action, standingMinor(charge), { detail })
  if (repair) return twice('person', `a repair of it has ${repair} before`)
  if (!paidBy || paidBy.gatewayChargeId === charge.id) return twice('person', 'our books do not fit together')
  // Then this one is the only one that stands, and what was meant by giving back the other is not for us to guess.
  if (paidBy.refundedMinor >= paidBy.amountMinor) return twice('person', "the order's own payment was given back")
  // The bank has returned it, or may: with a refund of this one, the customer would have paid nothing.
  if (paidBy.isDisputeOpen || paidBy.refundedMinor + paidBy.disputedMinor >= paidBy.amountMinor)
    return twice('person', "the order's own payment is disputed")
  return twice('refund')
}

/** As the gateway shows it. */
export interface RefundSeen {
  readonly id: string
  readonly status: 'pending' | 'requires_action' | 'succeeded' | 'failed' | 'canceled'
  readonly amountMinor: number
  readonly currency: string
}

export interface RefundInBooks {
  /** The refund that has stored this id, or that what is written on it names. */
  readonly row: {
    readonly state: RefundState
    readonly amountMinor: number
    readonly currency: string
    readonly gatewayRefundId: string | null
  } | null
  /** Does what is written on it name a refund of ours? */
  readonly isNamed: boolean
  /** Is it of a charge that our books have? That of another is judged with the charge. */
  readonly isOfOurCharge: boolean
}

export function decideRefund(seen: RefundSeen, { row, isNamed, isOfOurCharge }: RefundInBooks): Verdict {
  const hasFailed = seen.status === 'failed' || seen.status === 'canceled'
  if (!row) {
    if (hasFailed || (!isNamed && !isOfOurCharge)) return agrees
    return isNamed
      ? differs('refund-unbooked', 'person', seen.amountMinor)
      : differs('refunded-elsewhere', 'enter-refund', seen.amountMinor)
  }
  if (row.state === 'processing' || row.state === 'pending' || row.state === 'needs_review') return left
  const isThisOne = row.gatewayRefundId === seen.id
  if (hasFailed) {
    if (!isThisOne || row.state === 'failed') return agrees
    return differs('refund-lost', 'reverse-refund', 0, { booksMinor: row.amountMinor })
  }
  if (row.state === 'failed') return differs('refund-unbooked', 'person', seen.amountMinor)
  if (!isThisOne)
    return differs('refunded-twice', 'person', seen.amountMinor, {
      detail: `it was given back as ${row.gatewayRefundId}`,
    })
  if (seen.amountMinor === row.amountMinor && seen.currency === row.currency) return agrees
  return differs('refund-amount-differs', 'person', seen.amountMinor, { booksMinor: row.amountMinor })
}

export interface DisputeInBooks {
  /** Of the payment that it disputes. Null: it is not ours, or its charge is judged with the charges. */
  readonly paymentState: PaymentState | null
  readonly known: DisputeKnown | null
}

export function decideDispute(seen: DisputeSeen, { paymentState, known }: DisputeInBooks): Verdict {
  if (paymentState === null) return agrees
  if (isOpen(paymentState)) return left
  const after = disputeAfter(known, seen)
  if (!isDisputeNews(known, after)) return agrees
  const detail = known === null ? null : `our books have it as ${known.gatewayStatus}`
  const booksMinor = known === null ? 0 : known.withdrawnMinor - known.reinstatedMinor
  return differs('dispute-unbooked', 'enter-dispute', after.withdrawnMinor - after.reinstatedMinor, {
    booksMinor,
    detail,
  })
}

function isOpen(state: PaymentState): boolean {
  return state !== 'succeeded' && state !== 'declined' && state !== 'cancelled' && state !== 'voided'
}

/** A dispute is listed under the time when it was opened, and ends months later. */
export const disputeDays = 180

/** For so long a merchant's bank may send a refund back. Stripe: "Refund and cancel payments", "Failed refunds" (30 days). */
export const lateFailureDays = 35

function isHold({ capturedMinor, refundedMinor }: ChargeSeen): boolean {
  return capturedMinor === 0 && refundedMinor === 0
}

function standingMinor({ capturedMinor, refundedMinor }: ChargeSeen): number {
  return capturedMinor - refundedMinor
}

function differs(
  kind: DifferenceKind,
  action: RepairAction,
  gatewayMinor: number,
  { booksMinor = 0, detail = null }: { readonly booksMinor?: number; readonly detail?: string | null } = {},
): Verdict {
  return { kind: 'differs', difference: { kind, action, gatewayMinor, booksMinor, detail } }
}

/** What our books have and the gateway, asked for it by its id, does not show. */
export function missing(kind: 'missing' | 'refund-missing', booksMinor: number): Difference {
  return { kind, action: 'person', gatewayMinor: 0, booksMinor, detail: null }
}
