import { problemKinds } from '@seatbelt/http'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, it } from 'vitest'
import { testApp } from './test-app.ts'

type Json = Record<string, unknown>

const { client } = testApp()
const { body: document } = await client.get('/openapi.json')

/** Every object anywhere in the document. */
function objectsIn(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return []
  return [value as Json, ...Object.values(value).flatMap(objectsIn)]
}

/** The codes that one status of one operation is documented with. */
function codesOf(response: unknown): string[] {
  return objectsIn(response).flatMap((schema) => {
    const code = (schema.properties as { code?: { enum?: string[] } } | undefined)?.code
    return code?.enum ?? []
  })
}

const operations = Object.entries<Record<string, Json & { responses: Record<string, Json> }>>(document.paths).flatMap(
  ([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

it('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  const result = await validator.validate(structuredClone(document))
  expect(result).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
})

it('every reference leads somewhere', () => {
  const references = objectsIn(document).flatMap((object) => (typeof object.$ref === 'string' ? [object.$ref] : []))
  expect(references.length).toBeGreaterThan(10)
  for (const reference of references) {
    const found = reference
      .split('/')
      .slice(1)
      .reduce((inner: unknown, name) => (inner as Json | undefined)?.[name], document)
    expect(found, reference).toBeTypeOf('object')
  }
})

it('it has the operations of the contract, and no others', () => {
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
    'get /v1/orders',
    'get /v1/orders/{orderId}',
    'get /v1/payments',
    'get /v1/payments/{paymentId}',
    'get /v1/payments/{paymentId}/refunds',
    'get /v1/refunds',
    'get /v1/refunds/{refundId}',
    'get /v1/subscriptions',
    'get /v1/subscriptions/{subscriptionId}',
    'get /v1/webhook-deliveries',
    'get /v1/webhook-endpoint',
    'post /v1/gateway-customers',
    'post /v1/gateway/webhooks',
    'post /v1/invoices/{invoiceId}/payments',
    'post /v1/orders',
    'post /v1/orders/{orderId}/cancellation',
    'post /v1/orders/{orderId}/payments',
    'post /v1/payments/{paymentId}/capture',
    'post /v1/payments/{paymentId}/refunds',
    'post /v1/payments/{paymentId}/review',
    'post /v1/payments/{paymentId}/void',
    'post /v1/refunds/{refundId}/review',
    'post /v1/subscriptions',
    'post /v1/subscriptions/{subscriptionId}/cancellation',
    'post /v1/subscriptions/{subscriptionId}/payment-method',
    'post /v1/webhook-deliveries/{deliveryId}/replay',
    'post /v1/webhook-endpoint',
  ])
})

it('each documented problem exists, with the status that it is documented under', () => {
  for (const { path, method, operation } of operations) {
    for (const [status, response] of Object.entries(operation.responses)) {
      for (const code of codesOf(response)) {
        const kind = problemKinds[code as keyof typeof problemKinds]
        expect(kind?.status, `${method} ${path} ${status} ${code}`).toBe(Number(status))
      }
    }
  }
})

it('each problem that exists is documented somewhere, besides those of seats, and of requests that reach no path of the document', () => {
  const documented = new Set(operations.flatMap(({ operation }) => codesOf(operation.responses)))
  const ofSeats =
    /^(event|section|tier|seats|quantity|customer|hold|booking|checkout)-|^(too-many-seats|sold-out|no-adjacent-seats|paid-without-seats)$/
  const missing = Object.keys(problemKinds).filter((code) => !documented.has(code) && !ofSeats.test(code))
  expect(missing.sort()).toEqual(['headers-too-large', 'malformed-request', 'method-not-allowed', 'not-found'])
})

it('paying an order documents what can come of it', () => {
  const pay = operations.find(({ operation }) => operation.operationId === 'payOrder')?.operation
  const statuses = '201 202 400 401 402 404 409 413 415 422 424 429 500 503'
  expect(Object.keys(pay?.responses ?? {})).toEqual(statuses.split(' '))
  expect(codesOf(pay?.responses['402'])).toEqual(['payment-declined', 'payment-cancelled'])
})

it('the life of a key is in the document, and in the answers that are recorded under it', () => {
  const pay = operations.find(({ operation }) => operation.operationId === 'payOrder')?.operation
  const key = objectsIn(pay?.parameters).find(({ name }) => name === 'Idempotency-Key')
  expect(key?.description).toContain('24 hours')
  for (const status of ['201', '402'])
    expect(pay?.responses[status]).toMatchObject({ headers: { 'Idempotency-Key-Lifetime': {} } })
  expect(document.info.description).toContain('24 hours')
})

it('paying an invoice documents all that can come of paying its order', () => {
  const codes = (id: string) =>
    Object.values(operations.find(({ operation }) => operation.operationId === id)?.operation.responses ?? {}).flatMap(
      codesOf,
    )
  // An invoice names its own order, and declines do not limit it.
  const ofOrder = codes('payOrder').filter((code) => !['order-not-found', 'too-many-declines'].includes(code))
  expect(codes('payInvoice')).toEqual(expect.arrayContaining(ofOrder))
})

it.each([
  ['capturePayment', '200 202 400 401 402 404 409 413 415 422 429 500 503', '402', 'payment-voided'],
  ['voidPayment', '200 202 400 401 404 409 413 415 422 429 500 503', '409', 'payment-captured'],
])('%s documents what can come of it', (operationId, statuses, status, code) => {
  const found = operations.find(({ operation }) => operation.operationId === operationId)?.operation
  expect(Object.keys(found?.responses ?? {}).join(' ')).toBe(statuses)
  expect(codesOf(found?.responses[status])).toContain(code)
})

it("the gateway's own path asks for a signature, and for neither an API key nor a key for the request", () => {
  const found = operations.find(({ operation }) => operation.operationId === 'takeGatewayEvent')?.operation
  expect(found).toMatchObject({
    security: [],
    parameters: [{ name: 'Stripe-Signature', in: 'header', required: true }],
  })
  expect(Object.keys(found?.responses ?? {})).toEqual('200 400 408 413 415 500 503'.split(' '))
  expect(operations.filter(({ operation }) => 'security' in operation)).toHaveLength(1)
})

it('what is sent and what is answered is described strictly', () => {
  expect(document.components.schemas.NewOrder).toMatchObject({
    type: 'object',
    additionalProperties: false,
    required: ['customerId', 'amountMinor', 'currency'],
    properties: { amountMinor: { type: 'integer', minimum: 1, maximum: 999_999_999 } },
  })
})

it('the documentation page takes everything from here, and may take nothing from elsewhere', async () => {
  const page = await client.get('/docs')
  expect([page.status, page.type]).toEqual([200, 'text/html'])
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
  expect(links.length).toBeGreaterThanOrEqual(4)
  for (const link of links) expect([link, (await client.get(link)).status]).toEqual([link, 200])
})
