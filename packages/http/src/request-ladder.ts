import type { Express, Request, RequestHandler } from 'express'
import { sendAnswer, sendNotModified } from './answer.ts'
import { atMostAtOnce } from './at-most-at-once.ts'
import type { Authenticate } from './authentication.ts'
import { isKnown } from './conditional-answer.ts'
import type { EventStreams } from './event-streams.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { parseJsonBody, requireBody, requireJsonContentType } from './json-body.ts'
import { isAnswer, nothing, type Operation } from './operation.ts'
import { problem } from './problem.ts'
import { refusalAnswer } from './refusal-answer.ts'
import { accountIdOf, contextOf, idempotencyKeyOf } from './request-context.ts'
import type { StreamOperation } from './stream-operation.ts'
import type { TokenBuckets } from './token-buckets.ts'
import { validate } from './validation.ts'

export interface Doors {
  readonly authenticate: Authenticate
  /** Requests of one account at this replica. */
  readonly accounts: TokenBuckets
}

/**
 * The steps of a request, in their order. Each is cheaper than the next, or decides whether the next may be taken:
 *
 * 1. who is it: nothing is read, parsed or counted for a stranger
 * 2. how often: an account over its rate costs us nothing but this answer
 * 3. its key: a header, so that a client that forgot it learns so before it is told about its body
 * 4. the body's type, then the body: bounded, and of a known account by now
 * 5. the schema, in `operation.ts`: from here on the input is what its type says
 *
 * Nothing before step 5 has changed anything, and nothing of it is recorded under the key.
 */
function requestLadder(operation: Operation, doors: Doors): RequestHandler[] {
  const looks = [authenticated(doors), withinRate(doors)]
  const { bodyMissing, largeBody } = operation
  const required = bodyMissing === undefined ? [] : [requireBody(bodyMissing)]
  const place = largeBody ? [atMostAtOnce(largeBody.atOnce, busy)] : []
  const changes = [readKey, requireJsonContentType, ...required, ...place, ...parseJsonBody(largeBody?.maxBytes)]
  return [...looks, ...(operation.method === 'post' ? changes : []), answered(operation)]
}

/** One of those that are worked on has ended before a client's first pause has. */
const busy = refusalAnswer({ code: 'temporarily-unavailable', retryAfterSeconds: 1 })

/** Mounts every operation, and a 405 with `Allow` for the other methods of its path. */
export function mountOperations(app: Express, operations: readonly Operation[], doors: Doors): void {
  for (const path of new Set(operations.map((operation) => operation.path))) {
    const here = operations.filter((operation) => operation.path === path)
    const route = app.route(path)
    for (const operation of here) route[operation.method](...requestLadder(operation, doors))
    route.all(methodNotAllowed(here.map((operation) => operation.method)))
  }
}

/**
 * Mounts what is answered by a stream. The same steps, then: is what it names there, and has this replica a place for one
 * more? Nothing is read of a body, and nothing recorded.
 */
export function mountStream(app: Express, operation: StreamOperation, streams: EventStreams, doors: Doors): void {
  const opened: RequestHandler = async (request, response) => {
    const accountId = accountIdOf(response)
    const lastEventId = request.get('last-event-id') ?? null
    const query = validate(nothing, request.query)
    if (isAnswer(query)) return sendAnswer(response, query)
    const follow = await operation.open({ accountId, params: stringParams(request), lastEventId })
    if (isAnswer(follow)) return sendAnswer(response, follow)
    const refused = await streams.run(response, { accountId, isHead: request.method === 'HEAD', follow })
    if (refused) sendAnswer(response, refused)
  }
  app
    .route(operation.path)
    .get(authenticated(doors), withinRate(doors), opened)
    .all(methodNotAllowed(['get']))
}

/** For the paths beside the operations, too. */
export function methodNotAllowed(methods: readonly ('get' | 'post')[]): RequestHandler {
  const allow = methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : ['POST'])).join(', ')
  return (request, response) => {
    const detail = `${request.method} is not among ${allow}.`
    sendAnswer(response, problem('method-not-allowed', detail, { headers: { Allow: allow } }))
  }
}

/** Mount last. Who asks need not be known: that a path does not exist is no secret. */
export const pathNotFound: RequestHandler = (_request, response) => {
  sendAnswer(response, problem('not-found', 'Nothing has this path.'))
}

function authenticated({ authenticate }: Doors): RequestHandler {
  return async (request, response, next) => {
    const result = await authenticate(request.get('authorization'), request.ip ?? 'unknown')
    switch (result.kind) {
      case 'account':
        contextOf(response).accountId = result.accountId
        return next()
      case 'stranger':
        return sendAnswer(
          response,
          problem('unauthenticated', 'Send a valid API key as Authorization: Bearer <key>.', {
            headers: { 'WWW-Authenticate': 'Bearer realm="seatbelt"' },
          }),
        )
      case 'too-many':
        return sendAnswer(response, tooMany('There were too many requests without a valid key.', result))
      default:
        return result satisfies never
    }
  }
}

function withinRate({ accounts }: Doors): RequestHandler {
  return (_request, response, next) => {
    const taken = accounts.take(accountIdOf(response))
    if (taken.allowed) return next()
    sendAnswer(response, tooMany('This account sends more than a replica takes from one.', taken))
  }
}

const readKey: RequestHandler = (request, response, next) => {
  const read = readIdempotencyKey(request)
  if ('status' in read) return sendAnswer(response, read)
  contextOf(response).idempotencyKey = read.key
  next()
}

function answered(operation: Operation): RequestHandler {
  return async (request, response) => {
    const answer = await operation.handle({
      accountId: accountIdOf(response),
      idempotencyKey: operation.method === 'post' ? idempotencyKeyOf(response) : null,
      path: request.path,
      params: stringParams(request),
      query: request.query,
      body: request.body,
    })
    if (isKnown(answer, request.get('if-none-match'))) sendNotModified(response, answer)
    else sendAnswer(response, answer)
  }
}

/** Only wildcards have lists, and no path of ours has a wildcard. */
function stringParams(request: Request): Record<string, string> {
  return Object.fromEntries(Object.entries(request.params).map(([name, value]) => [name, String(value)]))
}

function tooMany(detail: string, { retryAfterSeconds }: { retryAfterSeconds: number }) {
  return problem('too-many-requests', detail, {
    members: { retryAfterSeconds },
    headers: { 'Retry-After': String(retryAfterSeconds) },
  })
}
