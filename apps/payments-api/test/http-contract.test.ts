import type { Refusal } from '@seatbelt/domain'
import { problemKinds } from '@seatbelt/http'
import type { Response } from 'supertest'
import { describe, expect, it } from 'vitest'
import * as schemas from '../src/schemas.ts'
import { answered, order, payment } from './fake-payment-operations.ts'
import { foreignKey, key, testApp } from './test-app.ts'

const newOrder = { customerId: 'customer-1', amountMinor: 1999, currency: 'EUR' }
const newSubscription = {
  ...newOrder,
  gatewayCustomerId: 'cus_1',
  paymentMethod: 'pm_1',
  interval: { unit: 'month', count: 1 },
  timeZone: 'Europe/Berlin',
}
const unknownId = '0192f000-0000-7000-8000-0000000000ff'
const paymentsPath = `/v1/orders/${order.id}/payments`
const cancellationPath = `/v1/orders/${order.id}/cancellation`
const capturePath = `/v1/payments/${payment.id}/capture`
const voidPath = `/v1/payments/${payment.id}/void`

/** A problem in its whole form, and not only in its status. */
function expectProblem(answer: Response, code: keyof typeof problemKinds): void {
  const { status, title } = problemKinds[code]
  expect({ status: answer.status, type: answer.headers['content-type'], body: answer.body }).toMatchObject({
    status,
    type: 'application/problem+json',
    body: { type: `urn:seatbelt:problem:${code}`, title, status, code, detail: expect.stringMatching(/./) },
  })
}

describe('what works', () => {
  it('an order is created: 201, where it is, which replica, under which name', async () => {
    const { post, calls } = testApp()
    const answer = await post('/v1/orders').send(newOrder)
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({
      location: `/v1/orders/${order.id}`,
      'content-type': 'application/json',
      'seatbelt-instance': 'payments-api-1',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'cache-control': 'no-store',
    })
    expect(answer.headers).not.toHaveProperty('idempotent-replayed')
    expect(answer.headers).not.toHaveProperty('x-powered-by')
    const call = { accountId: order.accountId, key: 'key-1', fingerprint: expect.any(Uint8Array) }
    expect(calls).toEqual([{ operation: 'createOrder', arguments: [call, { ...newOrder, receiptEmail: null }] }])
  })

  it('a payment: 201, 202 without a record, and a 402 as it was recorded', async () => {
    const { post, fake } = testApp()
    const pay = () => post(paymentsPath).send({ paymentMethod: 'pm_card_visa' })
    const paid = await pay()
    expect([paid.status, paid.headers.location, paid.body.state]).toEqual([
      201,
      `/v1/payments/${payment.id}`,
      'succeeded',
    ])

    fake.next = { kind: 'unsettled', subject: payment }
    const unsettled = await pay()
    expect([unsettled.status, unsettled.body.state, unsettled.headers['content-type']]).toEqual([
      202,
      'processing',
      'application/json',
    ])
    expect(unsettled.headers).toMatchObject({ location: `/v1/payments/${payment.id}`, 'retry-after': '1' })

    fake.next = answered({ status: 402, body: '{"code":"payment-declined"}', location: null })
    const declined = await pay()
    expect([declined.status, declined.headers['content-type'], declined.text]).toEqual([
      402,
      'application/problem+json',
      '{"code":"payment-declined"}',
    ])
  })

  it('a payment charges at once unless it is told to put the amount on hold only', async () => {
    const { post, calls } = testApp()
    for (const capture of [undefined, 'automatic', 'manual'])
      await post(paymentsPath).send({ paymentMethod: 'pm_card_visa', capture })
    expect(calls.map(({ arguments: [, request] }) => request)).toMatchObject([
      { capture: 'automatic' },
      { capture: 'automatic' },
      { capture: 'manual' },
    ])
  })

  it.each([
    [capturePath, 'capturePayment', 'succeeded'],
    [voidPath, 'voidPayment', 'voided'],
  ])('what is on hold is ended: %s', async (path, operation, state) => {
    const { post, calls, fake } = testApp()
    const ended = await post(path)
    expect([ended.status, ended.headers.location, ended.body.state]).toEqual([200, undefined, state])
    const call = { accountId: order.accountId, key: 'key-1', fingerprint: expect.any(Uint8Array) }
    expect(calls).toEqual([{ operation, arguments: [call, payment.id] }])

    fake.next = { kind: 'unsettled', subject: payment }
    expect((await post(path)).status).toBe(202)
    fake.next = { kind: 'refused', refusal: { code: 'payment-not-authorized', paymentId: payment.id, state: 'voided' } }
    const refused = await post(path)
    expectProblem(refused, 'payment-not-authorized')
    expect(refused.body).toMatchObject({ paymentId: payment.id, state: 'voided' })
  })

  it('a replay is the recorded bytes, marked', async () => {
    const { post, fake } = testApp()
    const body = '{ "é":  "bytes, not JSON that was parsed and written again", "id":1.50 }'
    fake.next = answered({ status: 201, body, location: '/v1/orders/x' }, true)
    const answer = await post('/v1/orders').send(newOrder)
    expect(answer.text).toBe(body)
    expect(answer.headers).toMatchObject({
      'idempotent-replayed': 'true',
      location: '/v1/orders/x',
      'content-length': String(Buffer.byteLength(body)),
    })
  })

  it.each([
    ['no body', undefined, undefined],
    ['an empty object', '{}', 'application/json'],
    ['an empty body of any type, as curl sends it', '', 'application/x-www-form-urlencoded'],
  ])('a cancellation takes %s', async (_what, body, type) => {
    const { post, calls } = testApp()
    const request = post(cancellationPath)
    const answer = await (type === undefined ? request : request.set('Content-Type', type).send(body))
    expect([answer.status, answer.body.state]).toEqual([200, 'cancelled'])
    const [{ arguments: args } = { arguments: [] }] = calls
    expect(args[1]).toBe(order.id)
  })

  it('no body and an empty object have the same fingerprint; another path has another', async () => {
    const { post, calls } = testApp()
    await post(cancellationPath)
    await post(cancellationPath).send({})
    await post(`/v1/orders/${unknownId}/cancellation`)
    const [none, empty, other] = calls.map((call) => JSON.stringify(call.arguments[0]))
    expect(none).toBe(empty)
    expect(none).not.toBe(other)
  })

  it('the content type may have parameters and any case', async () => {
    const { post } = testApp()
    const request = post('/v1/orders').set('Content-Type', 'Application/JSON; charset=utf-8')
    expect((await request.send(JSON.stringify(newOrder))).status).toBe(201)
  })

  it('orders and payments are looked at', async () => {
    const { get } = testApp()
    expect((await get(`/v1/orders/${order.id}`)).body).toEqual({
      ...newOrder,
      id: order.id,
      state: 'pending',
      receiptEmail: null,
      createdAt: '2026-11-20T10:00:00.000Z',
    })
    const { body } = await get(`/v1/payments/${payment.id}`)
    expect(body).toMatchObject({ id: payment.id, state: 'processing', settledAt: null })
    expect(body.history).toEqual([
      {
        at: '2026-11-20T10:00:01.500Z',
        event: 'claimed',
        by: 'payments-api-1',
        generation: 1,
        gatewayRequestId: null,
        detail: null,
        refundId: null,
      },
    ])
  })

  it('lists are paged: the cursor of one page asks for the next', async () => {
    const { get, calls } = testApp()
    const first = await get('/v1/orders?limit=1')
    const second = await get(`/v1/orders?limit=1&cursor=${first.body.nextCursor}`)
    await get(`/v1/payments?orderId=${order.id}`)
    expect([first.body.items[0].id, second.body.nextCursor]).toEqual([order.id, null])
    expect(calls.map((call) => call.arguments[1])).toEqual([
      { limit: 1, after: null },
      { limit: 1, after: order.id },
      { limit: 20, after: null, orderId: order.id, state: null },
    ])
  })

  it("a client's own request id is taken if it is sane, and replaced if not", async () => {
    const { get } = testApp()
    const path = `/v1/orders/${order.id}`
    expect((await get(path).set('X-Request-Id', 'trace-0001')).headers['x-request-id']).toBe('trace-0001')
    for (const insane of ['short', 'a'.repeat(129), 'has spaces', '{"json":1}']) {
      expect((await get(path).set('X-Request-Id', insane)).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    }
  })
})

describe('who may ask', () => {
  it.each([
    ['no key', undefined],
    ['a wrong key', 'Bearer wrong'],
    ['a key in another scheme', 'Basic a2V5LW9mLXRoZS1zaG9w'],
  ])('%s: 401, and no operation is called, whatever else is wrong', async (_what, authorization) => {
    const { client, calls } = testApp()
    for (const request of [client.post('/v1/orders').send('{nonsense'), client.get(`/v1/orders/${order.id}`)]) {
      const answer = await (authorization === undefined ? request : request.set('Authorization', authorization))
      expectProblem(answer, 'unauthenticated')
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    }
    expect(calls).toEqual([])
  })

  it('a revoked key: 401, five seconds later at the latest', async () => {
    const { get, revoke, clock, calls } = testApp()
    expect((await get('/v1/orders')).status).toBe(200)
    revoke(key)
    clock.nowMs = 5_000
    expectProblem(await get('/v1/orders'), 'unauthenticated')
    expect(calls).toHaveLength(1)
  })

  it.each([
    ['get', `/v1/orders/${order.id}`, 'order-not-found', undefined],
    ['get', `/v1/payments/${payment.id}`, 'payment-not-found', undefined],
    ['post', paymentsPath, 'order-not-found', { paymentMethod: 'pm_card_visa' }],
    ['post', cancellationPath, 'order-not-found', {}],
    ['post', capturePath, 'payment-not-found', {}],
    ['post', voidPath, 'payment-not-found', {}],
  ] as const)('what belongs to another account is not there: %s %s', async (method, path, code, body) => {
    const { client } = testApp()
    const request = client[method](path).auth(foreignKey, { type: 'bearer' })
    expectProblem(await (body === undefined ? request : request.set('Idempotency-Key', 'k').send(body)), code)
  })

  it('an account over its rate: 429 and when to come again; another account goes on', async () => {
    const { get, client, calls } = testApp({ accountBurst: 2 })
    await get('/v1/orders')
    await get('/v1/orders')
    const answer = await get('/v1/orders')
    expectProblem(answer, 'too-many-requests')
    expect(answer.headers['retry-after']).toBe('1')
    expect(calls).toHaveLength(2)
    expect((await client.get('/v1/orders').auth(foreignKey, { type: 'bearer' })).status).toBe(200)
  })

  it('strangers over their rate: 429 instead of 401; a key that was good goes on', async () => {
    const { client, get } = testApp({ strangerBurst: 2 })
    expect((await get('/v1/orders')).status).toBe(200)
    expectProblem(await client.get('/v1/orders'), 'unauthenticated')
    expectProblem(await client.get('/v1/orders'), 'too-many-requests')
    expect((await get('/v1/orders')).status).toBe(200)
  })
})

describe('the idempotency key', () => {
  it.each([
    ['/v1/orders', newOrder],
    [paymentsPath, { paymentMethod: 'pm_card_visa' }],
    [cancellationPath, {}],
    [capturePath, {}],
    [voidPath, {}],
  ])('is asked for on %s, before the body is looked at', async (path, body) => {
    const { client, calls } = testApp()
    for (const sent of [JSON.stringify(body), '{nonsense']) {
      const request = client.post(path).auth(key, { type: 'bearer' }).set('Content-Type', 'application/json')
      expectProblem(await request.send(sent), 'idempotency-key-missing')
    }
    expect(calls).toEqual([])
  })

  it.each([
    ['empty', ''],
    ['empty in quotes', '""'],
    ['overlong', 'k'.repeat(256)],
    ['malformed', '"open'],
    ['two in one', 'a, b'],
  ])('%s: 400, and no operation is called', async (_what, value) => {
    const { post, calls } = testApp()
    expectProblem(await post('/v1/orders', value).send(newOrder), 'idempotency-key-malformed')
    expect(calls).toEqual([])
  })

  it('sent twice: 400, and no operation is called', async () => {
    const { post, calls } = testApp()
    const request = post('/v1/orders')
    // Superagent takes a list for one header per value; its types do not know it.
    Reflect.apply(request.set, request, ['Idempotency-Key', ['a', 'a']])
    expectProblem(await request.send(newOrder), 'idempotency-key-malformed')
    expect(calls).toEqual([])
  })

  it('255 characters reach the operation, unquoted', async () => {
    const { post, calls } = testApp()
    await post('/v1/orders', `"${'k'.repeat(255)}"`).send(newOrder)
    expect(calls[0]?.arguments[0]).toMatchObject({ key: 'k'.repeat(255) })
  })
})

describe('the body', () => {
  const json = 'application/json'
  it.each([
    ['half a body', json, '{"customerId":', 'malformed-json'],
    ['no JSON', json, 'customerId=1', 'malformed-json'],
    ['a trailing comma', json, '{"a":1,}', 'malformed-json'],
    ['white space alone', json, '  ', 'malformed-json'],
    ['a form', 'application/x-www-form-urlencoded', 'customerId=1', 'unsupported-media-type'],
    ['text', 'text/plain', JSON.stringify(newOrder), 'unsupported-media-type'],
    ['a type that only begins like it', 'application/json-patch+json', '[]', 'unsupported-media-type'],
    ['an unknown charset', 'application/json; charset=latin1', JSON.stringify(newOrder), 'unsupported-media-type'],
    ['UTF-16', 'application/json; charset=utf-16', JSON.stringify(newOrder), 'unsupported-media-type'],
    ['over the limit', json, JSON.stringify({ customerId: 'x'.repeat(16 * 1024) }), 'body-too-large'],
  ] as const)('%s is refused, and no operation is called', async (_what, type, body, code) => {
    const { post, calls } = testApp()
    expectProblem(await post('/v1/orders').set('Content-Type', type).send(body), code)
    expect(calls).toEqual([])
  })

  it('a body at the limit is read', async () => {
    const { post } = testApp()
    const text = JSON.stringify(newOrder).padEnd(16 * 1024)
    expect((await post('/v1/orders').set('Content-Type', json).send(text)).status).toBe(201)
    expectProblem(await post('/v1/orders').set('Content-Type', json).send(`${text} `), 'body-too-large')
  })

  it('without a content type it is refused', async () => {
    const { post, calls } = testApp()
    const request = post('/v1/orders').set('Content-Type', '')
    expectProblem(await request.send(JSON.stringify(newOrder)), 'unsupported-media-type')
    expect(calls).toEqual([])
  })

  it('compressed it is refused', async () => {
    const { post, calls } = testApp()
    const request = post('/v1/orders').set('Content-Type', json).set('Content-Encoding', 'gzip')
    expectProblem(await request.send(JSON.stringify(newOrder)), 'unsupported-media-type')
    expect(calls).toEqual([])
  })

  const without = ({ ...fields }: Record<string, unknown>, name: string) => {
    delete fields[name]
    return fields
  }
  it.each([
    ['nothing', undefined, ['customerId', 'amountMinor', 'currency']],
    ['null', null, ['']],
    ['a list', [newOrder], ['']],
    ['a number', 1, ['']],
    ['no amount', without(newOrder, 'amountMinor'), ['amountMinor']],
    ['a negative amount', { ...newOrder, amountMinor: -1 }, ['amountMinor']],
    ['nothing to pay', { ...newOrder, amountMinor: 0 }, ['amountMinor']],
    ['minus zero', '{"customerId":"c","amountMinor":-0,"currency":"EUR"}', ['amountMinor']],
    ['a fraction', { ...newOrder, amountMinor: 19.99 }, ['amountMinor']],
    ['a huge amount', { ...newOrder, amountMinor: 100_000_000 }, ['amountMinor']],
    ['an amount beyond every number', '{"customerId":"c","amountMinor":1e400,"currency":"EUR"}', ['amountMinor']],
    ['an amount as text', { ...newOrder, amountMinor: '1999' }, ['amountMinor']],
    ['an unknown currency', { ...newOrder, currency: 'XXX' }, ['currency']],
    ['a currency in lower case', { ...newOrder, currency: 'eur' }, ['currency']],
    ['an empty customer', { ...newOrder, customerId: '' }, ['customerId']],
    ['a customer as a number', { ...newOrder, customerId: 7 }, ['customerId']],
    ['a customer with a NUL in it', { ...newOrder, customerId: 'a\u0000' }, ['customerId']],
    ['half a surrogate pair', '{"customerId":"\\ud800","amountMinor":1999,"currency":"EUR"}', ['customerId']],
    ['an overlong customer', { ...newOrder, customerId: 'c'.repeat(129) }, ['customerId']],
    ['an unknown field', { ...newOrder, amount: 1999 }, ['amount']],
    ['a prototype', '{"customerId":"c","amountMinor":1999,"currency":"EUR","__proto__":{}}', ['__proto__']],
    ['several mistakes', { customerId: 'c', amountMinor: 0, currency: 'X' }, ['amountMinor', 'currency']],
  ])('%s is no order: it is said where, and no operation is called', async (_what, body, paths) => {
    const { post, calls } = testApp()
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
    const answer = await post('/v1/orders').set('Content-Type', json).send(text)
    expectProblem(answer, 'invalid-request')
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths)
    for (const { message } of answer.body.errors) expect(message).toMatch(/./)
    expect(calls).toEqual([])
  })

  it('nested beyond every stack is refused like any other unknown field', async () => {
    const { post, calls } = testApp()
    const depth = 4_000
    const body = `{"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`
    expectProblem(await post('/v1/orders').set('Content-Type', json).send(body), 'invalid-request')
    expect(calls).toEqual([])
  })

  it.each([
    ['the smallest amount', 50, 'EUR'],
    ['the largest amount', 99_999_999, 'EUR'],
    ['an amount of nine digits in rupiahs', 999_999_999, 'IDR'],
    ['whole krónur', 2_000, 'ISK'],
    ['dinars whose last digit is 0', 5_120, 'KWD'],
  ])('%s is taken', async (_what, amountMinor, currency) => {
    const { post } = testApp()
    expect((await post('/v1/orders').send({ ...newOrder, amountMinor, currency })).status).toBe(201)
  })

  it.each([
    [49, 'EUR', 'must be at least 50 (0.50 EUR)'],
    [100_000_000, 'EUR', 'must be at most 99999999 (999999.99 EUR)'],
    [1_999, 'ISK', 'must be a multiple of 100 in ISK, such as 1900 (19 ISK) or 2000 (20 ISK)'],
    [5_124, 'KWD', 'must be a multiple of 10 in KWD, such as 5120 (5.120 KWD) or 5130 (5.130 KWD)'],
    [1_000_000_000, 'IDR', 'must be at most 999999999 (9999999.99 IDR)'],
  ])(
    '%d %s is no amount of an order or subscription, and the answer names one',
    async (amountMinor, currency, message) => {
      const { post, calls } = testApp()
      for (const [path, body] of [
        ['/v1/orders', newOrder],
        ['/v1/subscriptions', newSubscription],
      ] as const) {
        const answer = await post(path).send({ ...body, amountMinor, currency })
        expectProblem(answer, 'invalid-request')
        expect(answer.body.errors).toEqual([{ path: 'amountMinor', message }])
      }
      expect(calls).toEqual([])
    },
  )

  it.each([
    ['no payment method', {}],
    ['a payment method of another kind', { paymentMethod: 'tok_visa' }],
    ['an amount beside it', { paymentMethod: 'pm_card_visa', amountMinor: 1 }],
    ['a capture of an unknown kind', { paymentMethod: 'pm_card_visa', capture: 'later' }],
  ])('%s is no payment, and no operation is called', async (_what, body) => {
    const { post, calls } = testApp()
    expectProblem(await post(paymentsPath).send(body), 'invalid-request')
    expect(calls).toEqual([])
  })

  it.each([cancellationPath, capturePath, voidPath])('%s takes nothing', async (path) => {
    const { post, calls } = testApp()
    expectProblem(await post(path).send({ amountMinor: 1 }), 'invalid-request')
    expect(calls).toEqual([])
  })

  it.each(['', 'ada', 'ada@example.com\r\nBcc: eve@example.com', `${'a'.repeat(65)}@example.com`, null])(
    'a receipt to %j is no order',
    async (receiptEmail) => {
      const { post, calls } = testApp()
      const answer = await post('/v1/orders').send({ ...newOrder, receiptEmail })
      expectProblem(answer, 'invalid-request')
      expect(answer.body.errors[0].path).toBe('receiptEmail')
      expect(calls).toEqual([])
    },
  )
})

describe('the path and the query', () => {
  it('an unknown order: 404, from the operation', async () => {
    const { post, get, calls } = testApp()
    const body = { paymentMethod: 'pm_card_visa' }
    expectProblem(await post(`/v1/orders/${unknownId}/payments`).send(body), 'order-not-found')
    expectProblem(await post(`/v1/orders/${unknownId}/cancellation`), 'order-not-found')
    expectProblem(await get(`/v1/orders/${unknownId}`), 'order-not-found')
    expectProblem(await get(`/v1/payments/${unknownId}`), 'payment-not-found')
    expectProblem(await post(`/v1/payments/${unknownId}/capture`), 'payment-not-found')
    expectProblem(await post(`/v1/payments/${unknownId}/void`), 'payment-not-found')
    expect(calls.map((call) => call.operation)).toEqual(
      'payOrder cancelOrder findOrder findPayment capturePayment voidPayment'.split(' '),
    )
  })

  it.each([
    ['no UUID', 'one'],
    ['a UUID in upper case', order.id.toUpperCase()],
    ['SQL', "'%3B--"],
  ])('%s is the same 404, and no operation is called', async (_what, id) => {
    const { post, get, calls } = testApp()
    const body = { paymentMethod: 'pm_card_visa' }
    expectProblem(await post(`/v1/orders/${id}/payments`).send(body), 'order-not-found')
    expectProblem(await post(`/v1/orders/${id}/cancellation`), 'order-not-found')
    expectProblem(await get(`/v1/orders/${id}`), 'order-not-found')
    expectProblem(await get(`/v1/payments/${id}`), 'payment-not-found')
    expectProblem(await post(`/v1/payments/${id}/capture`), 'payment-not-found')
    expect(calls).toEqual([])
  })

  it.each(['/', '/v1', '/v2/orders', '/v1/orders/', '/V1/orders', `/v1/orders/${order.id}/refunds`, '/v1/orders/%ZZ'])(
    '%s is not there, for nobody',
    async (path) => {
      const { client, calls } = testApp()
      expectProblem(await client.get(path), 'not-found')
      expectProblem(await client.post(path), 'not-found')
      expect(calls).toEqual([])
    },
  )

  it.each([
    ['put', '/v1/orders', 'GET, HEAD, POST'],
    ['delete', `/v1/orders/${order.id}`, 'GET, HEAD'],
    ['post', `/v1/orders/${order.id}`, 'GET, HEAD'],
    ['get', paymentsPath, 'POST'],
    ['patch', cancellationPath, 'POST'],
    ['options', '/v1/payments', 'GET, HEAD'],
    ['post', '/openapi.json', 'GET, HEAD'],
    ['post', '/metrics', 'GET, HEAD'],
    ['post', '/docs', 'GET, HEAD'],
  ] as const)('%s %s: 405 with what is allowed', async (method, path, allow) => {
    const { client, calls } = testApp()
    const answer = await client[method](path)
    expectProblem(answer, 'method-not-allowed')
    expect(answer.headers.allow?.split(', ').sort().join(', ')).toBe(allow)
    expect(calls).toEqual([])
  })

  it('HEAD is GET without the body', async () => {
    const { client } = testApp()
    const answer = await client.head(`/v1/orders/${order.id}`).auth(key, { type: 'bearer' })
    expect([answer.status, answer.text]).toEqual([200, undefined])
  })

  it.each([
    ['/v1/orders?limit=0', 'limit'],
    ['/v1/orders?limit=101', 'limit'],
    ['/v1/orders?limit=1e1', 'limit'],
    ['/v1/orders?limit=', 'limit'],
    ['/v1/orders?limit=1&limit=2', 'limit'],
    ['/v1/orders?cursor=', 'cursor'],
    ['/v1/orders?cursor=abc', 'cursor'],
    ['/v1/orders?offset=3', 'offset'],
    ['/v1/payments?orderId=one', 'orderId'],
    [`/v1/orders/${order.id}?verbose=1`, 'verbose'],
  ])('%s: 400 that names the parameter, and no operation is called', async (path, parameter) => {
    const { get, calls } = testApp()
    const answer = await get(path)
    expectProblem(answer, 'invalid-request')
    expect(answer.body.errors[0].path).toBe(parameter)
    expect(calls).toEqual([])
  })

  it('a command takes no query', async () => {
    const { post, calls } = testApp()
    expectProblem(await post('/v1/orders?currency=USD').send(newOrder), 'invalid-request')
    expect(calls).toEqual([])
  })
})

describe('what operations refuse or fail with', () => {
  const refusals: Refusal[] = [
    { code: 'order-already-paid', orderId: order.id, paymentId: payment.id },
    { code: 'order-cancelled', orderId: order.id },
    { code: 'order-managed', orderId: order.id },
    { code: 'payment-in-progress', orderId: order.id, retryAfterSeconds: 1 },
    { code: 'payment-authorized', orderId: order.id, paymentId: payment.id },
    { code: 'payment-in-review', orderId: order.id, paymentId: payment.id },
    { code: 'request-in-progress', retryAfterSeconds: 1 },
    { code: 'idempotency-key-reused' },
    { code: 'temporarily-unavailable', retryAfterSeconds: 3 },
  ]
  it.each(refusals)('$code', async (refusal) => {
    const { post, fake } = testApp()
    fake.next = { kind: 'refused', refusal }
    const answer = await post(paymentsPath).send({ paymentMethod: 'pm_card_visa' })
    expectProblem(answer, refusal.code)
    expect(answer.body).toMatchObject(refusal)
    const retryAfter = 'retryAfterSeconds' in refusal ? String(refusal.retryAfterSeconds) : undefined
    expect(answer.headers['retry-after']).toBe(retryAfter)
  })

  it('a fault: 500 without a word of it', async () => {
    const { post, fake } = testApp()
    fake.next = new Error('relation "orders" does not exist')
    const answer = await post('/v1/orders').send(newOrder)
    expectProblem(answer, 'internal')
    expect(answer.text).not.toContain('relation')
  })

  it('a database that is down: 503', async () => {
    const { post, fake } = testApp()
    fake.next = Object.assign(new Error('ECONNREFUSED'), { code: 'database-unavailable' })
    expectProblem(await post('/v1/orders').send(newOrder), 'temporarily-unavailable')
  })
})

it('every answer fits the schema that documents it', async () => {
  const { get, post } = testApp()
  const answers = [
    [schemas.order, await get(`/v1/orders/${order.id}`)],
    [schemas.order, await post('/v1/orders').send(newOrder)],
    [schemas.cancelledOrder, await post(cancellationPath)],
    [schemas.payment, await post(paymentsPath).send({ paymentMethod: 'pm_card_visa' })],
    [schemas.payment, await post(capturePath)],
    [schemas.payment, await post(voidPath)],
    [schemas.paymentWithHistory, await get(`/v1/payments/${payment.id}`)],
    [schemas.orderList, await get('/v1/orders')],
    [schemas.paymentList, await get('/v1/payments')],
  ] as const
  for (const [schema, { body }] of answers) expect(schema.safeParse(body)).toMatchObject({ success: true })
})
