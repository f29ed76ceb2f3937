import type { Refusal } from '@seatbelt/domain'
import {
  decodeCursor,
  defineCommand,
  defineQuery,
  encodeCursor,
  invoiceBody,
  jsonAnswer,
  nothing,
  type Operation,
  refusalAnswer,
  subscriptionBody,
} from '@seatbelt/http'
import type { SubscriptionOperations } from '@seatbelt/payments'
import { resultAnswer } from '../result-answer.ts'
import {
  changedSubscription,
  emptyBody,
  gatewayCustomer,
  invoicePath,
  newGatewayCustomer,
  newPaymentMethod,
  newSubscription,
  payment,
  subscription,
  subscriptionList,
  subscriptionPage,
  subscriptionPath,
  subscriptionWithInvoices,
} from '../schemas.ts'
import { problemsOfPaying } from './payments.ts'

/** What a customer agreed to be charged again and again. The billing run does the charging. */
export function subscriptionRoutes(operations: SubscriptionOperations): Operation[] {
  return [
    registerGatewayCustomer(operations),
    createSubscription(operations),
    listSubscriptions(operations),
    getSubscription(operations),
    cancelSubscription(operations),
    changePaymentMethod(operations),
    payInvoice(operations),
  ]
}

function registerGatewayCustomer(operations: SubscriptionOperations): Operation {
  return defineCommand({
    path: '/v1/gateway-customers',
    operationId: 'registerGatewayCustomer',
    tag: 'Subscriptions',
    summary: 'Create or register a customer of the gateway',
    description:
      'A subscription charges a customer of the gateway, who belongs to one account for good. Without `gatewayCustomerId` a new customer is created there, with your account in its metadata; your own page then attaches a payment method to it. An existing customer is registered if its metadata at the gateway name your account (`accountId`); subscriptions of it that were paused are active again.',
    params: nothing,
    body: newGatewayCustomer,
    answers: { 201: { description: 'The customer, who is yours', schema: gatewayCustomer } },
    problems: ['gateway-customer-not-found', 'gateway-refused-request', 'gateway-forbids-operation'],
    handle: async ({ call, body: { gatewayCustomerId = null, customerId } }) =>
      resultAnswer(await operations.registerGatewayCustomer(call, { customerId, gatewayCustomerId })),
  })
}

function createSubscription(operations: SubscriptionOperations): Operation {
  return defineCommand({
    path: '/v1/subscriptions',
    operationId: 'createSubscription',
    tag: 'Subscriptions',
    summary: 'Create a subscription',
    description:
      'The customer of the gateway was created or registered here, and your own page, which alone sees cards, has attached the payment method to it; it is charged while the customer is away. Nothing is charged by this request: the billing run does so at the next full hour after a period falls due.',
    params: nothing,
    body: newSubscription,
    answers: { 201: { description: 'The subscription, active', schema: subscription } },
    problems: ['gateway-customer-not-found'],
    handle: async ({ call, body: { receiptEmail = null, anchor = null, ...asked } }) =>
      resultAnswer(await operations.createSubscription(call, { ...asked, receiptEmail, anchor })),
  })
}

function listSubscriptions(operations: SubscriptionOperations): Operation {
  return defineQuery({
    path: '/v1/subscriptions',
    operationId: 'listSubscriptions',
    tag: 'Subscriptions',
    summary: 'List the subscriptions of the account',
    params: nothing,
    query: subscriptionPage,
    answers: { 200: { description: 'A page of subscriptions', schema: subscriptionList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listSubscriptions(accountId, { limit, after })
      return jsonAnswer(200, {
        items: items.map(subscriptionBody),
        nextCursor: next === null ? null : encodeCursor(next),
      })
    },
  })
}

function getSubscription(operations: SubscriptionOperations): Operation {
  return defineQuery({
    path: '/v1/subscriptions/:subscriptionId',
    operationId: 'getSubscription',
    tag: 'Subscriptions',
    summary: 'Look at a subscription and its latest invoices',
    params: subscriptionPath,
    unknownId: subscriptionNotFound,
    query: nothing,
    answers: {
      200: { description: 'The subscription, and its latest twelve invoices', schema: subscriptionWithInvoices },
    },
    problems: ['subscription-not-found'],
    handle: async ({ accountId, params: { subscriptionId } }) => {
      const found = await operations.findSubscription(accountId, subscriptionId)
      if (found === null) return refusalAnswer(subscriptionNotFound({ subscriptionId }))
      return jsonAnswer(200, { ...subscriptionBody(found.subscription), invoices: found.invoices.map(invoiceBody) })
    },
  })
}

function cancelSubscription(operations: SubscriptionOperations): Operation {
  return defineCommand({
    path: '/v1/subscriptions/:subscriptionId/cancellation',
    operationId: 'cancelSubscription',
    tag: 'Subscriptions',
    summary: 'Cancel a subscription for good',
    description:
      'It stands from this request on: no charge begins, and what is open is given up. A charge that is under way is cancelled at the gateway. 200 says that it is over, and `paymentId` names the payment if it had taken the money: refund it. 202 says that this is not known yet: the same request gets the answer later. The body is the empty object, or none.',
    params: subscriptionPath,
    unknownId: subscriptionNotFound,
    body: emptyBody,
    answers: {
      200: { description: 'The subscription, cancelled', schema: changedSubscription },
      202: { description: 'The payment that was under way, not settled yet', schema: payment },
    },
    problems: ['subscription-not-found', 'subscription-cancelled'],
    handle: async ({ call, params: { subscriptionId } }) =>
      resultAnswer(await operations.cancelSubscription(call, subscriptionId)),
  })
}

function changePaymentMethod(operations: SubscriptionOperations): Operation {
  return defineCommand({
    path: '/v1/subscriptions/:subscriptionId/payment-method',
    operationId: 'changePaymentMethod',
    tag: 'Subscriptions',
    summary: 'Charge another payment method from now on',
    description:
      'It must be attached to the same customer of the gateway. A charge of the former method that is under way is cancelled at the gateway, and answered as by a cancellation. An open invoice is tried with it in the next run, and another method begins without declines. One that was past due becomes active; what it missed follows its `missedPeriods`.',
    params: subscriptionPath,
    unknownId: subscriptionNotFound,
    body: newPaymentMethod,
    answers: {
      200: { description: 'The subscription, active', schema: changedSubscription },
      202: { description: 'The payment with the former method that was under way, not settled yet', schema: payment },
    },
    problems: ['subscription-not-found', 'subscription-cancelled'],
    handle: async ({ call, params: { subscriptionId }, body: { paymentMethod } }) =>
      resultAnswer(await operations.changePaymentMethod(call, { subscriptionId, paymentMethod })),
  })
}

function payInvoice(operations: SubscriptionOperations): Operation {
  return defineCommand({
    path: '/v1/invoices/:invoiceId/payments',
    operationId: 'payInvoice',
    tag: 'Subscriptions',
    summary: 'Pay an open invoice now',
    description:
      'Charges the payment method of its subscription, also where the next try is later, or where no run tries any more. A subscription that is past due is active again when its invoice is paid. The answers are those of paying an order. The body is the empty object, or none.',
    params: invoicePath,
    unknownId: ({ invoiceId = '' }) => ({ code: 'invoice-not-found', invoiceId }),
    body: emptyBody,
    answers: {
      201: { description: 'The payment, succeeded', schema: payment },
      202: { description: 'The payment, not settled yet', schema: payment },
    },
    problems: ['invoice-not-found', 'gateway-customer-not-found', 'subscription-cancelled', ...problemsOfPaying],
    handle: async ({ call, params: { invoiceId } }) => resultAnswer(await operations.payInvoice(call, invoiceId)),
  })
}

function subscriptionNotFound({ subscriptionId = '' }: { readonly subscriptionId?: string }): Refusal {
  return { code: 'subscription-not-found', subscriptionId }
}
