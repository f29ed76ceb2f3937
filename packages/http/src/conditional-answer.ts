import { createHash } from 'node:crypto'
import type { Answer } from './answer.ts'

/**
 * Makes answers with an ETag, for what is asked for again and again and changes seldom: whoever has the bytes already is told
 * so, by a 304 without them. `private`, because it belongs to one account; `no-cache`, because it is to be asked for each time.
 *
 * One answer per value: where many ask for one picture it is written and hashed once, and forgotten with it. The value must
 * not change.
 */
export function createConditionalAnswer<Value extends object>(
  toBody: (value: Value) => object,
): (value: Value) => Answer {
  const made = new WeakMap<Value, Answer>()
  return (value) => {
    const answer = made.get(value) ?? taggedAnswer(JSON.stringify(toBody(value)))
    made.set(value, answer)
    return answer
  }
}

function taggedAnswer(body: string): Answer {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  const headers = { ETag: etag, 'Cache-Control': 'private, no-cache' }
  return { status: 200, contentType: 'application/json', headers, body }
}

/** Has the client these very bytes? RFC 9110, 13.1.2: any of the tags in If-None-Match, compared without its W/. */
export function isKnown(answer: Answer, ifNoneMatch: string | undefined): boolean {
  const etag = answer.headers.ETag
  if (etag === undefined || ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
}
