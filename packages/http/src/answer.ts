import type { Response } from 'express'

/** An answer as a value. Handlers return one; `sendAnswer` is the only place that writes one to a client. */
export interface Answer {
  readonly status: number
  readonly contentType: 'application/json' | 'application/problem+json'
  readonly headers: Readonly<Record<string, string>>
  /** The bytes themselves. Nothing serialises them again, so that what was recorded is what is sent. */
  readonly body: string
  /** Of a problem that was found by this request. A recorded answer has none. */
  readonly problemCode?: string
}

export function jsonAnswer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, contentType: 'application/json', headers, body: JSON.stringify(value) }
}

/**
 * Writes the answer, byte for byte.
 *
 * `no-store`, because what is answered here belongs to one account and changes without notice. For the same reason there
 * is no ETag: hashing every body would cost more than the rare 304 saves. Where 304 is not rare, a `conditional-answer.ts`
 * brings its own.
 */
export function sendAnswer(response: Response, answer: Answer): void {
  const body = Buffer.from(answer.body)
  response.locals.problemCode = answer.problemCode
  response.writeHead(answer.status, {
    'Cache-Control': 'no-store',
    ...answer.headers,
    'Content-Type': answer.contentType,
    'Content-Length': body.byteLength,
  })
  response.end(body)
}

/** The client has the bytes of this answer. */
export function sendNotModified(response: Response, { headers }: Answer): void {
  response.writeHead(304, headers).end()
}
