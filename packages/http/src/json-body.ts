import type { IncomingHttpHeaders } from 'node:http'
import express, { type RequestHandler } from 'express'
import { sendAnswer } from './answer.ts'
import { problem } from './problem.ts'

/**
 * The largest body that this API can need, but for the few operations that say so, is a few hundred bytes. Sixteen KiB leave
 * room for growth, are parsed in well under a millisecond, and nobody can fill the memory with them: all connections together
 * hold less than 40 MB.
 */
export const maxBodyBytes = 16 * 1024

/**
 * Refuses what is not `application/json` before a byte of it is parsed. A request without a body passes, whatever it
 * calls it: what it lacks is for its schema to say.
 */
export const requireJsonContentType: RequestHandler = (request, response, next) => {
  const contentType = request.headers['content-type']
  if (!hasBody(request.headers) || (mediaType(contentType) === 'application/json' && isUtf8(contentType))) return next()
  sendAnswer(response, problem('unsupported-media-type', 'Send the body as application/json, in UTF-8.'))
}

/** For what an empty object asks so much of that a body which was lost on its way must not be read as one. */
export function requireBody(detail: string): RequestHandler {
  return (request, response, next) => {
    if (hasBody(request.headers)) return next()
    sendAnswer(response, problem('invalid-request', detail))
  }
}

/**
 * Parses the body. An empty one is read as the empty object, so that "no body" and `{}` are one request.
 *
 * Compressed bodies are refused: at this size they save nothing, and what is small on the wire could be huge in memory.
 * A bare `1` or `"a"` is JSON too: it passes here and its schema says that it is no object.
 */
export function parseJsonBody(maxBytes = maxBodyBytes): readonly RequestHandler[] {
  return [
    express.json({ limit: maxBytes, inflate: false, strict: false, type: () => true }),
    (request, _response, next) => {
      request.body ??= hasBody(request.headers) ? null : {}
      next()
    },
  ]
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function mediaType(contentType: string | undefined): string | undefined {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase()
}

/** JSON between systems is UTF-8 (RFC 8259, 8.1): the same bytes must not mean different things to two readers. */
function isUtf8(contentType: string | undefined): boolean {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(contentType ?? '')?.[1]
  return charset === undefined || /^utf-?8$/i.test(charset)
}
