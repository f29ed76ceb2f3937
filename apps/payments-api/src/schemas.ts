import {
  anchorYears,
  type DisputeState,
  type InvoiceState,
  intervalUnits,
  longestIntervals,
  maxAmountMinor,
  missedPeriodPolicies,
  type OrderState,
  type PaymentState,
  type RefundState,
  refundOrigins,
  type SubscriptionState,
  type WebhookDeliveryState,
} from '@seatbelt/domain'
import { checkAmount, fields, pageFields } from '@seatbelt/http'
import { isTimeZone, isWallTime, type WebhookTargets, webhookUrlProblem } from '@seatbelt/payments'
import { z } from 'zod'

const orderStates = [
  'pending',
  'processing',
  'paid',
  'partially_refunded',
  'refunded',
  'cancelled',
] as const satisfies readonly OrderState[]
const paymentStates = [
  'processing',
  'authorized',
  'capturing',
  'voiding',
  'succeeded',
  'declined',
  'cancelled',
  'voided',
  'needs_review',
] as const satisfies readonly PaymentState[]

const refundStates = [
  'processing',
  'pending',
  'succeeded',
  'failed',
  'needs_review',
] as const satisfies readonly RefundState[]

const disputeStates = ['inquiry', 'open', 'won', 'lost', 'closed'] as const satisfies readonly DisputeState[]

const deliveryStates = ['pending', 'delivered', 'dead'] as const satisfies readonly WebhookDeliveryState[]

const subscriptionStates = ['active', 'past_due', 'paused', 'cancelled'] as const satisfies readonly SubscriptionState[]
const invoiceStates = ['open', 'paid', 'uncollectible'] as const satisfies readonly InvoiceState[]

const { id, amountMinor, currency, customerId, paymentMethod, receiptEmail, moment } = fields
const page = pageFields

// What is sent to us. -------------------------------------------------------------------------------------------------

export const newOrder = z
  .strictObject({ customerId, amountMinor, currency, receiptEmail: receiptEmail.optional() })
  .superRefine(checkAmount)
export const newPayment = z.strictObject({
  paymentMethod,
  capture: z
    .enum(['automatic', 'manual'])
    .default('automatic')
    .describe('manual: only puts the amount on hold, until the payment is captured or voided'),
})
/** `targets`: whether the URL may be one of this machine. */
export function newWebhookEndpoint(targets: WebhookTargets) {
  const url = z
    .string('must be text')
    .max(2_048, 'must have at most 2048 characters')
    // The URL parser swallows or encodes them, and PostgreSQL takes neither U+0000 nor half of a surrogate pair.
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not have control characters, or half ones')
    .superRefine((text, context) => {
      const problem = webhookUrlProblem(text, targets)
      if (problem !== null) context.addIssue({ code: 'custom', message: problem })
    })
    .meta({ format: 'uri', examples: ['https://shop.example.com/webhooks'] })
  const rotateSecret = z.boolean('must be true or false').default(false).describe('Makes a new secret')
  return z.strictObject({ url, rotateSecret })
}

const interval = z
  .strictObject({
    unit: z.enum(intervalUnits, 'must be day, week, month or year'),
    count: z.int('must be a whole number').min(1, 'must be at least 1'),
  })
  .superRefine(({ unit, count }, context) => {
    const longest = longestIntervals[unit]
    if (count <= longest) return
    context.addIssue({ code: 'custom', path: ['count'], message: `must be at most ${longest} for ${unit}` })
  })

const anchor = z
  .string('must be text')
  .refine(isWallTime, { error: 'must be a date and time of the calendar, such as 2026-01-31T09:00:00', abort: true })
  .refine(
    (text) => Number(text.slice(0, 4)) >= anchorYears.from && Number(text.slice(0, 4)) <= anchorYears.to,
    `must be of a year from ${anchorYears.from} to ${anchorYears.to}`,
  )

const missedPeriods = z
  .enum(missedPeriodPolicies, 'must be skip or collect')
  .describe(
    'What becomes of periods that were missed, after an outage or while it was past due. collect: they are charged later, one a day, and an unpaid invoice stays open; skip: only the present period is charged',
  )

const gatewayCustomerId = z
  .string('must be text')
  .regex(/^cus_[A-Za-z0-9_]{1,120}$/, "must be the gateway's id of a customer, such as cus_NffrFeUfNV2Hib")

export const newGatewayCustomer = z.strictObject({
  customerId,
  gatewayCustomerId: gatewayCustomerId.optional().meta({
    description:
      'An existing customer of the gateway, whose metadata there name your account (accountId). A new one is created where it is not given',
    examples: ['cus_NffrFeUfNV2Hib'],
  }),
})

export const newSubscription = z
  .strictObject({
    customerId,
    gatewayCustomerId: gatewayCustomerId.meta({
      description: 'A registered customer, to whom your own page has attached the payment method',
      examples: ['cus_NffrFeUfNV2Hib'],
    }),
    paymentMethod,
    amountMinor,
    currency,
    interval: interval.meta({
      description: 'The time from one period to the next',
      examples: [{ unit: 'month', count: 1 }],
    }),
    timeZone: z
      .string('must be text')
      .refine(isTimeZone, "must be a time zone's name in the IANA database, such as Europe/Berlin")
      .meta({ description: 'Whose calendar and clock the periods follow', examples: ['Europe/Berlin'] }),
    anchor: anchor.optional().meta({
      description:
        'The wall time of the first period, now by default. Every period is counted from it: of a month that is too short it is the last day. May be past: the period of the present moment is then the first that is charged',
      examples: ['2026-01-31T09:00:00'],
    }),
    receiptEmail: receiptEmail.optional(),
    missedPeriods: missedPeriods.default('collect'),
  })
  .superRefine(checkAmount)
export const newPaymentMethod = z.strictObject({ paymentMethod })
export const invoicePath = z.strictObject({ invoiceId: id })
export const subscriptionPath = z.strictObject({ subscriptionId: id })

export const newRefund = z.strictObject({
  amountMinor: amountMinor
    .max(maxAmountMinor, `must be at most ${maxAmountMinor}`)
    .optional()
    .describe('All that is left, where it is not given'),
  reason: z
    .string('must be text')
    .regex(/^[^\p{Cc}\p{Cs}]{1,500}$/u, 'must have 1 to 500 whole characters, on one line')
    .optional()
    .describe("The merchant's own words"),
})
export const { emptyBody } = fields

export const deliveryPath = z.strictObject({ deliveryId: id })
/** What is read of an event. Anything else in it is the gateway's. */
export const gatewayEvent = z.looseObject({
  id: z.string().meta({ examples: ['evt_1'] }),
  object: z.literal('event'),
  type: z.string().meta({ examples: ['payment_intent.succeeded'] }),
  data: z.looseObject({ object: z.looseObject({ id: z.string(), object: z.string() }) }),
})

export const orderPath = z.strictObject({ orderId: id })
export const paymentPath = z.strictObject({ paymentId: id })
export const refundPath = z.strictObject({ refundId: id })

export const orderPage = z.strictObject(page)
export const refundPage = z.strictObject(page)
export const refundStatePage = z.strictObject({
  ...page,
  state: z.enum(refundStates, `must be one of ${refundStates.join(', ')}`).optional(),
})
export const subscriptionPage = z.strictObject(page)
export const deliveryPage = z.strictObject({ ...page, state: z.enum(deliveryStates).optional() })
export const paymentPage = z.strictObject({
  ...page,
  orderId: id.optional(),
  state: z.enum(paymentStates, `must be one of ${paymentStates.join(', ')}`).optional(),
})

// What we send. -------------------------------------------------------------------------------------------------------

export const order = z.strictObject({
  id,
  customerId,
  amountMinor,
  currency,
  state: z.enum(orderStates),
  receiptEmail: z.string().nullable(),
  createdAt: moment,
})

const paymentId = id
  .nullable()
  .describe('The payment that had taken the money before this request could stop it: refund it. Null: none had')

export const cancelledOrder = order.extend({ paymentId })

export const payment = z.strictObject({
  id,
  orderId: id,
  amountMinor,
  currency,
  paymentMethod,
  state: z.enum(paymentStates),
  declineCode: z.string().nullable().describe('Why the gateway refused'),
  declinedBy: z
    .enum(['bank', 'payment-method', 'gateway'])
    .nullable()
    .describe(
      "Who refused: the card's bank; or the gateway before it asked any card, because of the payment method or of our own request",
    ),
  capturedMinor: z
    .int()
    .describe("What was taken: less than the amount where a part was captured at the gateway's own console"),
  refundedMinor: z.int().describe('What was given back'),
  refundPendingMinor: z.int().describe('What refunds under way have reserved'),
  disputeState: z
    .enum(disputeStates)
    .nullable()
    .describe('inquiry: the bank asks, and refunds are possible; open: they are not; or how the dispute ended'),
  disputedMinor: z.int().describe('The amount that disputes withdrew and did not reinstate'),
  createdAt: moment,
  authorizedAt: moment.nullable().describe('When the amount was put on hold'),
  settledAt: moment.nullable(),
})

export const refund = z.strictObject({
  id,
  paymentId: id.nullable(),
  orderId: id,
  origin: z
    .enum(refundOrigins)
    .describe(
      'This API, a repair, the gateway, where it was made outside of this API, or an operator, who returned the money outside of the gateway',
    ),
  amountMinor,
  currency,
  reason: z.string().nullable(),
  state: z.enum(refundStates),
  failureCode: z.string().nullable().describe('Why the gateway refused it, or the bank sent it back'),
  createdAt: moment,
  settledAt: moment.nullable(),
  reversedAt: moment.nullable().describe('When it failed after it had succeeded'),
})

export const paymentEvent = z.strictObject({
  at: moment,
  event: z.string(),
  by: z.string().describe('The process that did it'),
  generation: z.int().describe('Raised whenever the payment changes hands'),
  gatewayRequestId: z.string().nullable(),
  detail: z.string().nullable(),
  refundId: z.string().nullable(),
})

export const dispute = z.strictObject({
  id,
  paymentId: id,
  gatewayDisputeId: z.string(),
  state: z.enum(disputeStates),
  gatewayStatus: z.string().describe("In the gateway's own words"),
  reason: z.string(),
  amountMinor,
  currency,
  withdrawnMinor: z.int().describe("Without the gateway's fee"),
  reinstatedMinor: z.int().describe('All of it if the dispute was won, a part if it was lost in part'),
  respondBy: moment.nullable(),
  openedAt: moment,
})

export const paymentWithHistory = payment.extend({ disputes: z.array(dispute), history: z.array(paymentEvent) })
export const orderList = z.strictObject({ items: z.array(order), nextCursor: z.string().nullable() })
export const paymentList = z.strictObject({ items: z.array(payment), nextCursor: z.string().nullable() })
export const refundList = z.strictObject({ items: z.array(refund), nextCursor: z.string().nullable() })

export const webhookEndpoint = z.strictObject({ url: z.string(), createdAt: moment, updatedAt: moment })
export const webhookEndpointWithSecret = webhookEndpoint.extend({
  secret: z.string().nullable().describe('Verifies the signatures. Null where none was made'),
})

export const webhookDelivery = z.strictObject({
  id: id.describe('The webhook-id that the receiver sees, with every try'),
  type: z.string().meta({ examples: ['payment.succeeded'] }),
  subjectId: id.describe('The payment, refund, dispute, invoice or booking that it tells of'),
  state: z.enum(deliveryStates),
  attempts: z.int(),
  lastError: z.string().nullable(),
  createdAt: moment,
  nextAttemptAt: moment.nullable(),
  deliveredAt: moment.nullable(),
  deadAt: moment.nullable(),
})
export const webhookDeliveryList = z.strictObject({
  items: z.array(webhookDelivery),
  nextCursor: z.string().nullable(),
})

export const gatewayEventTaken = z.strictObject({
  result: z
    .enum(['applied', 'repeated', 'noted', 'ignored', 'unknown'])
    .describe('applied, or applied before; noted for a look; none of ours, or not in the books'),
})

export const subscription = z.strictObject({
  id,
  customerId,
  gatewayCustomerId: z.string(),
  paymentMethod,
  amountMinor,
  currency,
  interval: z.strictObject({ unit: z.enum(intervalUnits), count: z.int() }),
  timeZone: z.string(),
  anchor: z.string(),
  receiptEmail: z.string().nullable(),
  missedPeriods,
  state: z.enum(subscriptionStates),
  pausedBecause: z.string().nullable().describe('What to do before it is charged again. Null: it is not paused'),
  nextDueAt: moment.nullable().describe('When the next period without an invoice falls due'),
  createdAt: moment,
})

export const changedSubscription = subscription.extend({ paymentId })

export const invoice = z.strictObject({
  id,
  subscriptionId: id,
  period: z.int().describe('Counted from 0, which is due at the anchor'),
  dueAt: moment,
  orderId: id.describe('The order that collects it'),
  state: z.enum(invoiceStates),
  declines: z.int(),
  refusals: z.int().describe('Tries that came to nothing, and not by the word of a bank'),
  nextTryAt: moment.nullable().describe('Null: no run tries it any more. It can be paid on request while it is open'),
  settledAt: moment.nullable(),
})

export const subscriptionWithInvoices = subscription.extend({ invoices: z.array(invoice).describe('The latest ones') })
export const subscriptionList = z.strictObject({ items: z.array(subscription), nextCursor: z.string().nullable() })

export const gatewayCustomer = z.strictObject({
  id: z
    .string()
    .describe("The gateway's id")
    .meta({ examples: ['cus_NffrFeUfNV2Hib'] }),
  customerId,
  createdAt: moment,
})

/** The names under which the OpenAPI document has them. */
export const namedSchemas = {
  NewOrder: newOrder,
  NewPayment: newPayment,
  NewRefund: newRefund,
  Empty: emptyBody,
  Order: order,
  CancelledOrder: cancelledOrder,
  Payment: payment,
  PaymentEvent: paymentEvent,
  PaymentWithHistory: paymentWithHistory,
  OrderList: orderList,
  PaymentList: paymentList,
  Dispute: dispute,
  Refund: refund,
  RefundList: refundList,
  NewGatewayCustomer: newGatewayCustomer,
  GatewayCustomer: gatewayCustomer,
  NewSubscription: newSubscription,
  NewPaymentMethod: newPaymentMethod,
  Subscription: subscription,
  ChangedSubscription: changedSubscription,
  Invoice: invoice,
  SubscriptionWithInvoices: subscriptionWithInvoices,
  SubscriptionList: subscriptionList,
  WebhookEndpoint: webhookEndpoint,
  WebhookEndpointWithSecret: webhookEndpointWithSecret,
  WebhookDelivery: webhookDelivery,
  WebhookDeliveryList: webhookDeliveryList,
}
