import { type Answer, errorAnswer } from './wire/answer.ts'
import type { StripeHandler } from './wire/stripe-request.ts'
import { transmit } from './wire/transmit.ts'

/** Bearer, or Basic with the key as user name and no password, as Stripe takes it. */
export function authenticate(apiKey: string): StripeHandler {
  const basic = `Basic ${Buffer.from(`${apiKey}:`).toString('base64')}`
  const bearer = `Bearer ${apiKey}`
  return (request, response, next) => {
    const given = request.headers.authorization
    if (given === bearer || given === basic) return next()
    response.setHeader('WWW-Authenticate', 'Basic realm="Stripe"')
    transmit(response, unauthorized(given), null)
  }
}

/** The key is not repeated in full: somebody may have sent us a real one by mistake. */
function unauthorized(given: string | undefined): Answer {
  const message = given
    ? `Invalid API Key provided: ${'*'.repeat(8)}${given.length > 24 ? given.slice(-4) : ''}`
    : 'You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.'
  return errorAnswer(401, { type: 'invalid_request_error', message })
}
