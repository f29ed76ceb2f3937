import { expect, it } from 'vitest'
import * as schemas from '../src/schemas.ts'

const price = { amountMinor: 100, currency: 'EUR' }
const subscription = {
  ...{ customerId: 'c', gatewayCustomerId: 'cus_1', paymentMethod: 'pm_1', interval: { unit: 'month', count: 1 } },
  ...{ ...price, timeZone: 'Europe/Berlin', anchor: '2026-01-31T09:00:00', receiptEmail: 'ada@example.com' },
}
const bodies = {
  order: [schemas.newOrder, { customerId: 'c', ...price, receiptEmail: 'ada@example.com' }],
  payment: [schemas.newPayment, { paymentMethod: 'pm_1' }],
  refund: [schemas.newRefund, { reason: 'a' }],
  subscription: [schemas.newSubscription, subscription],
  'payment method': [schemas.newPaymentMethod, { paymentMethod: 'pm_1' }],
  'webhook endpoint': [schemas.newWebhookEndpoint('public'), { url: 'https://shop.example/a' }],
} as const

const cases = Object.entries(bodies).flatMap(([name, [schema, body]]) =>
  Object.entries(body).flatMap(([field, text]) =>
    typeof text === 'string' ? [{ name, schema, body, field, text }] : [],
  ),
)

// PostgreSQL's jsonb takes neither, and would say so only in the commit that records the answer.
it.each(cases)('$field of a new $name takes neither half a character nor U+0000', ({ schema, body, field, text }) => {
  expect(schema.safeParse(body).success).toBe(true)
  for (const bad of ['\ud800', '\udc00', '\u0000'])
    for (const value of [`${text}${bad}`, `${bad}${text}`, `${text.slice(0, 1)}${bad}${text.slice(1)}`]) {
      const { error } = schema.safeParse({ ...body, [field]: value })
      expect(error?.issues[0]?.path, JSON.stringify(value)).toEqual([field])
    }
})
