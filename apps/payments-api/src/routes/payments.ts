import type { Refusal } from '@seatbelt/domain'
import {
  type Answer,
  decodeCursor,
  defineCommand,
  defineQuery,
  disputeBody,
  encodeCursor,
  jsonAnswer,
  nothing,
  type Operation,
  paymentBody,
  paymentEventBody,
  refusalAnswer,
} from '@seatbelt/http'
import type { PaymentOperations, PaymentWithHistory } from '@seatbelt/payments'
import { resultAnswer } from '../result-answer.ts'
import {
  emptyBody,
  newPayment,
  orderPath,
  payment,
  paymentList,
  paymentPage,
  paymentPath,
  paymentWithHistory,
} from '../schemas.ts'
import { orderNotFound } from './orders.ts'

type Payments = Pick<
  PaymentOperations,
  'reviewPayment' | 'payOrder' | 'capturePayment' | 'voidPayment' | 'findPayment' | 'listPayments'
>

/** The tries to collect what is owed: started, captured or voided, looked at. */
export function paymentRoutes(operations: Payments): Operation[] {
  return [
    payOrder(operations),
    capturePayment(operations),
    voidPayment(operations),
    reviewPayment(operations),
    listPayments(operations),
    getPayment(operations),
  ]
}

/** Of every request that pays an order, also where the order is an invoice's. */
export const problemsOfPaying = [
  'payment-declined',
  'payment-cancelled',
  'payment-method-refused',
  'gateway-refused-request',
  'gateway-forbids-operation',
  'order-already-paid',
  'order-blocked',
  'order-cancelled',
  'order-managed',
  'payment-authorized',
  'payment-in-review',
  'payment-in-progress',
] as const

function payOrder(operations: Payments): Operation {
  return defineCommand({
    path: '/v1/orders/:orderId/payments',
    operationId: 'payOrder',
    tag: 'Payments',
    summary: 'Pay an order',
    description:
      'Charges the payment method once, however often this is sent with one key, and at most one payment of an order whatever the keys. 202 says that the gateway has not told the outcome yet: it is not recorded, and the same request gets the outcome later.',
    params: orderPath,
    unknownId: orderNotFound,
    body: newPayment,
    answers: {
      201: { description: 'The payment, succeeded, or authorized where only a hold was asked for', schema: payment },
      202: { description: 'The payment, not settled yet', schema: payment },
    },
    problems: ['order-not-found', 'too-many-declines', ...problemsOfPaying],
    handle: async ({ call, params: { orderId }, body }) =>
      resultAnswer(await operations.payOrder(call, { orderId, ...body })),
  })
}

function capturePayment(operations: Payments): Operation {
  return defineCommand({
    path: '/v1/payments/:paymentId/capture',
    operationId: 'capturePayment',
    tag: 'Payments',
    summary: 'Take the amount that is on hold',
    description: 'Of capturing and voiding one happens, and once. The body is the empty object, or none.',
    params: paymentPath,
    unknownId: paymentNotFound,
    body: emptyBody,
    answers: {
      200: { description: 'The payment, succeeded', schema: payment },
      202: { description: 'The payment, not settled yet', schema: payment },
    },
    problems: [
      'payment-voided',
      'payment-not-found',
      'order-managed',
      'payment-not-authorized',
      'payment-in-review',
      'payment-in-progress',
      'gateway-forbids-operation',
    ],
    handle: async ({ call, params: { paymentId } }) => resultAnswer(await operations.capturePayment(call, paymentId)),
  })
}

function voidPayment(operations: Payments): Operation {
  return defineCommand({
    path: '/v1/payments/:paymentId/void',
    operationId: 'voidPayment',
    tag: 'Payments',
    summary: 'Give back the amount that is on hold',
    description: 'The order can be paid anew afterwards. The body is the empty object, or none.',
    params: paymentPath,
    unknownId: paymentNotFound,
    body: emptyBody,
    answers: {
      200: { description: 'The payment, voided', schema: payment },
      202: { description: 'The payment, not settled yet', schema: payment },
    },
    problems: [
      'payment-captured',
      'payment-not-found',
      'order-managed',
      'payment-not-authorized',
      'payment-in-review',
      'payment-in-progress',
      'gateway-forbids-operation',
    ],
    handle: async ({ call, params: { paymentId } }) => resultAnswer(await operations.voidPayment(call, paymentId)),
  })
}

/**
 * It binds its key to nothing. Its settle is recorded under the key that started it; what it answers is how the
 * payment stands, and who asks again wants to know that anew.
 */
function reviewPayment(operations: Payments): Operation {
  return defineCommand({
    path: '/v1/payments/:paymentId/review',
    operationId: 'reviewPayment',
    tag: 'Payments',
    summary: 'Look now at a payment that waits for a person',
    description:
      'Asks the gateway what became of a payment in needs_review, without waiting for the hourly look, and answers how it stands then. The key is not recorded: each request looks. The body is the empty object, or none.',
    params: paymentPath,
    unknownId: paymentNotFound,
    body: emptyBody,
    answers: { 200: { description: 'The payment, and what was done for it', schema: paymentWithHistory } },
    problems: ['payment-not-found', 'payment-not-in-review'],
    handle: async ({ call: { accountId }, params: { paymentId } }) => {
      const result = await operations.reviewPayment(accountId, paymentId)
      return result.kind === 'refused' ? refusalAnswer(result.refusal) : historyAnswer(result.subject)
    },
  })
}

function listPayments(operations: Payments): Operation {
  return defineQuery({
    path: '/v1/payments',
    operationId: 'listPayments',
    tag: 'Payments',
    summary: 'List the payments of the account, of one order, or of one state',
    params: nothing,
    query: paymentPage,
    answers: { 200: { description: 'A page of payments', schema: paymentList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor, orderId = null, state = null } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listPayments(accountId, { limit, after, orderId, state })
      return jsonAnswer(200, { items: items.map(paymentBody), nextCursor: next === null ? null : encodeCursor(next) })
    },
  })
}

function getPayment(operations: Payments): Operation {
  return defineQuery({
    path: '/v1/payments/:paymentId',
    operationId: 'getPayment',
    tag: 'Payments',
    summary: 'Look at a payment and its history',
    params: paymentPath,
    unknownId: paymentNotFound,
    query: nothing,
    answers: { 200: { description: 'The payment, and what was done for it', schema: paymentWithHistory } },
    problems: ['payment-not-found'],
    handle: async ({ accountId, params: { paymentId } }) => {
      const found = await operations.findPayment(accountId, paymentId)
      return found === null ? refusalAnswer(paymentNotFound({ paymentId })) : historyAnswer(found)
    },
  })
}

function historyAnswer({ payment, disputes, events }: PaymentWithHistory): Answer {
  return jsonAnswer(200, {
    ...paymentBody(payment),
    disputes: disputes.map(disputeBody),
    history: events.map(paymentEventBody),
  })
}

export function paymentNotFound({ paymentId = '' }: { readonly paymentId?: string }): Refusal {
  return { code: 'payment-not-found', paymentId }
}
