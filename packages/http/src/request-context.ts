import { randomUUID } from 'node:crypto'
import type { RequestHandler, Response } from 'express'

/** What the steps of a request leave for the steps after them. */
export interface RequestContext {
  readonly requestId: string
  /** Set by authentication. */
  accountId?: string
  /** Set by the reading of its header. */
  idempotencyKey?: string
}

/** Long enough for a UUID or a trace id with its span, harmless in a log line and in a header. */
const saneRequestId = /^[A-Za-z0-9._-]{8,128}$/

const contexts = new WeakMap<Response, RequestContext>()

/**
 * Names the request and the replica that answers it, in every answer. The client's own X-Request-Id is taken if it is
 * sane, so that one name follows a request through several systems; otherwise one is made.
 */
export function requestContext(options: { instance: string }): RequestHandler {
  return (request, response, next) => {
    const offered = request.get('x-request-id')
    const requestId = offered !== undefined && saneRequestId.test(offered) ? offered : randomUUID()
    contexts.set(response, { requestId })
    response.setHeader('X-Request-Id', requestId)
    response.setHeader('Seatbelt-Instance', options.instance)
    next()
  }
}

/** Throws where `requestContext` was not mounted first: that is a mistake of ours, not of a client. */
export function contextOf(response: Response): RequestContext {
  return required(contexts.get(response), 'context')
}

export function accountIdOf(response: Response): string {
  return required(contextOf(response).accountId, 'account')
}

export function idempotencyKeyOf(response: Response): string {
  return required(contextOf(response).idempotencyKey, 'idempotency key')
}

function required<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw new Error(`This request has no ${name}: the steps are mounted in the wrong order.`)
  return value
}
