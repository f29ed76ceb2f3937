import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorAnswer, invalidRequest } from './answer.ts'
import { type Form, parseForm } from './form.ts'
import { transmit } from './transmit.ts'

/** A request under /v1: Node's own with what the router and `readForm` add, but without Express's methods. */
export interface StripeRequest extends IncomingMessage {
  /** From the path. */
  readonly params: Readonly<Record<string, string | string[]>>
  /** The form of a POST. */
  body?: Form
}

export type StripeHandler = (request: StripeRequest, response: ServerResponse, next: () => void) => void | Promise<void>

/** Stripe's own limits lie far above what payments need: 50 metadata entries of 540 characters and a few fields. */
const maxFormLength = 64 * 1024

/** Reads the form of a POST into `body`. It answers a request that has another body. */
export const readForm: StripeHandler = (request, response, next) => {
  if (request.method !== 'POST') return next()
  if (!isForm(request)) {
    const message = 'Invalid request (check that your POST content type is application/x-www-form-urlencoded).'
    return transmit(response, invalidRequest(message), null)
  }
  let text = ''
  request.setEncoding('utf8')
  request.on('data', (chunk: string) => {
    // The rest of a body that is too long is read and dropped, so that the client can read the refusal.
    if (text.length <= maxFormLength) text += chunk
  })
  request.on('end', () => {
    if (text.length > maxFormLength) return transmit(response, formTooLong, null)
    request.body = parseForm(text)
    next()
  })
}

const formTooLong = errorAnswer(413, { type: 'invalid_request_error', message: 'The body is too long.' })

function isForm({ headers }: StripeRequest): boolean {
  const hasBody = (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined
  return !hasBody || /^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '')
}

/** The `:id` of the path. */
export function idIn({ params }: StripeRequest): string {
  return typeof params.id === 'string' ? params.id : ''
}

/** Below `/v1`, without the query. */
export function pathOf({ url = '' }: StripeRequest): string {
  return url.split('?', 1)[0] ?? ''
}

export function queryOf(request: StripeRequest): Form {
  return parseForm(request.url?.slice(pathOf(request).length + 1) ?? '')
}

export function headerOf(request: StripeRequest, name: 'idempotency-key' | 'stripe-version'): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}
