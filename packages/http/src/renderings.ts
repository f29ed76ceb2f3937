import type {
  Decline,
  Dispute,
  GatewayCustomer,
  Invoice,
  Order,
  Payment,
  PaymentEvent,
  PaymentOutcome,
  RecordedAnswer,
  Refund,
  RefundOutcome,
  Subscription,
  WebhookDelivery,
  WebhookEndpoint,
} from '@seatbelt/domain'
import { problem } from './problem.ts'
import { recordedProblem } from './recorded-answer.ts'
import { adviseAfterRefund } from './refund-failure.ts'

/**
 * The answers that are recorded. The API, the worker and whoever else settles a payment are handed these functions, so
 * that a client reads the same bytes whoever finished its request.
 *
 * Pure: the same order or payment gives the same bytes. A field added here shows in answers recorded from then on;
 * those recorded before keep their old bytes.
 */
export const renderings = {
  orderCreated: (order: Order): RecordedAnswer => ({
    status: 201,
    body: JSON.stringify(orderBody(order)),
    location: `/v1/orders/${order.id}`,
  }),

  orderCancelled: (order: Order, paymentId: string | null): RecordedAnswer => ({
    status: 200,
    body: JSON.stringify({ ...orderBody(order), paymentId }),
    location: null,
  }),

  /** `payment` as it stands after the settle; its state is taken from the outcome, which is what decided. */
  paymentSettled: (payment: Payment, outcome: PaymentOutcome, step: 'pay' | 'capture' | 'void'): RecordedAnswer => {
    const done = (status: number, location: string | null): RecordedAnswer => {
      return { status, body: JSON.stringify(paymentBody({ ...payment, state: outcome.state })), location }
    }
    switch (outcome.state) {
      case 'succeeded':
        if (step === 'void') {
          return recordedProblem(
            problem('payment-captured', 'The amount had been taken before it could be given back. Refund it instead.', {
              members: { paymentId: payment.id, orderId: payment.orderId },
            }),
          )
        }
        return step === 'pay' ? done(201, paymentLocation(payment.id)) : done(200, null)
      case 'authorized':
        return done(201, paymentLocation(payment.id))
      case 'voided':
        if (step === 'void') return done(200, null)
        return recordedProblem(
          problem('payment-voided', 'Nothing was taken: the hold was over. To try again, pay the order anew.', {
            members: { declineCode: outcome.declineCode, paymentId: payment.id, orderId: payment.orderId },
          }),
        )
      case 'declined':
        return declined(outcome, 'To try again, send a new request with a new key.', {
          paymentId: payment.id,
          orderId: payment.orderId,
        })
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

  /** `refund` as it stands after the settle. One that the bank takes its time for is told as pending. */
  refundSettled: (refund: Refund, outcome: RefundOutcome, refundableMinor: number | null): RecordedAnswer => {
    if (outcome.state !== 'failed') {
      return { status: 201, body: JSON.stringify(refundBody(refund)), location: refundLocation(refund.id) }
    }
    const { failureCode } = outcome
    const failure = { failureCode, askedMinor: refund.amountMinor, refundableMinor }
    const { reason, next, retryable } = adviseAfterRefund(failure)
    return recordedProblem(
      problem('refund-failed', `${reason} ${next}`, {
        members: { failureCode, refundId: refund.id, paymentId: refund.paymentId, refundableMinor, retryable },
      }),
    )
  },

  /** `secret`: where one was made. The recorded answer has its hash, and the secret is put in when it is sent. */
  webhookEndpointSet: (
    endpoint: WebhookEndpoint,
    { secret, isNew }: { readonly secret: string | null; readonly isNew: boolean },
  ): RecordedAnswer => ({
    status: isNew ? 201 : 200,
    body: JSON.stringify({ ...webhookEndpointBody(endpoint), secret }),
    location: isNew ? webhookEndpointLocation : null,
  }),

  webhookDeliveryReplayed: (delivery: WebhookDelivery): RecordedAnswer => ({
    status: 200,
    body: JSON.stringify(webhookDeliveryBody(delivery)),
    location: null,
  }),

  paymentSeen: paymentBody,
  refundSeen: refundBody,
  disputeSeen: disputeBody,

  subscriptionCreated: (subscription: Subscription): RecordedAnswer => ({
    status: 201,
    body: JSON.stringify(subscriptionBody(subscription)),
    location: `/v1/subscriptions/${subscription.id}`,
  }),

  subscriptionChanged: (subscription: Subscription, paymentId: string | null): RecordedAnswer => ({
    status: 200,
    body: JSON.stringify({ ...subscriptionBody(subscription), paymentId }),
    location: null,
  }),

  invoiceSeen: (invoice: Invoice) => invoiceBody(invoice),

  subscriptionSeen: (subscription: Subscription) => subscriptionBody(subscription),

  gatewayCustomerRegistered: ({ id, customerId, createdAt }: GatewayCustomer): RecordedAnswer => ({
    status: 201,
    body: JSON.stringify({ id, customerId, createdAt: createdAt.toISOString() }),
    location: null,
  }),
}

/**
 * The client's next step depends on the side that refused, and so does the code. Where our own request was wrong, the
 * gateway's error code tells a client nothing.
 */
export function declined(
  { declineCode, declinedBy }: Decline,
  howToTryAgain: string,
  members: Readonly<Record<string, unknown>>,
): RecordedAnswer {
  switch (declinedBy) {
    case 'bank':
      return recordedProblem(
        problem('payment-declined', `The card was not charged. ${howToTryAgain}`, {
          members: { declineCode, ...members },
        }),
      )
    case 'payment-method':
      return recordedProblem(
        problem(
          'payment-method-refused',
          `The gateway does not know this payment method, or it is not this customer's. No card was charged. Use another payment method. ${howToTryAgain}`,
          { members: { declineCode, ...members } },
        ),
      )
    case 'gateway':
      return recordedProblem(
        problem(
          'gateway-refused-request',
          `The payment gateway refused our request, and the card was not asked. Our operators are told. ${howToTryAgain}`,
          { members },
        ),
      )
    default:
      return declinedBy satisfies never
  }
}

export function refundLocation(refundId: string): string {
  return `/v1/refunds/${refundId}`
}

/** What a client sees of a refund. */
export function refundBody(refund: Refund) {
  return {
    id: refund.id,
    paymentId: refund.paymentId,
    orderId: refund.orderId,
    origin: refund.origin,
    amountMinor: refund.amountMinor,
    currency: refund.currency,
    reason: refund.reason,
    state: refund.state,
    failureCode: refund.failureCode,
    createdAt: refund.createdAt.toISOString(),
    settledAt: refund.settledAt?.toISOString() ?? null,
    reversedAt: refund.reversedAt?.toISOString() ?? null,
  }
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
    receiptEmail: order.receiptEmail,
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
    declinedBy: payment.declinedBy,
    capturedMinor: payment.capturedMinor,
    refundedMinor: payment.refundedMinor,
    refundPendingMinor: payment.refundPendingMinor,
    disputeState: payment.disputeState,
    disputedMinor: payment.disputedMinor,
    createdAt: payment.createdAt.toISOString(),
    authorizedAt: payment.authorizedAt?.toISOString() ?? null,
    settledAt: payment.settledAt?.toISOString() ?? null,
  }
}

/** A dispute as a client sees it. */
export function disputeBody(dispute: Dispute) {
  return {
    id: dispute.id,
    paymentId: dispute.paymentId,
    gatewayDisputeId: dispute.gatewayDisputeId,
    state: dispute.state,
    gatewayStatus: dispute.gatewayStatus,
    reason: dispute.reason,
    amountMinor: dispute.amountMinor,
    currency: dispute.currency,
    withdrawnMinor: dispute.withdrawnMinor,
    reinstatedMinor: dispute.reinstatedMinor,
    respondBy: dispute.respondBy?.toISOString() ?? null,
    openedAt: dispute.openedAt.toISOString(),
  }
}

export const webhookEndpointLocation = '/v1/webhook-endpoint'

/** What an account sees of its endpoint: never a secret. */
export function webhookEndpointBody(endpoint: WebhookEndpoint) {
  return {
    url: endpoint.url,
    createdAt: endpoint.createdAt.toISOString(),
    updatedAt: endpoint.updatedAt.toISOString(),
  }
}

export function webhookDeliveryBody(delivery: WebhookDelivery) {
  return {
    id: delivery.id,
    type: delivery.topic,
    subjectId: delivery.subjectId,
    state: delivery.state,
    attempts: delivery.attempts,
    lastError: delivery.lastError,
    createdAt: delivery.createdAt.toISOString(),
    nextAttemptAt: delivery.nextAttemptAt?.toISOString() ?? null,
    deliveredAt: delivery.deliveredAt?.toISOString() ?? null,
    deadAt: delivery.deadAt?.toISOString() ?? null,
  }
}

/** What a client sees of a subscription. One that is not active falls due no more. */
export function subscriptionBody(subscription: Subscription) {
  return {
    id: subscription.id,
    customerId: subscription.customerId,
    gatewayCustomerId: subscription.gatewayCustomerId,
    paymentMethod: subscription.paymentMethod,
    amountMinor: subscription.amountMinor,
    currency: subscription.currency,
    interval: { unit: subscription.interval.unit, count: subscription.interval.count },
    timeZone: subscription.timeZone,
    anchor: subscription.anchor,
    receiptEmail: subscription.receiptEmail,
    missedPeriods: subscription.missedPeriods,
    state: subscription.state,
    pausedBecause: subscription.pausedBecause,
    nextDueAt: subscription.state === 'active' ? subscription.nextDueAt.toISOString() : null,
    createdAt: subscription.createdAt.toISOString(),
  }
}

/** What a client sees of an invoice. */
export function invoiceBody(invoice: Invoice) {
  return {
    id: invoice.id,
    subscriptionId: invoice.subscriptionId,
    period: invoice.period,
    dueAt: invoice.dueAt.toISOString(),
    orderId: invoice.orderId,
    state: invoice.state,
    declines: invoice.declines,
    refusals: invoice.refusals,
    nextTryAt: invoice.state === 'open' ? (invoice.nextTryAt?.toISOString() ?? null) : null,
    settledAt: invoice.settledAt?.toISOString() ?? null,
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
    refundId: event.refundId,
  }
}
