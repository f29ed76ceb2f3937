import {
  type Answer,
  atMostAtOnce,
  jsonAnswer,
  type Logger,
  methodNotAllowed,
  problem,
  requireJsonContentType,
  type SignedOperation,
  sendAnswer,
} from '@seatbelt/http'
import {
  type EventProblem,
  type EventResult,
  type GatewayEvent,
  type ReadGatewayEvent,
  signatureToleranceSeconds,
} from '@seatbelt/payments'
import express, { type Express, type RequestHandler } from 'express'
import { Counter, type Registry } from 'prom-client'
import { gatewayEvent, gatewayEventTaken } from '../schemas.ts'

export interface GatewayEvents {
  readonly read: ReadGatewayEvent
  readonly apply: (event: GatewayEvent) => Promise<EventResult>
  /** How long a body may take to come. */
  readonly bodyMs?: number
}

export interface GatewayEventParts {
  readonly logger: Logger
  readonly registry: Registry
}

/** Stripe's own events are a few KiB, with an object's metadata and lists some dozens. */
const maxEventBytes = 256 * 1024
/**
 * Deliveries that are read or worked on at once. Together they hold 64 MiB at most, and leave room among the 2,000 connections of
 * a replica; the gateway's bursts are some dozens.
 */
const maxAtOnce = 256
/**
 * The longest event comes in this time over a line of 1 Mbit/s, and the gateway's come in milliseconds. Anybody can write a
 * signature into a header: 256 bodies that trickle would keep all events out for as long as each may.
 */
const defaultBodyMs = 2_000
/** The order's lock, or a place, is free after some milliseconds. The gateway's own pauses are longer. */
const retryAfterSeconds = 1

/**
 * Where the gateway delivers. Its steps, each cheaper than the next:
 *
 * 1. a signature, and a place: of an unsigned request no byte is read
 * 2. the body's type, then its bytes: counted while they arrive, in a bounded time, and not parsed
 * 3. the signature over these bytes, and how old it is; only then they are parsed
 * 4. the event, applied once; a 2xx says that nothing more needs to be told
 *
 * There is no API key and no Idempotency-Key: the signature is the one, the event's id the other. And there is no limit per address:
 * a gateway tells of a thousand payments from a handful of addresses at once, and what it hears 429 to it may tell again hours
 * later. What a stranger can make us do is bounded instead, by the place, the size and the time of its body, and one HMAC for each secret; nothing of it
 * reaches the database.
 */
export function mountGatewayEvents(app: Express, events: GatewayEvents, parts: GatewayEventParts): void {
  const taken = new Counter({
    name: 'gateway_events_total',
    help: 'What the gateway delivered, by what came of it or why it was refused.',
    labelNames: ['result'],
    registers: [parts.registry],
  })
  const refuse = (reason: EventProblem): Answer => {
    taken.inc({ result: reason })
    return refusals[reason]
  }

  const requireSignature: RequestHandler = (request, response, next) => {
    if (request.get(signatureHeader)) return next()
    sendAnswer(response, refuse('unsigned'))
  }
  const handle: RequestHandler = async (request, response) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const read = events.read(body, request.get(signatureHeader))
    if (read.kind === 'refused') return sendAnswer(response, refuse(read.reason))
    const result = await events.apply(read.event)
    taken.inc({ result })
    if (result === 'unknown') {
      const { id, type } = read.event
      parts.logger.warn({ eventId: id, type }, 'the gateway tells of something of ours that is not in the books')
    }
    sendAnswer(response, result === 'contended' ? busy : jsonAnswer(200, { result }))
  }

  app
    .route(gatewayEventsOperation.path)
    .post(requireSignature, atMostAtOnce(maxAtOnce, busy), requireJsonContentType, ...bodyWithin(events.bodyMs), handle)
    .all(methodNotAllowed(['post']))
}

const signatureHeader = 'Stripe-Signature'

const rawBody = express.raw({ limit: maxEventBytes, inflate: false, type: () => true })

/** What comes too late is answered, and its connection closed: the rest of it is not waited for. */
function bodyWithin(bodyMs = defaultBodyMs): RequestHandler[] {
  return [
    (request, response, next) => {
      const timer = setTimeout(() => {
        response.once('finish', () => request.destroy())
        sendAnswer(response, tooSlow)
      }, bodyMs)
      request.once('end', () => clearTimeout(timer))
      response.once('close', () => clearTimeout(timer))
      next()
    },
    rawBody,
  ]
}

const refusals: Readonly<Record<EventProblem, Answer>> = {
  unsigned: problem('signature-invalid', `The ${signatureHeader} header is missing.`),
  'wrongly-signed': problem(
    'signature-invalid',
    `The ${signatureHeader} header fits these bytes with none of the secrets that are known here.`,
  ),
  'too-old': problem(
    'signature-invalid',
    `The signature is more than ${signatureToleranceSeconds} s old. Sign each delivery anew, by a clock that is right.`,
  ),
  malformed: problem('invalid-request', 'The body is signed well, and is not an event in JSON.'),
}

const tooSlow = problem('request-timeout', 'The body did not arrive in time. Nothing of this event was recorded.', {
  headers: { Connection: 'close' },
})

const busy = problem('temporarily-unavailable', 'Nothing of this event was recorded. Deliver it again.', {
  members: { retryAfterSeconds },
  headers: { 'Retry-After': String(retryAfterSeconds) },
})

/** For the document. */
export const gatewayEventsOperation: SignedOperation = {
  path: '/v1/gateway/webhooks',
  operationId: 'takeGatewayEvent',
  tag: 'Gateway',
  summary: 'For the payment gateway: deliver an event',
  description:
    "Takes Stripe's webhooks, signed by any of the configured secrets. Each event has its effect once, in any order and however often it is delivered. Answers 2xx once nothing more needs to be told; everything else is to be delivered again.",
  signatureHeader,
  bodySchema: gatewayEvent,
  answers: { 200: { description: 'Taken', schema: gatewayEventTaken } },
  problems: [
    'signature-invalid',
    'invalid-request',
    'malformed-json',
    'body-too-large',
    'request-timeout',
    'unsupported-media-type',
    'internal',
    'temporarily-unavailable',
  ],
}
