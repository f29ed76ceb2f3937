import type Stripe from 'stripe'
import { errors, Pool } from 'undici'

/** Why no answer of Stripe's can be shown. Travels as the `detail` of the StripeConnectionError that `stripe` makes of it. */
export class TransportFailure extends Error {
  readonly reason: 'deadline' | 'not-sent' | 'connection' | 'unreadable'
  /** Where a status line had arrived. */
  readonly status: number | null
  readonly requestId: string | null

  /** No cause: what undici throws may carry the request's headers, and with them the key. */
  constructor(reason: TransportFailure['reason'], status: number | null = null, requestId: string | null = null) {
    super(`No answer from the payment gateway: ${reason}`)
    this.name = 'TransportFailure'
    this.reason = reason
    this.status = status
    this.requestId = requestId
  }
}

export interface StripeHttpClientOptions {
  /** Origin only, such as `https://api.stripe.com`. */
  readonly origin: string
  /** From the call to the last byte of the answer, waiting for a connection included. */
  readonly deadlineMs: number
  readonly maxConnections: number
}

export interface StripeHttpClient {
  readonly httpClient: Stripe.HttpClient
  /** Cuts what is under way, whose outcome is then unknown. Call it after the requests were drained. */
  close(): Promise<void>
}

/**
 * Requests that may wait for each connection. At the usual 50 ms the last one waits 0.4 s, well below any deadline; behind
 * a gateway that is slower than that, refusing at once is the better answer.
 */
const maxWaitingPerConnection = 8

/** Our answers have 2 KB; a list page of 100 has 200. */
const maxAnswerBytes = 1 << 20

/**
 * What carries the requests of the official `stripe` package. Its own transports cannot be used for money: they send a
 * request again when the connection breaks (even with `maxNetworkRetries: 0`), and their time-out starts anew with
 * each byte.
 *
 * Guarantees: a request is sent once or not at all; within the deadline it has its whole answer or fails with a
 * `TransportFailure`; connections, waiting requests and the size of an answer are bounded. Of the answer's headers only
 * `request-id` and `idempotent-replayed` are passed on.
 */
export function createStripeHttpClient(options: StripeHttpClientOptions): StripeHttpClient {
  const { origin, deadlineMs, maxConnections } = options
  const pool = new Pool(origin, {
    connections: maxConnections,
    // No second request on a connection whose first is unanswered: one broken answer must not make two unknowns.
    pipelining: 1,
    // One clock, the deadline below. undici's own would start anew with each byte.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: deadlineMs },
  })
  const maxOpenRequests = maxConnections * (1 + maxWaitingPerConnection)
  let openRequests = 0

  async function ask(request: RequestToSend): Promise<WholeAnswer> {
    if (openRequests >= maxOpenRequests) throw new TransportFailure('not-sent')
    openRequests += 1
    try {
      return await withDeadline(deadlineMs, (signal) => exchange(pool, request, signal))
    } finally {
      openRequests -= 1
    }
  }

  return {
    httpClient: {
      getClientName: () => 'seatbelt-undici',
      // Host, port, protocol and time-out are those that the pool was made with.
      async makeRequest(_host, _port, path, method, headers, body) {
        const hasBody = method === 'POST'
        return asStripeResponse(await ask({ path, method, headers: asText(headers), body: hasBody ? body : null }))
      },
    },
    close: () => pool.destroy(),
  }
}

interface RequestToSend {
  readonly path: string
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: string | null
}

interface WholeAnswer {
  readonly status: number
  readonly requestId: string | null
  readonly isReplayed: boolean
  readonly json: object
}

/** Rejects at the deadline, whatever the work does then; the signal tells the work to stop. */
function withDeadline<T>(deadlineMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new TransportFailure('deadline'))
      controller.abort()
    }, deadlineMs)
    work(controller.signal)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}

async function exchange(pool: Pool, request: RequestToSend, signal: AbortSignal): Promise<WholeAnswer> {
  const { statusCode, headers, body } = await send(pool, request, signal)
  const requestId = typeof headers['request-id'] === 'string' ? headers['request-id'] : null
  const unreadable = () => new TransportFailure('unreadable', statusCode, requestId)

  let text: string
  try {
    text = await readWhole(body)
  } catch {
    // Half an answer proves no more than none.
    throw unreadable()
  }
  const json = parseObject(text)
  // `stripe` takes every body without an `error` for a success, whatever the status.
  if (!json || isSuccess(statusCode) === hasErrorObject(json)) throw unreadable()
  return { status: statusCode, requestId, isReplayed: headers['idempotent-replayed'] === 'true', json }
}

async function send(pool: Pool, request: RequestToSend, signal: AbortSignal) {
  try {
    return await pool.request({
      path: request.path,
      method: request.method === 'POST' ? 'POST' : 'GET',
      headers: request.headers,
      body: request.body,
      signal,
    })
  } catch (error) {
    if (error instanceof errors.HTTPParserError) throw new TransportFailure('unreadable')
    throw new TransportFailure(wasRefused(error) ? 'not-sent' : 'connection')
  }
}

/** A name with several addresses fails with all their errors in one. */
function wasRefused(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(wasRefused)
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
}

async function readWhole(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    // Leaving the loop destroys the body and with it the connection.
    if (bytes > maxAnswerBytes) throw new RangeError('The answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    return null
  }
}

function hasErrorObject(json: object): boolean {
  return 'error' in json && typeof json.error === 'object' && json.error !== null
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function asText(headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

function asStripeResponse({ status, requestId, isReplayed, json }: WholeAnswer): Stripe.HttpClientResponse {
  const headers = {
    ...(requestId !== null && { 'request-id': requestId }),
    ...(isReplayed && { 'idempotent-replayed': 'true' }),
  }
  return {
    getStatusCode: () => status,
    getHeaders: () => headers,
    getRawResponse: () => ({ statusCode: status }),
    toJSON: async () => json,
    toStream: () => {
      throw new Error('Answers are read whole')
    },
  }
}
