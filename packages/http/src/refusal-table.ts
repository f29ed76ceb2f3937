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
    title: 'The order is managed by what made it',
    detail:
      "A subscription's invoice is paid by the billing run, or on request by its own path; the order of a checkout by the checkout.",
    members: ['orderId'],
  },
  'order-blocked': {
    status: 409,
    title: 'The order waits for an operator',
    detail:
      'The gateway shows a payment or refund of this order that our records lack. Nothing was asked of the gateway. Contact support, who decide about it.',
    members: ['orderId'],
  },
  'too-many-declines': {
    status: 429,
    title: 'Too many payments were declined',
    detail:
      'So many payments of this order, customer or account were declined, or are still being decided, that no further card is tried for now. Nothing was asked of the gateway.',
    members: ['scope', 'retryAfterSeconds'],
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
  'payment-disputed': {
    status: 409,
    title: 'The customer disputes the payment',
    detail:
      'While a dispute is open, or after it returned the money to the customer, the payment is not refunded. One that was won must have given the money back first. Answer the dispute at the gateway; the payment shows how it ends.',
    members: ['paymentId', 'disputeState'],
  },
  'refund-between-units': {
    status: 400,
    title: "The refund is not a multiple of the currency's smallest unit",
    detail: 'Refund a multiple of unitMinor, such as an amount of nearestMinor. Nothing was refunded.',
    members: ['paymentId', 'currency', 'unitMinor', 'nearestMinor'],
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
  'invoice-not-found': {
    status: 404,
    title: 'There is no such invoice',
    detail: 'No invoice of your account has this id.',
    members: ['invoiceId'],
  },
  'gateway-customer-not-found': {
    status: 404,
    title: 'There is no such gateway customer',
    detail:
      'No customer of the gateway with this id is known to belong to your account. Create one with POST /v1/gateway-customers, or name your account in its metadata at the gateway (accountId) and register it there.',
    members: ['gatewayCustomerId'],
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
  'event-not-found': {
    status: 404,
    title: 'There is no such event',
    detail: 'No event of your account has this id.',
    members: ['eventId'],
  },
  'event-not-on-sale': {
    status: 409,
    title: 'The event is not on sale',
    detail: 'Its sale has not begun yet, or is over.',
    members: ['eventId', 'saleOpensAt', 'saleClosesAt'],
  },
  'section-not-found': {
    status: 404,
    title: 'There is no such section',
    detail: 'No section of this event has this id.',
    members: ['sectionId'],
  },
  'tier-not-found': {
    status: 404,
    title: 'There is no such tier',
    detail: 'No tier of this event has this id.',
    members: ['tierId'],
  },
  'seats-not-found': {
    status: 404,
    title: 'There are no such seats',
    detail: 'No seats of your account have these ids. Nothing is held.',
    members: ['seatIds'],
  },
  'seats-of-another-event': {
    status: 409,
    title: 'The seats belong to another event',
    detail: 'A hold is of seats of one event. Nothing is held.',
    members: ['seatIds'],
  },
  'seats-named-twice': {
    status: 400,
    title: 'A seat is named twice',
    detail: 'Each seat is named once. Nothing is held.',
    members: ['seatIds'],
  },
  'too-many-seats': {
    status: 400,
    title: 'Too many seats for one hold',
    detail: 'A hold is of a bounded number of seats or places. Nothing is held.',
    members: ['mostSeats'],
  },
  'quantity-not-positive': {
    status: 400,
    title: 'The quantity is not positive',
    detail: 'A hold is of one place at least. Nothing is held.',
    members: ['quantity'],
  },
  'quantity-over-capacity': {
    status: 409,
    title: 'The tier is smaller than that',
    detail: 'The tier never had so many places. Nothing is held.',
    members: ['tierId', 'capacity'],
  },
  'customer-holds-too-many': {
    status: 409,
    title: 'The customer holds too many seats',
    detail: 'Together with what this customer holds of the event already, these would be too many. Nothing was added.',
    members: ['customerId', 'heldSeats', 'mostSeats'],
  },
  'customer-has-too-many': {
    status: 409,
    title: 'The customer has as many seats as one may buy',
    detail:
      'Together with what this customer holds and has bought of the event, these would be too many. Cancelled bookings do not count. Nothing was added.',
    members: ['customerId', 'heldSeats', 'boughtSeats', 'mostSeats'],
  },
  'seats-held-recently': {
    status: 409,
    title: 'The customer held these seats a short time ago',
    detail:
      'A hold of these seats by this customer ended without a payment. Others can hold them for a while; choose other seats, or wait. Nothing is held.',
    members: ['customerId', 'seatIds', 'retryAfterSeconds'],
  },
  'seats-taken': {
    status: 409,
    title: 'Seats are taken',
    detail: 'Somebody has the seats that are named here, or is taking them right now. Nothing is held.',
    members: ['seatIds'],
  },
  'sold-out': {
    status: 409,
    title: 'The tier is sold out',
    detail: 'Not as many places are left. What is held now may come back. Nothing is held.',
    members: ['tierId'],
  },
  'no-adjacent-seats': {
    status: 409,
    title: 'There are no such seats side by side',
    detail: 'No row of this section has so many free seats next to each other. Nothing is held.',
    members: ['sectionId', 'quantity'],
  },
  'hold-in-progress': {
    status: 409,
    title: 'The customer is holding something else right now',
    detail:
      'Another request of this customer for this event is being decided about. Nothing was added. Ask again shortly.',
    members: ['customerId', 'retryAfterSeconds'],
  },
  'hold-not-found': {
    status: 404,
    title: 'There is no such hold',
    detail: 'No hold of your account has this id.',
    members: ['holdId'],
  },
  'hold-of-another-customer': {
    status: 403,
    title: 'The hold belongs to another customer',
    detail: 'Only the customer who made the hold can use it.',
    members: ['holdId'],
  },
  'hold-expired': {
    status: 410,
    title: 'The hold has expired',
    detail: 'Its seats are free for everybody. Make a new hold.',
    members: ['holdId'],
  },
  'hold-released': {
    status: 409,
    title: 'The hold was released',
    detail: 'Its seats were given back. Make a new hold.',
    members: ['holdId'],
  },
  'hold-booked': {
    status: 409,
    title: 'The hold was checked out',
    detail: 'An earlier request made a booking of it, which tells what became of it. A hold is not charged again.',
    members: ['holdId', 'bookingId'],
  },
  'hold-extended-before': {
    status: 409,
    title: 'The hold was extended before',
    detail: 'A hold is extended once.',
    members: ['holdId'],
  },
  'hold-checking-out': {
    status: 409,
    title: 'The hold is being checked out',
    detail: 'Another request is paying for it or deciding about it right now. Look at it again shortly.',
    members: ['holdId', 'retryAfterSeconds'],
  },
  'hold-in-review': {
    status: 409,
    title: "The hold's checkout waits for an operator",
    detail: 'It is not known what became of its payment, and an operator looks at it. Contact support to speed it up.',
    members: ['holdId'],
  },
  'booking-not-found': {
    status: 404,
    title: 'There is no such booking',
    detail: 'No booking of your account has this id.',
    members: ['bookingId'],
  },
  'booking-cancelled': {
    status: 409,
    title: 'The booking was cancelled',
    detail: 'Its seats were given back by an earlier request.',
    members: ['bookingId'],
  },
  'booking-in-progress': {
    status: 409,
    title: 'The booking is being paid or cancelled',
    detail: 'Its money is being taken or given back right now. Look at it again shortly.',
    members: ['bookingId', 'retryAfterSeconds'],
  },
  'booking-in-review': {
    status: 409,
    title: 'The booking waits for an operator',
    detail:
      'It is not known what became of its payment or refund, and an operator looks at it. Contact support to speed it up.',
    members: ['bookingId'],
  },
  'payment-authorized': {
    status: 409,
    title: "The order's amount is reserved",
    detail:
      'An earlier request reserved it on a card. Capture that payment, or void it to pay or cancel the order anew.',
    members: ['orderId', 'paymentId'],
  },
  'payment-in-review': {
    status: 409,
    title: 'The payment waits for an operator',
    detail:
      'It is not known whether this payment took the money, and an operator looks at it. Contact support to speed it up.',
    members: ['orderId', 'paymentId'],
  },
  'payment-in-progress': {
    status: 409,
    title: 'The order is being paid',
    detail: 'A payment of this order is under way, or another request is deciding about it. Ask again shortly.',
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
  'gateway-forbids-operation': {
    status: 503,
    title: 'The payment gateway does not allow this at present',
    detail: 'This request changed nothing. Send it again later, with the same key.',
    members: ['retryAfterSeconds'],
  },
  'gateway-refused-request': {
    status: 424,
    title: 'Our request to the payment gateway was refused',
    detail: 'This request changed nothing, and a repetition is refused as well until we have repaired ours.',
    members: [],
  },
  'temporarily-unavailable': {
    status: 503,
    title: 'Temporarily unavailable',
    detail: 'This request changed nothing. Send it again, with the same key.',
    members: ['retryAfterSeconds'],
  },
} as const satisfies { readonly [Code in RefusalCode]: RefusalRow<Code> }
