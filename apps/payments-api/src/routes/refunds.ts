import type { Refusal } from '@seatbelt/domain'
import {
  decodeCursor,
  defineCommand,
  defineQuery,
  encodeCursor,
  jsonAnswer,
  nothing,
  type Operation,
  refundBody,
  refusalAnswer,
} from '@seatbelt/http'
import type { PaymentOperations } from '@seatbelt/payments'
import { refundAnswer } from '../result-answer.ts'
import {
  emptyBody,
  newRefund,
  paymentPath,
  refund,
  refundList,
  refundPage,
  refundPath,
  refundStatePage,
} from '../schemas.ts'
import { paymentNotFound } from './payments.ts'

type Refunds = Pick<
  PaymentOperations,
  'refundPayment' | 'reviewRefund' | 'findRefund' | 'listRefunds' | 'listAllRefunds'
>

/** What is given back of what was taken: asked for, looked at. */
export function refundRoutes(operations: Refunds): Operation[] {
  return [
    refundPayment(operations),
    reviewRefund(operations),
    listRefunds(operations),
    listAllRefunds(operations),
    getRefund(operations),
  ]
}

function refundPayment(operations: Refunds): Operation {
  return defineCommand({
    path: '/v1/payments/:paymentId/refunds',
    operationId: 'refundPayment',
    tag: 'Refunds',
    summary: 'Give back what a payment took, or a part of it',
    description:
      'Refunds of a payment never exceed it together, those under way included. A refund that the bank takes its time for is answered 201 and pending: look at it later. One that succeeded can still fail days later, when the bank sends the money back; then it is reversed. A refund that fails is answered 402; `retryable` says whether another request can succeed, and `refundableMinor` what is left. 202 is as for payments.',
    params: paymentPath,
    unknownId: paymentNotFound,
    body: newRefund,
    bodyMissing: 'Send an object: {} gives back all that is left, {"amountMinor":100} a part.',
    answers: {
      201: { description: 'The refund, succeeded or pending', schema: refund },
      202: { description: 'The refund, not settled yet', schema: refund },
    },
    problems: [
      'refund-failed',
      'gateway-forbids-operation',
      'payment-not-found',
      'payment-not-refundable',
      'order-blocked',
      'refund-exceeds-payment',
      'payment-disputed',
      'refund-between-units',
      'too-many-refunds',
      'payment-in-progress',
    ],
    handle: async ({ call, params: { paymentId }, body: { amountMinor = null, reason = null } }) =>
      refundAnswer(await operations.refundPayment(call, { paymentId, amountMinor, reason })),
  })
}

function listRefunds(operations: Refunds): Operation {
  return defineQuery({
    path: '/v1/payments/:paymentId/refunds',
    operationId: 'listRefunds',
    tag: 'Refunds',
    summary: 'List the refunds of a payment',
    params: paymentPath,
    unknownId: paymentNotFound,
    query: refundPage,
    answers: { 200: { description: 'A page of refunds', schema: refundList } },
    problems: ['payment-not-found'],
    handle: async ({ accountId, params: { paymentId }, query: { limit, cursor } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const found = await operations.listRefunds(accountId, { limit, after, paymentId })
      if (found === null) return refusalAnswer(paymentNotFound({ paymentId }))
      const { items, next } = found
      return jsonAnswer(200, { items: items.map(refundBody), nextCursor: next === null ? null : encodeCursor(next) })
    },
  })
}

function listAllRefunds(operations: Refunds): Operation {
  return defineQuery({
    path: '/v1/refunds',
    operationId: 'listAllRefunds',
    tag: 'Refunds',
    summary: 'List the refunds of the account, or those of one state',
    params: nothing,
    query: refundStatePage,
    answers: { 200: { description: 'A page of refunds', schema: refundList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor, state = null } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listAllRefunds(accountId, { limit, after, state })
      return jsonAnswer(200, { items: items.map(refundBody), nextCursor: next === null ? null : encodeCursor(next) })
    },
  })
}

/** It binds its key to nothing, as for payments. */
function reviewRefund(operations: Refunds): Operation {
  return defineCommand({
    path: '/v1/refunds/:refundId/review',
    operationId: 'reviewRefund',
    tag: 'Refunds',
    summary: 'Look now at a refund that waits for a person',
    description:
      'Asks the gateway what became of a refund in needs_review, without waiting for the hourly look, and answers how it stands then. What was done for it stands in the history of its payment. The key is not recorded: each request looks. The body is the empty object, or none.',
    params: refundPath,
    unknownId: refundNotFound,
    body: emptyBody,
    answers: { 200: { description: 'The refund', schema: refund } },
    problems: ['refund-not-found', 'refund-not-in-review'],
    handle: async ({ call: { accountId }, params: { refundId } }) => {
      const result = await operations.reviewRefund(accountId, refundId)
      return result.kind === 'refused' ? refusalAnswer(result.refusal) : jsonAnswer(200, refundBody(result.subject))
    },
  })
}

function getRefund(operations: Refunds): Operation {
  return defineQuery({
    path: '/v1/refunds/:refundId',
    operationId: 'getRefund',
    tag: 'Refunds',
    summary: 'Look at a refund',
    params: refundPath,
    unknownId: refundNotFound,
    query: nothing,
    answers: { 200: { description: 'The refund', schema: refund } },
    problems: ['refund-not-found'],
    handle: async ({ accountId, params: { refundId } }) => {
      const found = await operations.findRefund(accountId, refundId)
      return found === null ? refusalAnswer(refundNotFound({ refundId })) : jsonAnswer(200, refundBody(found))
    },
  })
}

function refundNotFound({ refundId = '' }: { readonly refundId?: string }): Refusal {
  return { code: 'refund-not-found', refundId }
}
