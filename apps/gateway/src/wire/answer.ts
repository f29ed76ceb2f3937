/** What goes back over the wire, before it is JSON. */
export interface Answer {
  readonly status: number
  readonly body: object
}

export interface StripeError {
  readonly type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error'
  readonly code?: string
  readonly message: string
  readonly param?: string
  readonly [further: string]: unknown
}

/** Stripe's error shape. */
export function errorAnswer(status: number, error: StripeError): Answer {
  const docUrl = error.code && `https://docs.stripe.com/error-codes#${error.code.replaceAll('_', '-')}`
  return { status, body: { error: docUrl ? { ...error, doc_url: docUrl } : error } }
}

export function invalidRequest(message: string, more: { code?: string; param?: string } = {}): Answer {
  return errorAnswer(400, { type: 'invalid_request_error', message, ...more })
}

/** Of an id in the path. */
export function notFound(kind: string, id: string, param = 'id'): Answer {
  return errorAnswer(404, { type: 'invalid_request_error', ...missing(kind, id), param })
}

export const noSuchIntent = (id: string): Answer => notFound('payment_intent', id, 'intent')

/** Of an id in a parameter. */
export function noSuch(kind: string, id: string, param: string): Answer {
  const { code, message } = missing(kind, id)
  return invalidRequest(message, { code, param })
}

function missing(kind: string, id: string): { code: string; message: string } {
  return { code: 'resource_missing', message: `No such ${kind}: '${id}'` }
}

export const somethingWentWrong: Answer = errorAnswer(500, {
  type: 'api_error',
  message: "Sorry! There was an error while talking to one of our backends. (This is the simulator's 500.)",
})

export const tooManyRequests: Answer = errorAnswer(429, {
  type: 'invalid_request_error',
  code: 'rate_limit',
  message: 'Request rate limit exceeded.',
})

/** The answers of the faults that refuse a request. */
export const refusals: Readonly<Record<string, Answer>> = {
  unauthorized: errorAnswer(401, { type: 'invalid_request_error', message: 'Invalid API Key provided: sk_test_****' }),
  forbidden: errorAnswer(403, {
    type: 'invalid_request_error',
    message: 'The provided key does not have the required permissions for this endpoint.',
  }),
  refuse: invalidRequest('Received unknown parameter: simulated', { code: 'parameter_unknown', param: 'simulated' }),
}

/** Not Stripe's: the bound on what a witness can hold. */
export const booksAreFull: Answer = errorAnswer(503, {
  type: 'api_error',
  message: "The simulator's books are full. Start it with a new ledger.",
})
