import type { Order, Payment, PaymentEvent, PaymentOutcome } from '@seatbelt/domain'
import { problem } from './problem.ts'
import type { RecordedAnswer } from './recorded-answer.ts'

/**
 * The answers that are recorded. The API, the worker and whoever else settles a payment are handed these functions, so
 * that a client reads the same bytes whoever finished its request.
 *
 * Pure: the same order or payment gives the same bytes. A field added here shows in answers recorded from then on; those
 * recorded before keep their old bytes.
 */
export const renderings = {
  orderCreated: (order: Order): RecordedAnswer => ({
    status: 201,
    body: JSON.stringify(orderBody(order)),
    location: `/v1/orders/${order.id}`,
  }),

  orderCancelled: (order: Order): RecordedAnswer => ({
    status: 200,
    body: JSON.stringify(orderBody(order)),
    location: null,
  }),

  /** `payment` as it stands after the settle; its state is taken from the outcome, which is what decided. */
  paymentSettled: (payment: Payment, outcome: PaymentOutcome): RecordedAnswer => {
    switch (outcome.state) {
      case 'succeeded':
        return {
          status: 201,
          body: JSON.stringify(paymentBody({ ...payment, state: 'succeeded' })),
          location: paymentLocation(payment.id),
        }
      case 'declined':
        return recordedProblem(
          problem('payment-declined', 'The card was not charged. To try again, send a new request with a new key.', {
            members: { declineCode: outcome.declineCode, paymentId: payment.id, orderId: payment.orderId },
          }),
        )
      case 'cancelled':
        return recordedProblem(
          problem('payment-cancelled', 'No money was taken. To try again, send a new request with a new key.', {
            members: { paymentId: payment.id, orderId: payment.orderId },
          }),
        )
      default:
        return outcome satisfies never
    }
  },
}

export function paymentLocation(paymentId: string): string {
  return `/v1/payments/${paymentId}`
}

/** What a client sees of an order. Field by field, so that a column added to the row does not leak by itself. */
export function orderBody(order: Order) {
  return {
    id: order.id,
    customerId: order.customerId,
    amountMinor: order.amountMinor,
    currency: order.currency,
    state: order.state,
    createdAt: order.createdAt.toISOString(),
  }
}

/** What a client sees of a payment. */
export function paymentBody(payment: Payment) {
  return {
    id: payment.id,
    orderId: payment.orderId,
    amountMinor: payment.amountMinor,
    currency: payment.currency,
    paymentMethod: payment.paymentMethod,
    state: payment.state,
    declineCode: payment.declineCode,
    createdAt: payment.createdAt.toISOString(),
    settledAt: payment.settledAt?.toISOString() ?? null,
  }
}

/** One line of a payment's history, as a client sees it. */
export function paymentEventBody(event: PaymentEvent) {
  return {
    at: event.at.toISOString(),
    event: event.event,
    by: event.by,
    generation: event.generation,
    gatewayRequestId: event.gatewayRequestId,
    detail: event.detail,
  }
}

function recordedProblem({ status, body }: { status: number; body: string }): RecordedAnswer {
  return { status, body, location: null }
}
