import type { Refusal } from '@seatbelt/domain'
import {
  decodeCursor,
  defineCommand,
  defineQuery,
  encodeCursor,
  jsonAnswer,
  nothing,
  type Operation,
  refusalAnswer,
  webhookDeliveryBody,
  webhookEndpointBody,
} from '@seatbelt/http'
import type { WebhookOperations, WebhookTargets } from '@seatbelt/payments'
import { resultAnswer } from '../result-answer.ts'
import {
  deliveryPage,
  deliveryPath,
  emptyBody,
  newWebhookEndpoint,
  webhookDelivery,
  webhookDeliveryList,
  webhookEndpoint,
  webhookEndpointWithSecret,
} from '../schemas.ts'

/** Where an account hears of what happened, and what became of what it was told. */
export function webhookRoutes(operations: WebhookOperations, targets: WebhookTargets): Operation[] {
  return [
    setEndpoint(operations, targets),
    getEndpoint(operations),
    listDeliveries(operations),
    replayDelivery(operations),
  ]
}

function setEndpoint(operations: WebhookOperations, targets: WebhookTargets): Operation {
  return defineCommand({
    path: '/v1/webhook-endpoint',
    operationId: 'setWebhookEndpoint',
    tag: 'Webhooks',
    summary: 'Say where webhooks go, or change it',
    description:
      'Webhooks are signed as Standard Webhooks (standardwebhooks.com) says. The secret is in the answer that made it, and in a retry with the same key while the secret signs. No other answer shows it. After a rotation each webhook is signed with the new secret and with the one before it.',
    params: nothing,
    body: newWebhookEndpoint(targets),
    answers: {
      200: { description: 'The endpoint, changed; the secret if it was rotated', schema: webhookEndpointWithSecret },
      201: { description: 'The endpoint, new, and its secret', schema: webhookEndpointWithSecret },
    },
    problems: [],
    handle: async ({ call, body }) => resultAnswer(await operations.setEndpoint(call, body)),
  })
}

function getEndpoint(operations: WebhookOperations): Operation {
  return defineQuery({
    path: '/v1/webhook-endpoint',
    operationId: 'getWebhookEndpoint',
    tag: 'Webhooks',
    summary: 'Look at the webhook endpoint',
    params: nothing,
    query: nothing,
    answers: { 200: { description: 'The endpoint', schema: webhookEndpoint } },
    problems: ['webhook-endpoint-not-found'],
    handle: async ({ accountId }) => {
      const found = await operations.findEndpoint(accountId)
      if (found === null) return refusalAnswer({ code: 'webhook-endpoint-not-found' })
      return jsonAnswer(200, webhookEndpointBody(found))
    },
  })
}

function listDeliveries(operations: WebhookOperations): Operation {
  return defineQuery({
    path: '/v1/webhook-deliveries',
    operationId: 'listWebhookDeliveries',
    tag: 'Webhooks',
    summary: 'List what webhooks told, or could not tell',
    description: 'What was delivered is kept for a week, what was given up until it is replayed.',
    params: nothing,
    query: deliveryPage,
    answers: { 200: { description: 'A page of deliveries', schema: webhookDeliveryList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor, state = null } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listDeliveries(accountId, { limit, after, state })
      const nextCursor = next === null ? null : encodeCursor(next)
      return jsonAnswer(200, { items: items.map(webhookDeliveryBody), nextCursor })
    },
  })
}

function replayDelivery(operations: WebhookOperations): Operation {
  return defineCommand({
    path: '/v1/webhook-deliveries/:deliveryId/replay',
    operationId: 'replayWebhookDelivery',
    tag: 'Webhooks',
    summary: 'Try a delivery anew that was given up',
    description: 'It keeps its id, by which the receiver knows it. The body is the empty object, or none.',
    params: deliveryPath,
    unknownId: deliveryNotFound,
    body: emptyBody,
    answers: { 200: { description: 'The delivery, pending', schema: webhookDelivery } },
    problems: ['webhook-delivery-not-found', 'webhook-delivery-not-dead'],
    handle: async ({ call, params: { deliveryId } }) => resultAnswer(await operations.replayDelivery(call, deliveryId)),
  })
}

function deliveryNotFound({ deliveryId = '' }: { readonly deliveryId?: string }): Refusal {
  return { code: 'webhook-delivery-not-found', deliveryId }
}
