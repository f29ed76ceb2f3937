import type { Refusal, RefusalCode } from '@seatbelt/domain'

/** What a code means, always in the same words. The detail of one occurrence is said beside it. */
export interface ProblemKind {
  readonly status: number
  readonly title: string
}

/** `members` names what of the refusal is told to the client: a field added to a refusal stays inside until it is named. */
export interface RefusalRow<Code extends RefusalCode = RefusalCode> extends ProblemKind {
  readonly detail: string
  readonly members: readonly Exclude<keyof Extract<Refusal, { code: Code }>, 'code'>[]
}

/**
 * The one place where a refusal becomes an HTTP status. A refusal added to the domain does not compile until it has its row.
 *
 * `retryAfterSeconds`, where a row names it, is sent as the Retry-After header too.
 */
export const refusalTable = {
  'order-not-found': {
    status: 404,
    title: 'There is no such order',
    detail: 'No order of your account has this id.',
    members: ['orderId'],
  },
  'payment-not-found': {
    status: 404,
    title: 'There is no such payment',
    detail: 'No payment of your account has this id.',
    members: ['paymentId'],
  },
  'order-already-paid': {
    status: 409,
    title: 'The order is paid already',
    detail: 'This order was paid by an earlier request. It is not charged again.',
    members: ['orderId', 'paymentId'],
  },
  'order-cancelled': {
    status: 409,
    title: 'The order was cancelled',
    detail: 'A cancelled order can be neither paid nor cancelled again.',
    members: ['orderId'],
  },
  'order-managed': {
    status: 409,
    title: 'The order belongs to a subscription',
    detail: "A subscription's invoice is paid and cancelled by the billing run alone.",
    members: ['orderId'],
  },
  'payment-not-authorized': {
    status: 409,
    title: 'The payment is not on hold',
    detail: 'Only a payment that is authorized can be captured or voided.',
    members: ['paymentId', 'state'],
  },
  'payment-not-refundable': {
    status: 409,
    title: 'The payment took no money',
    detail: 'Only a payment that succeeded can be refunded.',
    members: ['paymentId', 'state'],
  },
  'payment-not-in-review': {
    status: 409,
    title: 'The payment does not wait for a person',
    detail: 'It is settled, or a process is at work on it.',
    members: ['paymentId', 'state'],
  },
  'refund-exceeds-payment': {
    status: 409,
    title: 'The refund is more than what is left of the payment',
    detail: 'Refunds, those under way included, never exceed the payment. Nothing was refunded.',
    members: ['paymentId', 'refundableMinor'],
  },
  'too-many-refunds': {
    status: 409,
    title: 'The payment has as many refunds as it can have',
    detail: 'The gateway shows no more of them at once, so that nobody could tell what became of another one.',
    members: ['paymentId', 'mostRefunds'],
  },
  'refund-not-in-review': {
    status: 409,
    title: 'The refund does not wait for a person',
    detail: 'It is settled, the bank takes its time, or a process is at work on it.',
    members: ['refundId', 'state'],
  },
  'refund-not-found': {
    status: 404,
    title: 'There is no such refund',
    detail: 'No refund of your account has this id.',
    members: ['refundId'],
  },
  'subscription-not-found': {
    status: 404,
    title: 'There is no such subscription',
    detail: 'No subscription of your account has this id.',
    members: ['subscriptionId'],
  },
  'subscription-cancelled': {
    status: 409,
    title: 'The subscription was cancelled',
    detail: 'A cancelled subscription stays so. Create a new one.',
    members: ['subscriptionId'],
  },
  'webhook-endpoint-not-found': {
    status: 404,
    title: 'There is no webhook endpoint',
    detail: 'Your account has told no address for its webhooks.',
    members: [],
  },
  'webhook-delivery-not-found': {
    status: 404,
    title: 'There is no such delivery',
    detail: 'No webhook of your account has this id.',
    members: ['deliveryId'],
  },
  'webhook-delivery-not-dead': {
    status: 409,
    title: 'The delivery was not given up',
    detail: 'It was delivered, or it is still being tried.',
    members: ['deliveryId'],
  },
  'payment-in-progress': {
    status: 409,
    title: 'The order is being paid',
    detail: 'Another request is paying or deciding about this order right now. Look at it again shortly.',
    members: ['orderId', 'retryAfterSeconds'],
  },
  'request-in-progress': {
    status: 409,
    title: 'The first request with this key is still running',
    detail: 'Send the same request again shortly: it will get the answer of the first.',
    members: ['retryAfterSeconds'],
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'This key was used for another request',
    detail:
      'A key stands for one method, path and body. Send the first request unchanged, or use a new key for a new one.',
    members: [],
  },
  'temporarily-unavailable': {
    status: 503,
    title: 'Temporarily unavailable',
    detail: 'This request changed nothing. Send it again, with the same key.',
    members: ['retryAfterSeconds'],
  },
} as const satisfies { readonly [Code in RefusalCode]: RefusalRow<Code> }
