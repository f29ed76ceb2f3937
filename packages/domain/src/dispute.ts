import type { Money } from './money.ts'

/**
 * `inquiry -> open | closed`, `open -> won | lost`, and after an appeal `lost -> open`. An inquiry withdraws nothing,
 * and its payment can be refunded. `closed`: it ended without a chargeback.
 */
export type DisputeState = 'inquiry' | 'open' | 'won' | 'lost' | 'closed'

/** A customer asks the bank for the money of a payment back. */
export interface Dispute extends Money {
  readonly id: string
  readonly accountId: string
  readonly paymentId: string
  readonly gatewayDisputeId: string
  readonly state: DisputeState
  /** In the gateway's own words. The state follows from it. */
  readonly gatewayStatus: string
  /** Of the customer, in the gateway's words. */
  readonly reason: string
  /** The gateway reinstates all of it when the dispute is won, and less when it is lost in part. */
  readonly withdrawnMinor: number
  readonly reinstatedMinor: number
  /** Until when the merchant can answer it. Null: there is nothing to answer. */
  readonly respondBy: Date | null
  readonly openedAt: Date
}

/** A dispute as the gateway showed it. */
export interface DisputeSeen {
  readonly gatewayStatus: string
  readonly allowsRefunds: boolean
  readonly amountMinor: number
  readonly respondBy: Date | null
  /** In the currency of the payment. Null: the gateway shows its movements in another one, and they cannot be told. */
  readonly moved: Moved | null
  /** When the gateway showed it: the time of the event, or of the look. */
  readonly seenAt: Date
}

/** The sums of all withdrawals and of all reinstatements so far. */
export interface Moved {
  readonly withdrawnMinor: number
  readonly reinstatedMinor: number
}

/** A dispute in our books. */
export interface DisputeKnown extends Moved, Pick<Dispute, 'state' | 'gatewayStatus' | 'amountMinor' | 'respondBy'> {
  readonly seenAt: Date
}

/** Source: https://docs.stripe.com/api/disputes/object, `status`. A status that we do not know is that of an open one. */
export function disputeState({
  gatewayStatus,
  allowsRefunds,
}: Pick<DisputeSeen, 'gatewayStatus' | 'allowsRefunds'>): DisputeState {
  switch (gatewayStatus) {
    case 'won':
    case 'lost':
      return gatewayStatus
    case 'warning_closed':
    case 'prevented':
      return 'closed'
    default:
      return allowsRefunds ? 'inquiry' : 'open'
  }
}

/**
 * A dispute after news of it. Events arrive in any order and more than once.
 *
 * The newest news decide about the status. The gateway counts whole seconds; within one, the status that comes later in
 * the life of a dispute decides. Withdrawn and reinstated
 * amounts only grow, so that each movement is booked once.
 */
export function disputeAfter(known: DisputeKnown | null, seen: DisputeSeen): DisputeKnown {
  const { gatewayStatus, amountMinor, respondBy, seenAt, moved } = seen
  const before = known ?? { withdrawnMinor: 0, reinstatedMinor: 0 }
  const withdrawnMinor = Math.max(before.withdrawnMinor, moved?.withdrawnMinor ?? 0)
  const reinstatedMinor = Math.max(before.reinstatedMinor, moved?.reinstatedMinor ?? 0)
  if (known !== null && !isNewer(seen, known)) return { ...known, withdrawnMinor, reinstatedMinor }
  const state = disputeState(seen)
  return { state, gatewayStatus, amountMinor, respondBy, seenAt, withdrawnMinor, reinstatedMinor }
}

/** In the order of a dispute's life. */
const statuses: readonly string[] = [
  'warning_needs_response',
  'warning_under_review',
  'warning_closed',
  'needs_response',
  'under_review',
  'lost',
  'appeal_needs_response',
  'appeal_under_review',
  'won',
  'prevented',
]

type Status = Pick<DisputeKnown, 'gatewayStatus' | 'seenAt'>

function isNewer(seen: Status, known: Status): boolean {
  const laterMs = seen.seenAt.getTime() - known.seenAt.getTime()
  if (laterMs !== 0) return laterMs > 0
  return statuses.indexOf(seen.gatewayStatus) > statuses.indexOf(known.gatewayStatus)
}

/** Do the news change anything but the time? */
export function isDisputeNews(known: DisputeKnown | null, after: DisputeKnown): boolean {
  return (
    known === null ||
    known.gatewayStatus !== after.gatewayStatus ||
    known.state !== after.state ||
    known.amountMinor !== after.amountMinor ||
    known.withdrawnMinor !== after.withdrawnMinor ||
    known.reinstatedMinor !== after.reinstatedMinor ||
    known.respondBy?.getTime() !== after.respondBy?.getTime()
  )
}
