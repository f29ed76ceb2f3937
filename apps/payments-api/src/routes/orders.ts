import type { Refusal } from '@seatbelt/domain'
import {
  decodeCursor,
  defineCommand,
  defineQuery,
  encodeCursor,
  jsonAnswer,
  nothing,
  type Operation,
  orderBody,
  refusalAnswer,
} from '@seatbelt/http'
import type { PaymentOperations } from '@seatbelt/payments'
import { resultAnswer } from '../result-answer.ts'
import { cancelledOrder, emptyBody, newOrder, order, orderList, orderPage, orderPath, payment } from '../schemas.ts'

type Orders = Pick<PaymentOperations, 'createOrder' | 'cancelOrder' | 'findOrder' | 'listOrders'>

/** What a customer owes: made, looked at, cancelled. */
export function orderRoutes(operations: Orders): Operation[] {
  return [createOrder(operations), listOrders(operations), getOrder(operations), cancelOrder(operations)]
}

function createOrder(operations: Orders): Operation {
  return defineCommand({
    path: '/v1/orders',
    operationId: 'createOrder',
    tag: 'Orders',
    summary: 'Create an order',
    params: nothing,
    body: newOrder,
    answers: { 201: { description: 'The order, pending', schema: order } },
    problems: [],
    handle: async ({ call, body }) =>
      resultAnswer(await operations.createOrder(call, { ...body, receiptEmail: body.receiptEmail ?? null })),
  })
}

function listOrders(operations: Orders): Operation {
  return defineQuery({
    path: '/v1/orders',
    operationId: 'listOrders',
    tag: 'Orders',
    summary: 'List the orders of the account',
    params: nothing,
    query: orderPage,
    answers: { 200: { description: 'A page of orders', schema: orderList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listOrders(accountId, { limit, after })
      return jsonAnswer(200, { items: items.map(orderBody), nextCursor: next === null ? null : encodeCursor(next) })
    },
  })
}

function getOrder(operations: Orders): Operation {
  return defineQuery({
    path: '/v1/orders/:orderId',
    operationId: 'getOrder',
    tag: 'Orders',
    summary: 'Look at an order',
    params: orderPath,
    unknownId: orderNotFound,
    query: nothing,
    answers: { 200: { description: 'The order', schema: order } },
    problems: ['order-not-found'],
    handle: async ({ accountId, params: { orderId } }) => {
      const found = await operations.findOrder(accountId, orderId)
      return found === null ? refusalAnswer(orderNotFound({ orderId })) : jsonAnswer(200, orderBody(found))
    },
  })
}

function cancelOrder(operations: Orders): Operation {
  return defineCommand({
    path: '/v1/orders/:orderId/cancellation',
    operationId: 'cancelOrder',
    tag: 'Orders',
    summary: 'Cancel an order that no request is paying',
    description:
      'If the request that paid it got 202, or broke off, its payment is cancelled at the gateway. 200 says what came of that: the order is cancelled; or it is paid, and `paymentId` names the payment that took the money. 202 says that this is not known yet: the order cannot be paid anew, and the same request gets the answer later. The body is the empty object, or none.',
    params: orderPath,
    unknownId: orderNotFound,
    body: emptyBody,
    answers: {
      200: { description: 'The order, cancelled; or paid, where its money had been taken', schema: cancelledOrder },
      202: { description: 'Its payment, not settled yet', schema: payment },
    },
    problems: [
      'order-not-found',
      'order-already-paid',
      'order-blocked',
      'order-cancelled',
      'order-managed',
      'payment-authorized',
      'payment-in-review',
      'payment-in-progress',
    ],
    handle: async ({ call, params: { orderId } }) => resultAnswer(await operations.cancelOrder(call, orderId)),
  })
}

export function orderNotFound({ orderId = '' }: { readonly orderId?: string }): Refusal {
  return { code: 'order-not-found', orderId }
}
