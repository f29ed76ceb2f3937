import type { BookingOperations, CancellationResult, CheckoutResult } from '@seatbelt/booking'
import { type Answer, bookingBody, bookingLocation, holdLocation, settledAnswer, unsettledAnswer } from '@seatbelt/http'

/** What came of a command that is one transaction, of which nothing stays unsettled. */
export function resultAnswer(result: Awaited<ReturnType<BookingOperations['holdSeats']>>): Answer {
  return result.kind === 'unsettled' ? result.subject : settledAnswer(result)
}

/** What came of a checkout. While it is not known, its hold is where to look: it names the booking once there is one. */
export function checkoutAnswer(result: CheckoutResult): Answer {
  if (result.kind !== 'unsettled') return settledAnswer(result)
  const { holdId, orderId, paymentId, isInReview } = result.subject
  return unsettledAnswer({ holdId, orderId, paymentId, state: 'checking_out' }, holdLocation(holdId), isInReview)
}

/** What came of a cancellation. */
export function cancellationAnswer(result: CancellationResult): Answer {
  if (result.kind !== 'unsettled') return settledAnswer(result)
  const { isInReview, ...booking } = result.subject
  return unsettledAnswer(bookingBody(booking), bookingLocation(booking.id), isInReview)
}
