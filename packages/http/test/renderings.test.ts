import type { Order, Payment, PaymentOutcome } from '@seatbelt/domain'
import { expect, it } from 'vitest'
import { problemKinds, recordedAnswer, refusalAnswer, renderings, unsettledAnswer } from '../src/index.ts'

const order: Order = {
  id: '0192f000-0000-7000-8000-00000000000a',
  accountId: '0192f000-0000-7000-8000-000000000001',
  customerId: 'customer-1',
  amountMinor: 1999,
  currency: 'EUR',
  state: 'pending',
  purpose: 'merchant',
  receiptEmail: 'ada@example.com',
  version: 3,
  createdAt: new Date('2026-11-20T10:00:00.000Z'),
}

const payment: Payment = {
  id: '0192f000-0000-7000-8000-00000000000b',
  accountId: order.accountId,
  orderId: order.id,
  amountMinor: 1999,
  currency: 'EUR',
  paymentMethod: 'pm_card_visa',
  state: 'processing',
  declineCode: null,
  declinedBy: null,
  gatewayIntentId: 'pi_1',
  capturedMinor: 0,
  refundedMinor: 0,
  refundPendingMinor: 0,
  disputeState: null,
  disputedMinor: 0,
  createdAt: new Date('2026-11-20T10:00:01.000Z'),
  authorizedAt: null,
  settledAt: new Date('2026-11-20T10:00:02.000Z'),
}

const succeeded = { state: 'succeeded', gatewayChargeId: 'ch_1', capturedMinor: 1_999 } as const

it('an order is recorded without what is inside: no account, no version', () => {
  expect(renderings.orderCreated(order)).toEqual({
    status: 201,
    location: '/v1/orders/0192f000-0000-7000-8000-00000000000a',
    body: '{"id":"0192f000-0000-7000-8000-00000000000a","customerId":"customer-1","amountMinor":1999,"currency":"EUR","state":"pending","receiptEmail":"ada@example.com","createdAt":"2026-11-20T10:00:00.000Z"}',
  })
})

it('a cancelled order is a 200 without a place of its own', () => {
  const { status, location, body } = renderings.orderCancelled({ ...order, state: 'cancelled' }, null)
  expect([status, location, JSON.parse(body).state]).toEqual([200, null, 'cancelled'])
})

it('a payment that succeeded is a 201 in the state of its outcome, without the ids that the gateway knows it by', () => {
  expect(renderings.paymentSettled(payment, succeeded, 'pay')).toEqual({
    status: 201,
    location: '/v1/payments/0192f000-0000-7000-8000-00000000000b',
    body: '{"id":"0192f000-0000-7000-8000-00000000000b","orderId":"0192f000-0000-7000-8000-00000000000a","amountMinor":1999,"currency":"EUR","paymentMethod":"pm_card_visa","state":"succeeded","declineCode":null,"declinedBy":null,"capturedMinor":0,"refundedMinor":0,"refundPendingMinor":0,"disputeState":null,"disputedMinor":0,"createdAt":"2026-11-20T10:00:01.000Z","authorizedAt":null,"settledAt":"2026-11-20T10:00:02.000Z"}',
  })
})

it('a declined payment is a 402 with the reason', () => {
  const recorded = renderings.paymentSettled(
    payment,
    { state: 'declined', declineCode: 'insufficient_funds', declinedBy: 'bank' },
    'pay',
  )
  expect([recorded.status, recorded.location]).toEqual([402, null])
  expect(JSON.parse(recorded.body)).toEqual({
    type: 'urn:seatbelt:problem:payment-declined',
    title: expect.any(String),
    status: 402,
    code: 'payment-declined',
    detail: expect.any(String),
    declineCode: 'insufficient_funds',
    paymentId: payment.id,
    orderId: order.id,
  })
})

it('a payment method that the gateway does not accept is a 422: the client can name another one', () => {
  const outcome = { state: 'declined', declineCode: 'resource_missing', declinedBy: 'payment-method' } as const
  const recorded = renderings.paymentSettled(payment, outcome, 'pay')
  expect(JSON.parse(recorded.body)).toMatchObject({
    status: 422,
    code: 'payment-method-refused',
    declineCode: 'resource_missing',
    paymentId: payment.id,
  })
})

it('a request of ours that the gateway refuses is a 424, which blames no card and does not show why', () => {
  const outcome = { state: 'declined', declineCode: 'parameter_unknown', declinedBy: 'gateway' } as const
  const recorded = renderings.paymentSettled(payment, outcome, 'pay')
  expect(JSON.parse(recorded.body)).toMatchObject({ status: 424, code: 'gateway-refused-request', orderId: order.id })
  expect(recorded.body).not.toContain('parameter_unknown')
})

it('a cancelled payment is a 402 of its own', () => {
  const recorded = renderings.paymentSettled(payment, { state: 'cancelled' }, 'pay')
  expect(JSON.parse(recorded.body)).toMatchObject({ status: 402, code: 'payment-cancelled', paymentId: payment.id })
})

interface StepAnswer {
  readonly step: 'pay' | 'capture' | 'void'
  readonly outcome: PaymentOutcome
  readonly status: number
  readonly says: object
}

it.each<StepAnswer>([
  { step: 'pay', outcome: { state: 'authorized' }, status: 201, says: { state: 'authorized' } },
  { step: 'capture', outcome: succeeded, status: 200, says: { state: 'succeeded' } },
  { step: 'void', outcome: { state: 'voided', declineCode: null }, status: 200, says: { state: 'voided' } },
  {
    ...{ step: 'capture', outcome: { state: 'voided', declineCode: 'charge_expired_for_capture' }, status: 402 },
    says: { code: 'payment-voided', declineCode: 'charge_expired_for_capture' },
  },
  { step: 'void', outcome: succeeded, status: 409, says: { code: 'payment-captured' } },
])('a $step whose payment is $outcome.state in the end is a $status', ({ step, outcome, status, says }) => {
  const recorded = renderings.paymentSettled(payment, outcome, step)
  expect(recorded.status).toBe(status)
  expect(JSON.parse(recorded.body)).toMatchObject(says)
  expect(recorded.location).toBe(status === 201 ? `/v1/payments/${payment.id}` : null)
})

it('a recorded answer is sent with the same bytes, as a problem where it is one, and says when it is a replay', () => {
  const body = '{ "spaces":  "kept" }'
  expect(recordedAnswer({ status: 201, body, location: '/v1/x' }, true)).toEqual({
    status: 201,
    contentType: 'application/json',
    headers: { 'Idempotency-Key-Lifetime': '86400', Location: '/v1/x', 'Idempotent-Replayed': 'true' },
    body,
  })
  expect(recordedAnswer({ status: 402, body, location: null }, false)).toEqual({
    status: 402,
    contentType: 'application/problem+json',
    headers: { 'Idempotency-Key-Lifetime': '86400' },
    body,
  })
})

it('a refusal tells its members, and when to come again', () => {
  const answer = refusalAnswer({ code: 'payment-in-progress', orderId: order.id, retryAfterSeconds: 2 })
  expect([answer.status, answer.headers]).toEqual([409, { 'Retry-After': '2' }])
  expect(JSON.parse(answer.body)).toMatchObject({
    code: 'payment-in-progress',
    orderId: order.id,
    retryAfterSeconds: 2,
  })
})

it('an outcome that is being found out says when to ask again, unless an operator must look first', () => {
  const ask = { Location: '/v1/payments/1', 'Retry-After': '1' }
  expect(unsettledAnswer({}, '/v1/payments/1', false)).toMatchObject({ status: 202, headers: ask })
  expect(unsettledAnswer({}, '/v1/payments/1', true).headers).toEqual({ Location: '/v1/payments/1' })
})

it('what a refusal carries besides its named members stays inside', () => {
  const refusal = { code: 'order-cancelled', orderId: order.id, cancelledBy: 'somebody' } as const
  expect(JSON.parse(refusalAnswer(refusal).body)).not.toHaveProperty('cancelledBy')
})

it('every problem has a status that says whose mistake it is, and a title', () => {
  for (const [code, { status, title }] of Object.entries(problemKinds)) {
    expect(status, code).toBeGreaterThanOrEqual(400)
    expect(title, code).not.toBe('')
  }
})
