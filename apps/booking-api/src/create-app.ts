import type { BookingOperations, SeatChangeLog } from '@seatbelt/booking'
import { keyLifetimeHours } from '@seatbelt/domain'
import {
  type Authenticate,
  docsPage,
  type EventStreams,
  errorAnswer,
  type Logger,
  type Metrics,
  methodNotAllowed,
  mountOperations,
  mountStream,
  openApiDocument,
  pathNotFound,
  requestContext,
  type TokenBuckets,
} from '@seatbelt/http'
import express, { type Express } from 'express'
import { bookingRoutes } from './routes/bookings.ts'
import { changesStream } from './routes/changes.ts'
import { eventRoutes } from './routes/events.ts'
import { holdRoutes } from './routes/holds.ts'
import { namedSchemas } from './schemas.ts'

export interface AppParts {
  readonly operations: BookingOperations
  /** What tells of seats that change hands. Without it, as in the lab's control, there is no such path. */
  readonly changes?: { readonly log: Pick<SeatChangeLog, 'follow'>; readonly streams: EventStreams }
  readonly authenticate: Authenticate
  /** Requests of one account at this replica. */
  readonly accounts: TokenBuckets
  readonly metrics: Metrics
  readonly logger: Logger
  /** The name of this replica. */
  readonly instance: string
  /** How many proxies of ours stand before it: so many entries of X-Forwarded-For are believed. */
  readonly trustedProxyHops?: number
}

/**
 * The booking API as an Express app. It opens nothing and ends nothing: `listen` of packages/http runs it, and answers
 * `/healthz` and `/readyz` before it.
 */
export function createApp(parts: AppParts): Express {
  const { operations, changes } = parts
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  // One spelling, one path: what differs in case or by a slash at the end would be another request under the same key.
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('trust proxy', parts.trustedProxyHops ?? 0)

  app.use(parts.metrics.measureRequests)
  app.use(requestContext(parts))

  const routes = [...eventRoutes(operations), ...holdRoutes(operations), ...bookingRoutes(operations)]
  mountOperations(app, routes, parts)
  const stream = changes && changesStream(operations, changes.log)
  if (stream) mountStream(app, stream, changes.streams, parts)

  const streams = stream ? [stream] : []
  const document = openApiDocument({ ...about, operations: routes, signed: [], streams, schemas: namedSchemas })
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
  title: 'Seatbelt booking API',
  version: '1',
  description: `Events, and who has their seats: held for a while, checked out, booked. Every POST carries an Idempotency-Key: send the same request with the same key as often as you like, and it is done once. A key is kept for ${keyLifetimeHours} hours after its answer (\`Idempotency-Key-Lifetime\`); after that it is a new one. Errors are RFC 9457 problems with a stable \`code\`.`,
}
