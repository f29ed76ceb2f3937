import type { Refusal } from '@seatbelt/domain'
import {
  decodeCursor,
  defineCommand,
  defineQuery,
  encodeCursor,
  jsonAnswer,
  nothing,
  type Operation,
  paymentBody,
  paymentEventBody,
  refusalAnswer,
} from '@seatbelt/http'
import type { PaymentOperations } from '@seatbelt/payments'
import { resultAnswer } from '../result-answer.ts'
import {
  newPayment,
  orderPath,
  payment,
  paymentList,
  paymentPage,
  paymentPath,
  paymentWithHistory,
} from '../schemas.ts'
import { orderNotFound } from './orders.ts'

type Payments = Pick<PaymentOperations, 'payOrder' | 'findPayment' | 'listPayments'>

/** The tries to collect what is owed: started, looked at. */
export function paymentRoutes(operations: Payments): Operation[] {
  return [payOrder(operations), listPayments(operations), getPayment(operations)]
}

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
      201: { description: 'The payment, succeeded', schema: payment },
      202: { description: 'The payment, not settled yet', schema: payment },
    },
    problems: [
      'payment-declined',
      'payment-cancelled',
      'order-not-found',
      'order-already-paid',
      'order-cancelled',
      'payment-in-progress',
    ],
    handle: async ({ call, params: { orderId }, body: { paymentMethod } }) =>
      resultAnswer(await operations.payOrder(call, { orderId, paymentMethod })),
  })
}

function listPayments(operations: Payments): Operation {
  return defineQuery({
    path: '/v1/payments',
    operationId: 'listPayments',
    tag: 'Payments',
    summary: 'List the payments of the account, or of one order',
    params: nothing,
    query: paymentPage,
    answers: { 200: { description: 'A page of payments', schema: paymentList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor, orderId = null } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listPayments(accountId, { limit, after, orderId })
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
      if (found === null) return refusalAnswer(paymentNotFound({ paymentId }))
      return jsonAnswer(200, { ...paymentBody(found.payment), history: found.events.map(paymentEventBody) })
    },
  })
}

function paymentNotFound({ paymentId = '' }: { readonly paymentId?: string }): Refusal {
  return { code: 'payment-not-found', paymentId }
}
