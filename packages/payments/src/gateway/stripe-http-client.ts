import type Stripe from 'stripe'
import { type Dispatcher, errors, Pool } from 'undici'

/** Why no answer can be shown. Travels as the `detail` of the StripeConnectionError that `stripe` makes of it. */
export class TransportFailure extends Error {
  readonly reason: 'deadline' | 'not-sent' | 'connection' | 'unreadable'
  /** Null: no status line arrived. */
  readonly status: number | null
  readonly requestId: string | null

  /** Without a cause: undici's errors may carry the request's headers, and with them the key. */
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
  /** From the call to the last byte of the answer, including the time for a connection. */
  readonly deadlineMs: number
  readonly maxConnections: number
}

export interface StripeHttpClient {
  readonly httpClient: Stripe.HttpClient
  /** Cuts the requests under way; their outcome is then unknown. Call it after the requests were drained. */
  close(): Promise<void>
}

/**
 * Requests that may wait for each connection. At the usual 50 ms the last one waits 0.4 s, well below any deadline.
 * Behind a slower gateway, it is better to refuse at once.
 */
const maxWaitingPerConnection = 8

/** Our answers have 2 KB; a list page of 100 has 200. */
const maxAnswerBytes = 1 << 20

/**
 * The transport of the official `stripe` package. The package's own transports are not fit for money: they send a
 * request again when the connection breaks (even with `maxNetworkRetries: 0`), and their time-out starts again with
 * each byte.
 *
 * Guarantees: a request is sent once or not at all. Within the deadline it has its whole answer or fails with a
 * `TransportFailure`. Connections, waiting requests and the size of an answer are bounded. Of the answer's headers,
 * only `request-id` and `idempotent-replayed` are passed on.
 */
export function createStripeHttpClient(options: StripeHttpClientOptions): StripeHttpClient {
  const { origin, deadlineMs, maxConnections } = options
  const pool = new Pool(origin, {
    connections: maxConnections,
    // No second request on a connection whose first is unanswered: one broken answer must not make two unknowns.
    pipelining: 1,
    // The deadline below is the only clock. undici's own time-outs would start again with each byte.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: deadlineMs },
  })
  const maxOpenRequests = maxConnections * (1 + maxWaitingPerConnection)
  let openRequests = 0

  return {
    httpClient: {
      getClientName: () => 'seatbelt-undici',
      // Host, port, protocol and time-out are those of the pool.
      makeRequest(_host, _port, path, method, headers, body) {
        if (openRequests >= maxOpenRequests) return Promise.reject(new TransportFailure('not-sent'))
        openRequests += 1
        return new Promise((resolve, reject) => {
          const exchange = new Exchange(deadlineMs, (result) => {
            openRequests -= 1
            if (result instanceof TransportFailure) reject(result)
            else resolve(result)
          })
          const isPost = method === 'POST'
          const request = { path, method: isPost ? 'POST' : 'GET', body: isPost ? body : null } as const
          pool.dispatch({ ...request, headers: headers as Record<string, string> }, exchange)
        })
      },
    },
    close: () => pool.destroy(),
  }
}

/**
 * One request and its answer, as undici reports them. It settles once, at the latest at the deadline.
 *
 * undici's `request` does the same with a stream and an abort signal per answer, for a third more CPU.
 */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #settle: (result: Stripe.HttpClientResponse | TransportFailure) => void
  readonly #timer: NodeJS.Timeout
  #isSettled = false
  #controller: Dispatcher.DispatchController | undefined
  #status: number | null = null
  #headers: Record<string, string> = {}
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(deadlineMs: number, settle: (result: Stripe.HttpClientResponse | TransportFailure) => void) {
    this.#settle = settle
    this.#timer = setTimeout(() => this.#cut(new TransportFailure('deadline')), deadlineMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // A request whose deadline came while it waited for a connection is never sent.
    if (this.#isSettled) controller.abort(new TransportFailure('deadline'))
  }

  onResponseStart(_: unknown, status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    // An interim answer (1xx) precedes the answer.
    if (status < 200) return
    this.#status = status
    for (const name of ['request-id', 'idempotent-replayed']) {
      const value = headers[name]
      if (typeof value === 'string') this.#headers[name] = value
    }
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > maxAnswerBytes) this.#cut(this.#unreadable())
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    const status = this.#status ?? 0
    const json = parseObject(Buffer.concat(this.#chunks).toString('utf8'))
    // `stripe` takes every body without an `error` for a success, whatever the status.
    const isReadable = json !== null && isSuccess(status) !== hasErrorObject(json)
    this.#end(isReadable ? stripeResponse(status, this.#headers, json) : this.#unreadable())
  }

  onResponseError(_: unknown, error: Error): void {
    // Half an answer proves no more than none.
    if (this.#status !== null || error instanceof errors.HTTPParserError) this.#end(this.#unreadable())
    else this.#end(new TransportFailure(wasRefused(error) ? 'not-sent' : 'connection'))
  }

  #unreadable(): TransportFailure {
    return new TransportFailure('unreadable', this.#status, this.#headers['request-id'] ?? null)
  }

  /** Also destroys the connection, on which the rest of the answer could still come. */
  #cut(failure: TransportFailure): void {
    this.#end(failure)
    this.#controller?.abort(failure)
  }

  #end(result: Stripe.HttpClientResponse | TransportFailure): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#timer)
    this.#settle(result)
  }
}

/** A name with several addresses fails with all their errors in one. */
function wasRefused(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(wasRefused)
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
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

function stripeResponse(status: number, headers: Record<string, string>, json: object): Stripe.HttpClientResponse {
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
