import { currencies, maxAmountMinor, type OrderState, type PaymentState } from '@seatbelt/domain'
import { decodeCursor } from '@seatbelt/http'
import { z } from 'zod'

const orderStates = ['pending', 'processing', 'paid', 'cancelled'] as const satisfies readonly OrderState[]
const paymentStates = [
  'processing',
  'succeeded',
  'declined',
  'cancelled',
  'needs_review',
] as const satisfies readonly PaymentState[]

/** As we write them. An id in another spelling is none of ours, so that one order has one path. */
const id = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'must be an id, in lower case')
  .meta({ format: 'uuid' })

const amountMinor = z
  .int('must be a whole number of minor units')
  .min(1, 'must be at least 1')
  .max(maxAmountMinor, `must be at most ${maxAmountMinor}`)
  .meta({ description: 'In minor units: 1999 is 19.99 EUR, and 1999 JPY', examples: [1999] })

const currency = z
  .enum(currencies, 'must be an ISO 4217 code that is charged in, in upper case')
  .meta({ examples: ['EUR'] })

const customerId = z
  .string('must be text')
  .regex(/^[\x21-\x7e]{1,128}$/, 'must have 1 to 128 printable ASCII characters, without spaces')
  .meta({ description: "The merchant's own name for the customer", examples: ['customer-1'] })

const paymentMethod = z
  .string('must be text')
  .regex(/^pm_[A-Za-z0-9_]{1,120}$/, "must be the gateway's id of a payment method, such as pm_card_visa")
  .meta({ examples: ['pm_card_visa'] })

const moment = z.iso.datetime().meta({ examples: ['2026-11-20T10:00:00.000Z'] })

// What is sent to us. -------------------------------------------------------------------------------------------------

export const newOrder = z.strictObject({ customerId, amountMinor, currency })
export const newPayment = z.strictObject({ paymentMethod })
export const newCancellation = z.strictObject({})

export const orderPath = z.strictObject({ orderId: id })
export const paymentPath = z.strictObject({ paymentId: id })

/** A page costs one index scan of its size; a hundred rows are some 30 KiB. */
const page = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .pipe(z.coerce.number<string>().int().min(1, 'must be at least 1').max(100, 'must be at most 100'))
    .default(20),
  cursor: z
    .string()
    .refine((cursor) => decodeCursor(cursor) !== null, 'must be the nextCursor of the page before')
    .optional(),
}
export const orderPage = z.strictObject(page)
export const paymentPage = z.strictObject({ ...page, orderId: id.optional() })

// What we send. -------------------------------------------------------------------------------------------------------

export const order = z.strictObject({
  id,
  customerId,
  amountMinor,
  currency,
  state: z.enum(orderStates),
  createdAt: moment,
})

export const payment = z.strictObject({
  id,
  orderId: id,
  amountMinor,
  currency,
  paymentMethod,
  state: z.enum(paymentStates),
  declineCode: z.string().nullable().describe('Why the gateway refused'),
  createdAt: moment,
  settledAt: moment.nullable(),
})

export const paymentEvent = z.strictObject({
  at: moment,
  event: z.string(),
  by: z.string().describe('The process that did it'),
  generation: z.int().describe('Raised whenever the payment changes hands'),
  gatewayRequestId: z.string().nullable(),
  detail: z.string().nullable(),
})

export const paymentWithHistory = payment.extend({ history: z.array(paymentEvent) })
export const orderList = z.strictObject({ items: z.array(order), nextCursor: z.string().nullable() })
export const paymentList = z.strictObject({ items: z.array(payment), nextCursor: z.string().nullable() })

/** The names under which the OpenAPI document has them. */
export const namedSchemas = {
  NewOrder: newOrder,
  NewPayment: newPayment,
  NewCancellation: newCancellation,
  Order: order,
  Payment: payment,
  PaymentEvent: paymentEvent,
  PaymentWithHistory: paymentWithHistory,
  OrderList: orderList,
  PaymentList: paymentList,
}
