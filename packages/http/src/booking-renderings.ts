import type { Booking, CancellationOutcome, CheckoutOutcome, Event, Hold, RecordedAnswer } from '@seatbelt/domain'
import { problem } from './problem.ts'
import { recordedProblem } from './recorded-answer.ts'
import { adviseAfterRefund } from './refund-failure.ts'
import { declined } from './renderings.ts'

/**
 * The answers of bookings that are recorded, as `renderings` has those of payments: pure, and handed to the code that
 * settles.
 */
export const bookingRenderings = {
  eventCreated: (event: Event): RecordedAnswer => ({
    status: 201,
    body: JSON.stringify(eventBody(event)),
    location: eventLocation(event.id),
  }),

  holdCreated: (hold: Hold): RecordedAnswer => ({
    status: 201,
    body: JSON.stringify(holdBody(hold)),
    location: holdLocation(hold.id),
  }),

  holdChanged: (hold: Hold): RecordedAnswer => ({ status: 200, body: JSON.stringify(holdBody(hold)), location: null }),

  checkoutEnded: (outcome: CheckoutOutcome): RecordedAnswer => {
    switch (outcome.kind) {
      case 'booked':
        return {
          status: 201,
          body: JSON.stringify(bookingBody(outcome.booking)),
          location: bookingLocation(outcome.booking.id),
        }
      case 'not-paid':
        return notPaid(outcome)
      case 'seats-gone':
        return recordedProblem(
          problem('checkout-voided', 'The seats were gone when the money was on hold. It was given back.', {
            members: holdMembers(outcome.hold),
          }),
        )
      case 'paid-without-seats':
        return recordedProblem(
          problem(
            'paid-without-seats',
            'The seats were gone, and the money was taken although it was to be given back. It is refunded without being asked for.',
            { members: holdMembers(outcome.hold) },
          ),
        )
      default:
        return outcome satisfies never
    }
  },

  cancellationEnded: (outcome: CancellationOutcome): RecordedAnswer => {
    const { booking } = outcome
    if (outcome.kind === 'cancelled') return { status: 200, body: JSON.stringify(bookingBody(booking)), location: null }
    const { askedMinor, refundableMinor } = outcome
    const { failureCode } = outcome.outcome
    const { reason, next, retryable } = adviseAfterRefund({ failureCode, askedMinor, refundableMinor })
    const stands = retryable
      ? 'The booking stands.'
      : 'The booking stands; an operator can cancel it without a refund, or record that the money was returned in another way.'
    return recordedProblem(
      problem('refund-failed', `${reason} ${stands} ${next}`, {
        members: {
          failureCode,
          bookingId: booking.id,
          refundId: booking.refundId,
          paymentId: booking.paymentId,
          refundableMinor,
          retryable,
        },
      }),
    )
  },

  bookingSeen: bookingBody,
}

/** What a client does next depends on the hold: it tries another card, or holds seats anew. */
function notPaid({ hold, outcome }: Extract<CheckoutOutcome, { kind: 'not-paid' }>): RecordedAnswer {
  const members = { ...holdMembers(hold), holdState: hold.state, expiresAt: hold.expiresAt.toISOString() }
  switch (outcome.state) {
    case 'declined':
      return declined(
        outcome,
        hold.state === 'active'
          ? 'Until the hold expires, check it out with a new key.'
          : 'With this try the hold is over. Hold the seats anew.',
        members,
      )
    case 'cancelled':
      return recordedProblem(
        problem(
          'payment-cancelled',
          'No money was taken. As long as the hold is active, check it out with a new key.',
          {
            members,
          },
        ),
      )
    case 'voided':
      return recordedProblem(
        problem(
          'checkout-voided',
          'The money on hold could not be taken. It was given back, and the seats are free again: hold them anew to try once more.',
          {
            members: { declineCode: outcome.declineCode, ...members },
          },
        ),
      )
    default:
      return outcome satisfies never
  }
}

function holdMembers({ id: holdId, orderId }: Hold) {
  return { holdId, orderId }
}

export function eventLocation(eventId: string): string {
  return `/v1/events/${eventId}`
}

export function holdLocation(holdId: string): string {
  return `/v1/holds/${holdId}`
}

export function bookingLocation(bookingId: string): string {
  return `/v1/bookings/${bookingId}`
}

/** What a client sees of an event. Field by field, so that a column added to the row does not leak by itself. */
export function eventBody(event: Event) {
  return {
    id: event.id,
    name: event.name,
    currency: event.currency,
    saleOpensAt: event.saleOpensAt.toISOString(),
    saleClosesAt: event.saleClosesAt.toISOString(),
    seatsPerCustomer: event.seatsPerCustomer,
    seatsPerCustomerInAll: event.seatsPerCustomerInAll,
    createdAt: event.createdAt.toISOString(),
    sections: event.sections.map(({ id, name, priceMinor, seats }) => ({ id, name, priceMinor, seats })),
    tiers: event.tiers.map(({ id, name, priceMinor, capacity }) => ({ id, name, priceMinor, capacity })),
  }
}

/** What a client sees of a hold. */
export function holdBody(hold: Hold) {
  return {
    id: hold.id,
    eventId: hold.eventId,
    customerId: hold.customerId,
    state: hold.state,
    seatIds: hold.seatIds,
    tierId: hold.tierId,
    quantity: hold.quantity,
    amountMinor: hold.amountMinor,
    currency: hold.currency,
    expiresAt: hold.expiresAt.toISOString(),
    extended: hold.extended,
    checkouts: hold.checkouts,
    orderId: hold.orderId,
    bookingId: hold.bookingId,
    bookingState: hold.bookingState,
    createdAt: hold.createdAt.toISOString(),
  }
}

/** What a client sees of a booking. */
export function bookingBody(booking: Booking) {
  return {
    id: booking.id,
    eventId: booking.eventId,
    customerId: booking.customerId,
    holdId: booking.holdId,
    orderId: booking.orderId,
    paymentId: booking.paymentId,
    paymentState: booking.paymentState,
    refundId: booking.refundId,
    state: booking.state,
    seatIds: booking.seatIds,
    tierId: booking.tierId,
    quantity: booking.quantity,
    amountMinor: booking.amountMinor,
    currency: booking.currency,
    capturedMinor: booking.capturedMinor,
    refundedMinor: booking.refundedMinor,
    disputeState: booking.disputeState,
    disputedMinor: booking.disputedMinor,
    owedMinor: booking.owedMinor,
    createdAt: booking.createdAt.toISOString(),
    confirmedAt: booking.confirmedAt?.toISOString() ?? null,
    cancelledAt: booking.cancelledAt?.toISOString() ?? null,
  }
}
