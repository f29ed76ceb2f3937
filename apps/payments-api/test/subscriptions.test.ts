import { describe, expect, it } from 'vitest'
import {
  gatewayCustomer,
  subscriptionList,
  subscription as subscriptionSchema,
  subscriptionWithInvoices,
} from '../src/index.ts'
import { invoice, subscription } from './fake-subscription-operations.ts'
import { foreignKey, testApp } from './test-app.ts'

const asked = {
  customerId: 'customer-1',
  gatewayCustomerId: 'cus_1',
  paymentMethod: 'pm_1',
  amountMinor: 900,
  currency: 'EUR',
  interval: { unit: 'month', count: 1 },
  timeZone: 'Europe/Berlin',
  anchor: '2026-01-31T09:00:00',
}

describe('POST /v1/subscriptions', () => {
  it('creates one, and shows it as documented', async () => {
    const { post, calls } = testApp()
    const response = await post('/v1/subscriptions').send(asked)
    expect(response.status).toBe(201)
    expect(response.headers.location).toBe(`/v1/subscriptions/${subscription.id}`)
    expect(subscriptionSchema.parse(response.body)).toMatchObject({ state: 'active', anchor: '2026-01-31T09:00:00' })
    expect(calls[0]?.arguments[1]).toEqual({ ...asked, receiptEmail: null, missedPeriods: 'collect' })
  })

  it('begins now when it is told no anchor', async () => {
    const { post, calls } = testApp()
    const { anchor: _, ...now } = asked
    expect((await post('/v1/subscriptions').send(now)).status).toBe(201)
    expect(calls[0]?.arguments[1]).toMatchObject({ anchor: null })
  })

  it.each([
    ['interval.count', { interval: { unit: 'month', count: 0 } }],
    ['interval.count', { interval: { unit: 'month', count: -1 } }],
    ['interval.count', { interval: { unit: 'month', count: 1.5 } }],
    ['interval.count', { interval: { unit: 'month', count: 37 } }],
    ['interval.count', { interval: { unit: 'day', count: 366 } }],
    ['interval.count', { interval: { unit: 'year', count: 4 } }],
    ['interval.count', { interval: { unit: 'week', count: '1' } }],
    ['interval.unit', { interval: { unit: 'fortnight', count: 1 } }],
    ['interval.count', { interval: { unit: 'month' } }],
    ['interval.days', { interval: { unit: 'month', count: 1, days: 3 } }],
    ['interval', { interval: 'P1M' }],
    ['timeZone', { timeZone: 'Foo+3' }],
    ['timeZone', { timeZone: '+03:00' }],
    ['timeZone', { timeZone: 'europe/berlin' }],
    ['timeZone', { timeZone: 'PST' }],
    ['timeZone', { timeZone: '' }],
    ['timeZone', { timeZone: 3 }],
    ['anchor', { anchor: '2026-02-30T09:00:00' }],
    ['anchor', { anchor: '2026-02-29T09:00:00' }],
    ['anchor', { anchor: '2026-01-31T24:00:00' }],
    ['anchor', { anchor: '2026-01-31' }],
    ['anchor', { anchor: '2026-01-31T09:00:00Z' }],
    ['anchor', { anchor: '1999-12-31T09:00:00' }],
    ['anchor', { anchor: '2100-01-01T00:00:00' }],
    ['anchor', { anchor: null }],
    ['gatewayCustomerId', { gatewayCustomerId: 'customer-1' }],
    ['paymentMethod', { paymentMethod: 'card' }],
    ['amountMinor', { amountMinor: 0 }],
    ['currency', { currency: 'eur' }],
    ['receiptEmail', { receiptEmail: 'nobody' }],
    ['missedPeriods', { missedPeriods: 'forgive' }],
    ['trialDays', { trialDays: 30 }],
  ])('names %s when it is told %j, and does nothing', async (path, wrong) => {
    const { post, calls } = testApp()
    const response = await post('/v1/subscriptions').send({ ...asked, ...wrong })
    expect(response.status).toBe(400)
    expect(response.body).toMatchObject({ code: 'invalid-request' })
    expect(response.body.errors.map((error: { path: string }) => error.path)).toEqual([path])
    expect(calls).toEqual([])
  })
})

describe('POST /v1/gateway-customers', () => {
  it('creates a customer, or registers the one that is named', async () => {
    const { post, calls } = testApp()
    const response = await post('/v1/gateway-customers').send({ customerId: 'customer-1' })
    expect({ status: response.status, body: gatewayCustomer.parse(response.body).id }).toEqual({
      status: 201,
      body: 'cus_1',
    })
    await post('/v1/gateway-customers').send({ customerId: 'customer-1', gatewayCustomerId: 'cus_2' })
    expect(calls.map(({ arguments: [, asked] }) => asked)).toEqual([
      { customerId: 'customer-1', gatewayCustomerId: null },
      { customerId: 'customer-1', gatewayCustomerId: 'cus_2' },
    ])
  })
})

describe('POST /v1/invoices/{id}/payments', () => {
  it('pays the invoice, and knows none of another account', async () => {
    const { post } = testApp()
    const paid = await post(`/v1/invoices/${invoice.id}/payments`)
    expect({ status: paid.status, state: paid.body.state }).toEqual({ status: 201, state: 'succeeded' })
    const unknown = await post('/v1/invoices/0192f000-0000-7000-8000-0000000000ff/payments')
    expect({ status: unknown.status, code: unknown.body.code }).toEqual({ status: 404, code: 'invoice-not-found' })
  })
})

describe('a subscription', () => {
  const path = `/v1/subscriptions/${subscription.id}`

  it('is shown with its latest invoices', async () => {
    const { get } = testApp()
    const { body } = await get(path)
    expect(subscriptionWithInvoices.parse(body).invoices).toMatchObject([{ period: 0, state: 'paid', nextTryAt: null }])
  })

  it('is listed in pages', async () => {
    const { get, calls } = testApp()
    const first = subscriptionList.parse((await get('/v1/subscriptions?limit=1')).body)
    const second = subscriptionList.parse((await get(`/v1/subscriptions?limit=1&cursor=${first.nextCursor}`)).body)
    expect(second.nextCursor).toBeNull()
    expect(calls.map(({ arguments: args }) => args[1])).toEqual([
      { limit: 1, after: null },
      { limit: 1, after: subscription.id },
    ])
  })

  it('falls due no more when it was cancelled', async () => {
    const { post } = testApp()
    const { status, body } = await post(`${path}/cancellation`).send({})
    expect({ status, state: body.state, nextDueAt: body.nextDueAt }).toEqual({
      status: 200,
      state: 'cancelled',
      nextDueAt: null,
    })
  })

  it('takes another payment method', async () => {
    const { post } = testApp()
    const { status, body } = await post(`${path}/payment-method`).send({ paymentMethod: 'pm_2' })
    expect({ status, paymentMethod: body.paymentMethod }).toEqual({ status: 200, paymentMethod: 'pm_2' })
    expect((await post(`${path}/payment-method`).send({})).body.errors).toMatchObject([{ path: 'paymentMethod' }])
  })

  it.each(['', '/cancellation', '/payment-method'])('of another account is not found%s', async (rest) => {
    const { client } = testApp()
    const request = rest === '' ? client.get(path) : client.post(path + rest).set('Idempotency-Key', 'key-1')
    const body = rest === '/payment-method' ? { paymentMethod: 'pm_2' } : {}
    const response = await request.auth(foreignKey, { type: 'bearer' }).send(rest === '' ? undefined : body)
    expect({ status: response.status, code: response.body.code }).toEqual({
      status: 404,
      code: 'subscription-not-found',
    })
  })

  it('is changed under an idempotency key only', async () => {
    const { client, calls } = testApp()
    const response = await client.post('/v1/subscriptions').auth('key-of-the-shop', { type: 'bearer' }).send(asked)
    expect({ status: response.status, code: response.body.code }).toEqual({
      status: 400,
      code: 'idempotency-key-missing',
    })
    expect(calls).toEqual([])
  })
})
