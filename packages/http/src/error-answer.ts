import type { ErrorRequestHandler } from 'express'
import { type Answer, sendAnswer } from './answer.ts'
import { maxBodyBytes } from './json-body.ts'
import type { Logger } from './logger.ts'
import { problem } from './problem.ts'
import { refusalAnswer } from './refusal-answer.ts'
import { contextOf } from './request-context.ts'

/** Long enough for a connection pool to find the server again, short enough that nobody gives up. */
const unavailableRetryAfterSeconds = 1

/**
 * Turns what was thrown into an answer. Faults are known by their `code`, so that this package need not know the packages
 * that throw them; whatever is not in the table is a 500. A 500 is logged whole and answered without a word of it.
 */
export function errorAnswer({ logger }: { logger: Logger }): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    // Express would print the stack past the log. The client reads that the answer is not whole.
    if (response.headersSent) return void response.destroy()
    const answer = knownFault(error) ?? clientMistake(error) ?? internal()
    const { requestId } = contextOf(response)
    if (answer.status >= 500) {
      logger.error({ err: error, requestId, method: request.method, path: request.path }, 'request failed')
    }
    sendAnswer(response, answer)
  }
}

/**
 * By the codes of packages/database. The first three say that everything of this request was rolled back: what goes wrong
 * after a commit is dealt with in packages/safety and does not come here, except as `commit-unknown`.
 */
function knownFault(error: unknown): Answer | null {
  switch (field(error, 'code')) {
    case 'database-unavailable':
    case 'lock-not-available':
    case 'transaction-conflict':
      return refusalAnswer({ code: 'temporarily-unavailable', retryAfterSeconds: unavailableRetryAfterSeconds })
    case 'commit-unknown':
      return problem('internal', 'It is not known whether this was done. Send it again with the same key to learn it.')
    default:
      return null
  }
}

/** What body-parser and the router throw. Their messages are not passed on: they quote what was sent. */
function clientMistake(error: unknown): Answer | null {
  switch (field(error, 'type')) {
    case 'entity.parse.failed':
      return problem('malformed-json', 'The body cannot be parsed as JSON.')
    case 'request.size.invalid':
    case 'request.aborted':
      return problem('malformed-json', 'The body ended before the length that its header names.')
    case 'entity.too.large':
      return bodyTooLarge(field(error, 'limit'))
    case 'charset.unsupported':
      return problem('unsupported-media-type', 'Send the body in UTF-8.')
    case 'encoding.unsupported':
      return problem('unsupported-media-type', 'Send the body without a Content-Encoding.')
    default:
      return error instanceof URIError ? problem('not-found', 'The path cannot be decoded.') : null
  }
}

/** Not every path takes the same. */
function bodyTooLarge(limit: unknown): Answer {
  const bytes = typeof limit === 'number' ? limit : maxBodyBytes
  return problem('body-too-large', `A body may have ${bytes} bytes.`, { members: { maxBodyBytes: bytes } })
}

function internal(): Answer {
  return problem('internal', 'Send it again with the same key: what was done is not done twice.')
}

function field(error: unknown, name: 'code' | 'type' | 'limit'): unknown {
  return error instanceof Error ? Reflect.get(error, name) : undefined
}
