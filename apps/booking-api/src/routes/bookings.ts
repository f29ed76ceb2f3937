import type { BookingOperations } from '@seatbelt/booking'
import type { Refusal } from '@seatbelt/domain'
import {
  bookingBody,
  defineCommand,
  defineQuery,
  jsonAnswer,
  nothing,
  type Operation,
  refusalAnswer,
} from '@seatbelt/http'
import { cancellationAnswer } from '../result-answer.ts'
import { booking, bookingPath, emptyBody } from '../schemas.ts'

type Bookings = Pick<BookingOperations, 'cancelBooking' | 'findBooking'>

/** What somebody has for good: looked at, cancelled. */
export function bookingRoutes(operations: Bookings): Operation[] {
  return [getBooking(operations), cancelBooking(operations)]
}

function getBooking(operations: Bookings): Operation {
  return defineQuery({
    path: '/v1/bookings/:bookingId',
    operationId: 'getBooking',
    tag: 'Bookings',
    summary: 'Look at a booking',
    params: bookingPath,
    unknownId: bookingNotFound,
    query: nothing,
    answers: { 200: { description: 'The booking', schema: booking } },
    problems: ['booking-not-found'],
    handle: async ({ accountId, params: { bookingId } }) => {
      const found = await operations.findBooking(accountId, bookingId)
      return found === null ? refusalAnswer(bookingNotFound({ bookingId })) : jsonAnswer(200, bookingBody(found))
    },
  })
}

function cancelBooking(operations: Bookings): Operation {
  return defineCommand({
    path: '/v1/bookings/:bookingId/cancellation',
    operationId: 'cancelBooking',
    tag: 'Bookings',
    summary: 'Cancel a booking',
    description:
      'Gives back what is left of its payment, and then its seats. 202: the refund is under way. 402: nothing was refunded and the booking stands; `retryable` says whether another request can succeed, and `refundableMinor` what is left. The body is the empty object, or none.',
    params: bookingPath,
    unknownId: bookingNotFound,
    body: emptyBody,
    answers: {
      200: { description: 'The booking, cancelled', schema: booking },
      202: { description: 'The booking, which is being cancelled', schema: booking },
    },
    problems: [
      'booking-not-found',
      'booking-cancelled',
      'booking-in-progress',
      'booking-in-review',
      'order-blocked',
      'payment-disputed',
      'too-many-refunds',
      'refund-failed',
      'gateway-forbids-operation',
    ],
    handle: async ({ call, params: { bookingId } }) =>
      cancellationAnswer(await operations.cancelBooking(call, bookingId)),
  })
}

function bookingNotFound({ bookingId = '' }: { readonly bookingId?: string }): Refusal {
  return { code: 'booking-not-found', bookingId }
}
