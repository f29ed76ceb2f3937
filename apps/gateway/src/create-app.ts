import type { RequestListener } from 'node:http'
import express, { type ErrorRequestHandler, type Express, type Request, type Response, Router } from 'express'
import { authenticate } from './authenticate.ts'
import { attachPaymentMethod } from './endpoints/attach-payment-method.ts'
import { cancelPaymentIntent } from './endpoints/cancel-payment-intent.ts'
import { capturePaymentIntent } from './endpoints/capture-payment-intent.ts'
import { confirmPaymentIntent } from './endpoints/confirm-payment-intent.ts'
import { controlEndpoints } from './endpoints/control.ts'
import { createCustomer } from './endpoints/create-customer.ts'
import { createPaymentIntent } from './endpoints/create-payment-intent.ts'
import { createRefund } from './endpoints/create-refund.ts'
import { ledgerEndpoints } from './endpoints/ledger.ts'
import { listCharges } from './endpoints/list-charges.ts'
import { listCustomerPaymentMethods } from './endpoints/list-customer-payment-methods.ts'
import { listDisputes } from './endpoints/list-disputes.ts'
import { listEvents } from './endpoints/list-events.ts'
import { listPaymentIntents } from './endpoints/list-payment-intents.ts'
import { listRefunds } from './endpoints/list-refunds.ts'
import { retrieveAccount } from './endpoints/retrieve-account.ts'
import { retrieveCharge } from './endpoints/retrieve-charge.ts'
import { retrieveCustomer } from './endpoints/retrieve-customer.ts'
import { retrieveDispute } from './endpoints/retrieve-dispute.ts'
import { retrieveEvent } from './endpoints/retrieve-event.ts'
import { retrievePaymentIntent } from './endpoints/retrieve-payment-intent.ts'
import { retrieveRefund } from './endpoints/retrieve-refund.ts'
import { performChange } from './perform-change.ts'
import { performReading } from './perform-reading.ts'
import type { Simulator } from './simulator.ts'
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

  v1.post('/payment_intents', performChange(simulator, createPaymentIntent))
  v1.post('/payment_intents/:id/confirm', performChange(simulator, confirmPaymentIntent))
  v1.post('/payment_intents/:id/capture', performChange(simulator, capturePaymentIntent))
  v1.post('/payment_intents/:id/cancel', performChange(simulator, cancelPaymentIntent))
  v1.get('/payment_intents', performReading(simulator, listPaymentIntents))
  v1.get('/payment_intents/:id', performReading(simulator, retrievePaymentIntent))
  v1.get('/charges', performReading(simulator, listCharges))
  v1.get('/charges/:id', performReading(simulator, retrieveCharge))
  v1.post('/refunds', performChange(simulator, createRefund))
  v1.get('/refunds', performReading(simulator, listRefunds))
  v1.get('/refunds/:id', performReading(simulator, retrieveRefund))
  v1.get('/disputes', performReading(simulator, listDisputes))
  v1.get('/disputes/:id', performReading(simulator, retrieveDispute))
  v1.post('/customers', performChange(simulator, createCustomer))
  v1.get('/customers/:id', performReading(simulator, retrieveCustomer))
  v1.get('/customers/:id/payment_methods', performReading(simulator, listCustomerPaymentMethods))
  v1.post('/payment_methods/:id/attach', performChange(simulator, attachPaymentMethod))
  v1.get('/account', performReading(simulator, retrieveAccount(simulator.accountId)))
  v1.get('/events', performReading(simulator, listEvents))
  v1.get('/events/:id', performReading(simulator, retrieveEvent))
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
