import type { BookingState } from './booking.ts'
import type { Money } from './money.ts'
import { inProgressRetryAfterSeconds } from './order.ts'
import type { Refusal } from './refusal.ts'

/** `active -> checking_out | released | expired`; `checking_out -> booked | active | expired`. */
export type HoldState = 'active' | 'checking_out' | 'booked' | 'released' | 'expired'

/** What a customer has set aside for a while, at the price of that moment: seats, or places of a tier. */
export interface Hold extends Money {
  readonly id: string
  readonly accountId: string
  readonly eventId: string
  readonly customerId: string
  readonly state: HoldState
  /** Sorted. Empty for places of a tier. */
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  readonly expiresAt: Date
  readonly extended: boolean
  readonly checkouts: number
  /** The order of the latest checkout. */
  readonly orderId: string | null
  readonly bookingId: string | null
  /** Null: it has no booking. */
  readonly bookingState: BookingState | null
  readonly createdAt: Date
}

/** With the third card that is declined the hold is over: nobody keeps seats by trying one card after the other. */
export const mostCheckouts = 3

/** A hold as it was read under its lock. `lapsed`: its time was over by the database's clock. */
export type HoldToDecide = Pick<
  Hold,
  'id' | 'customerId' | 'state' | 'extended' | 'orderId' | 'bookingId' | 'expiresAt'
> & {
  readonly lapsed: boolean
  /** The payment of its checkout waits for an operator. */
  readonly isInReview: boolean
}

/** May this customer do something with the hold that needs it to be theirs and alive? */
export function decideToUse(hold: HoldToDecide, customerId: string): Refusal | { readonly code: 'use' } {
  const { id: holdId, bookingId } = hold
  if (hold.customerId !== customerId) return { code: 'hold-of-another-customer', holdId }
  switch (hold.state) {
    case 'active':
      return hold.lapsed ? { code: 'hold-expired', holdId } : { code: 'use' }
    case 'checking_out':
      if (hold.isInReview) return { code: 'hold-in-review', holdId }
      return { code: 'hold-checking-out', holdId, retryAfterSeconds: inProgressRetryAfterSeconds }
    case 'booked':
      return { code: 'hold-booked', holdId, bookingId }
    case 'released':
      return { code: 'hold-released', holdId }
    case 'expired':
      return { code: 'hold-expired', holdId }
    default:
      return hold.state satisfies never
  }
}

/** Once: a hold that could be extended again and again would be a seat for free. */
export function decideToExtend(hold: HoldToDecide, customerId: string): Refusal | { readonly code: 'extend' } {
  const decision = decideToUse(hold, customerId)
  if (decision.code !== 'use') return decision
  return hold.extended ? { code: 'hold-extended-before', holdId: hold.id } : { code: 'extend' }
}

/** What a hold becomes when a checkout of it came to nothing. `checkouts` counts that one. */
export function holdAfterFailedCheckout(checkouts: number): 'active' | 'expired' {
  return checkouts < mostCheckouts ? 'active' : 'expired'
}

/**
 * The state of a hold as a client sees it. It is booked only while its booking has its money: a booking is made when
 * the money is reserved, and cancelled when the money cannot be taken or was returned.
 */
export function holdStateShown({
  state,
  bookingState,
  lapsed,
}: Pick<Hold, 'state' | 'bookingState'> & Pick<HoldToDecide, 'lapsed'>): HoldState {
  if (state === 'active' && lapsed) return 'expired'
  if (state !== 'booked') return state
  if (bookingState === 'pending') return 'checking_out'
  return bookingState === 'cancelled' ? 'released' : 'booked'
}
