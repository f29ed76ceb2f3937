import { keyLifetimeHours } from '@seatbelt/domain'
import {
  type Authenticate,
  docsPage,
  errorAnswer,
  type Logger,
  type Metrics,
  methodNotAllowed,
  mountOperations,
  openApiDocument,
  pathNotFound,
  requestContext,
  type TokenBuckets,
} from '@seatbelt/http'
import type { PaymentOperations, SubscriptionOperations, WebhookOperations, WebhookTargets } from '@seatbelt/payments'
import express, { type Express } from 'express'
import { type GatewayEvents, gatewayEventsOperation, mountGatewayEvents } from './routes/gateway-events.ts'
import { orderRoutes } from './routes/orders.ts'
import { paymentRoutes } from './routes/payments.ts'
import { refundRoutes } from './routes/refunds.ts'
import { subscriptionRoutes } from './routes/subscriptions.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { namedSchemas } from './schemas.ts'

export interface AppParts {
  readonly operations: PaymentOperations
  /** What tells accounts of what happened. Without it, as in the lab's control, nobody is told. */
  readonly webhooks?: { readonly operations: WebhookOperations; readonly targets: WebhookTargets }
  /** Without it, as in the lab's control, there are none. */
  readonly subscriptions?: SubscriptionOperations
  readonly authenticate: Authenticate
  /** Requests of one account at this replica. */
  readonly accounts: TokenBuckets
  readonly metrics: Metrics
  readonly logger: Logger
  /** The name of this replica. */
  readonly instance: string
  /** Where the gateway delivers its events. Without it there is no such path, and outcomes are found by looking alone. */
  readonly gatewayEvents?: GatewayEvents | undefined
  /** How many proxies of ours stand before it: so many entries of X-Forwarded-For are believed. */
  readonly trustedProxyHops?: number
}

/**
 * The payments API as an Express app. It opens nothing and ends nothing: `listen` of packages/http runs it, and answers
 * `/healthz` and `/readyz` before it.
 */
export function createApp(parts: AppParts): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  // One spelling, one path: what differs in case or by a slash at the end would be another request under the same key.
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('trust proxy', parts.trustedProxyHops ?? 0)

  app.use(parts.metrics.measureRequests)
  app.use(requestContext(parts))

  const webhooks = parts.webhooks ? webhookRoutes(parts.webhooks.operations, parts.webhooks.targets) : []
  const subscriptions = parts.subscriptions ? subscriptionRoutes(parts.subscriptions) : []
  const operations = [
    ...orderRoutes(parts.operations),
    ...paymentRoutes(parts.operations),
    ...refundRoutes(parts.operations),
    ...subscriptions,
    ...webhooks,
  ]
  mountOperations(app, operations, parts)
  if (parts.gatewayEvents) {
    mountGatewayEvents(app, parts.gatewayEvents, { logger: parts.logger, registry: parts.metrics.registry })
  }

  const signed = parts.gatewayEvents ? [gatewayEventsOperation] : []
  const document = openApiDocument({ ...about, operations, signed, streams: [], schemas: namedSchemas })
  app
    .route('/openapi.json')
    .get((_request, response) => void response.json(document))
    .all(methodNotAllowed(['get']))
  app
    .route('/metrics')
    .get(parts.metrics.answerMetrics)
    .all(methodNotAllowed(['get']))
  app.use(docsPage(about))

  app.use(pathNotFound)
  app.use(errorAnswer(parts))
  return app
}

const about = {
  title: 'Seatbelt payments API',
  version: '1',
  description: `Orders and their payments. Every POST carries an Idempotency-Key: send the same request with the same key as often as you like, and it is done once. A key is kept for ${keyLifetimeHours} hours after its answer (\`Idempotency-Key-Lifetime\`); after that it is a new one. Errors are RFC 9457 problems with a stable \`code\`.`,
}
