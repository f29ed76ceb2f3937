import { z } from 'zod'
import type { ChangingEndpoint, ReadingEndpoint } from './endpoint.ts'
import { attachPaymentMethod } from './endpoints/attach-payment-method.ts'
import { cancelPaymentIntent } from './endpoints/cancel-payment-intent.ts'
import { capturePaymentIntent } from './endpoints/capture-payment-intent.ts'
import { confirmPaymentIntent } from './endpoints/confirm-payment-intent.ts'
import { createCustomer } from './endpoints/create-customer.ts'
import { createPaymentIntent } from './endpoints/create-payment-intent.ts'
import { createRefund } from './endpoints/create-refund.ts'
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

/** What is done with each endpoint: it is mounted, or described. */
export interface EndpointVisitor {
  post<P>(path: string, endpoint: ChangingEndpoint<P>): void
  get<P>(path: string, endpoint: ReadingEndpoint<P>): void
}

/** Every endpoint under /v1. */
export function visitStripeEndpoints(accountId: string, { post, get }: EndpointVisitor): void {
  post('/payment_intents', createPaymentIntent)
  post('/payment_intents/:id/confirm', confirmPaymentIntent)
  post('/payment_intents/:id/capture', capturePaymentIntent)
  post('/payment_intents/:id/cancel', cancelPaymentIntent)
  get('/payment_intents', listPaymentIntents)
  get('/payment_intents/:id', retrievePaymentIntent)
  get('/charges', listCharges)
  get('/charges/:id', retrieveCharge)
  post('/refunds', createRefund)
  get('/refunds', listRefunds)
  get('/refunds/:id', retrieveRefund)
  get('/disputes', listDisputes)
  get('/disputes/:id', retrieveDispute)
  post('/customers', createCustomer)
  get('/customers/:id', retrieveCustomer)
  get('/customers/:id/payment_methods', listCustomerPaymentMethods)
  post('/payment_methods/:id/attach', attachPaymentMethod)
  get('/account', retrieveAccount(accountId))
  get('/events', listEvents)
  get('/events/:id', retrieveEvent)
}

export interface EndpointDescription {
  readonly method: 'GET' | 'POST'
  /** Below /v1, with `:id`. */
  readonly path: string
  /** The parameters that it knows. It refuses all others. */
  readonly parameters: readonly string[]
}

/** The endpoints of the simulator, to be compared with Stripe's own description. */
export function describeStripeEndpoints(): readonly EndpointDescription[] {
  const found: EndpointDescription[] = []
  visitStripeEndpoints('', {
    post: (path, { parameters }) => found.push({ method: 'POST', path, parameters: namesIn(parameters) }),
    get: (path, { parameters }) => found.push({ method: 'GET', path, parameters: namesIn(parameters) }),
  })
  return found
}

function namesIn(parameters: z.ZodType): readonly string[] {
  if (!(parameters instanceof z.ZodObject)) throw new Error('The parameters of an endpoint are an object')
  return Object.keys(parameters.shape)
}
