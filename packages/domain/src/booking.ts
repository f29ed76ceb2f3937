import type { DisputeState } from './dispute.ts'
import type { Hold } from './hold.ts'
import type { Money } from './money.ts'
import { inProgressRetryAfterSeconds } from './order.ts'
import type { PaymentOutcome, PaymentState } from './payment.ts'
import type { RefundOutcome } from './refund.ts'
import type { Refusal } from './refusal.ts'

/**
 * `pending -> confirmed | cancelled`: the money is on hold and then taken, or never taken. `confirmed -> cancelling ->
 * cancelled`, and back to `confirmed` where the gateway gave nothing back; `confirmed -> cancelled` where nothing is left to
 * give back.
 */
export type BookingState = 'pending' | 'confirmed' | 'cancelling' | 'cancelled'

/** Seats, or places, that somebody has for good. */
export interface Booking extends Money {
  readonly id: string
  readonly accountId: string
  readonly eventId: string
  readonly customerId: string
  readonly holdId: string
  readonly orderId: string
  readonly paymentId: string
  /** A booking that is pending, or was never confirmed, shows here whether its money was taken. */
  readonly paymentState: PaymentState
  /** Of the latest cancellation. */
  readonly refundId: string | null
  readonly state: BookingState
  /** Sorted. Empty for places of a tier. */
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  /** 0 until it is confirmed. Less than the price where a part was captured at the gateway's own console. */
  readonly capturedMinor: number
  /** The refunded part of it, also without a cancellation and at the gateway's own console. */
  readonly refundedMinor: number
  /** As the payment shows it. */
  readonly disputeState: DisputeState | null
  readonly disputedMinor: number
  /** The customer must still receive this amount, because a refund failed after the booking was cancelled. */
  readonly owedMinor: number
  readonly createdAt: Date
  readonly confirmedAt: Date | null
  readonly cancelledAt: Date | null
}

/** How a checkout ended. */
export type CheckoutOutcome =
  | { readonly kind: 'booked'; readonly booking: Booking }
  /** Nothing was taken. The hold goes on, or is over with its last try. */
  | {
      readonly kind: 'not-paid'
      readonly hold: Hold
      readonly outcome: Extract<PaymentOutcome, { state: 'declined' | 'cancelled' | 'voided' }>
    }
  /** The seats were gone when the money was on hold; it was given back. */
  | { readonly kind: 'seats-gone'; readonly hold: Hold }
  /** The money was taken although it was to be given back: a person, or another system, did that. It is refunded. */
  | { readonly kind: 'paid-without-seats'; readonly hold: Hold }

/** How a cancellation ended. */
export type CancellationOutcome =
  | { readonly kind: 'cancelled'; readonly booking: Booking }
  /** The gateway gave nothing back, so the booking stands. */
  | {
      readonly kind: 'refund-failed'
      readonly booking: Booking
      readonly outcome: Extract<RefundOutcome, { state: 'failed' }>
      /** What was asked for, and what is left of the payment now. */
      readonly askedMinor: number
      readonly refundableMinor: number
    }

/** May this booking be cancelled now? `isInReview`: its payment, or a refund of it, waits for an operator. */
export function decideToCancelBooking(
  { id: bookingId, state }: Pick<Booking, 'id' | 'state'>,
  isInReview: boolean,
): Refusal | { readonly code: 'cancel' } {
  switch (state) {
    case 'confirmed':
      return { code: 'cancel' }
    case 'pending':
    case 'cancelling':
      return refuseWhileMoneyMoves(bookingId, isInReview)
    case 'cancelled':
      return { code: 'booking-cancelled', bookingId }
    default:
      return state satisfies never
  }
}

/** Waiting helps only while a process is at work. */
export function refuseWhileMoneyMoves(bookingId: string, isInReview: boolean): Refusal {
  if (isInReview) return { code: 'booking-in-review', bookingId }
  return { code: 'booking-in-progress', bookingId, retryAfterSeconds: inProgressRetryAfterSeconds }
}
