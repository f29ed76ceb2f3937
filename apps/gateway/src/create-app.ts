import type { RequestListener } from 'node:http'
import express, { type ErrorRequestHandler, type Express, type Request, type Response, Router } from 'express'
import { authenticate } from './authenticate.ts'
import { controlEndpoints } from './endpoints/control.ts'
import { ledgerEndpoints } from './endpoints/ledger.ts'
import { performChange } from './perform-change.ts'
import { performReading } from './perform-reading.ts'
import type { Simulator } from './simulator.ts'
import { visitStripeEndpoints } from './stripe-endpoints.ts'
import { errorAnswer, somethingWentWrong } from './wire/answer.ts'
import { headerOf, readForm, type StripeHandler } from './wire/stripe-request.ts'
import { giveRequestId, transmit } from './wire/transmit.ts'

export interface AppOptions {
  /** Told of what should never happen. The answer is a 500 without any detail. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/**
 * The simulator: Stripe's endpoints under /v1, its witness under /_ledger, its faults under /_control.
 *
 * Stripe's endpoints use Express's router without an Express app. An app changes the prototype of each request and
 * response, and all of Node's code that touches them afterwards is slow: that was a third of the CPU of both requests.
 */
export function createApp(simulator: Simulator, options: AppOptions = {}): RequestListener {
  const router = Router()
  router.use('/v1', stripeEndpoints(simulator))
  router.use(ownEndpoints(simulator))
  router.use(refuseUnknownUrl)
  router.use(answerFailure(options.onError ?? (() => {})))
  // The handlers under /v1 call none of Express's methods: their type is `StripeHandler`.
  return (request, response) => router(request as Request, response as Response, () => response.destroy())
}

function ownEndpoints(simulator: Simulator): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use('/_ledger', ledgerEndpoints(simulator.books))
  app.use('/_control', controlEndpoints(simulator))
  return app
}

function stripeEndpoints(simulator: Simulator): Router {
  const v1 = Router()
  v1.use((_request, response, next) => {
    giveRequestId(response)
    next()
  })
  v1.use(authenticate(simulator.apiKey), readForm, echoHeaders)

  visitStripeEndpoints(simulator.accountId, {
    post: (path, endpoint) => v1.post(path, performChange(simulator, endpoint)),
    get: (path, endpoint) => v1.get(path, performReading(simulator, endpoint)),
  })
  return v1
}

function refuseUnknownUrl(request: Request, response: Response): void {
  const message = `Unrecognized request URL (${request.method}: ${request.originalUrl}).`
  transmit(response, errorAnswer(404, { type: 'invalid_request_error', message }), null)
}

const echoHeaders: StripeHandler = (request, response, next) => {
  const version = headerOf(request, 'stripe-version')
  if (version !== undefined) response.setHeader('Stripe-Version', version)
  const key = headerOf(request, 'idempotency-key')
  if (key !== undefined && request.method === 'POST') response.setHeader('Idempotency-Key', key)
  next()
}

function answerFailure(onError: (error: unknown) => void): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error)
    const status = clientErrorStatus(error)
    if (status !== null) {
      transmit(
        response,
        errorAnswer(status, { type: 'invalid_request_error', message: 'The body cannot be read.' }),
        null,
      )
      return
    }
    onError(error)
    transmit(response, somethingWentWrong, null)
  }
}

/** The body parsers' errors carry the status that they mean. */
function clientErrorStatus(error: unknown): number | null {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : null
  return typeof status === 'number' && status >= 400 && status < 500 ? status : null
}
