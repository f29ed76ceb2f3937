import { sleep } from 'k6'
import { sha256 } from 'k6/crypto'
import http from 'k6/http'
import type { AcknowledgedPayment, Attempt } from './attempts.ts'
import { environment, replicaFor } from './environment.ts'

export interface Order {
  readonly id: string
  readonly amountMinor: number
  readonly currency: string
}

/** One copy of a request to pay: what is sent and under which key. */
export interface PaymentRequest {
  readonly order: Order
  readonly key: string
  readonly paymentMethod: string
  /** Set where the request goes elsewhere than to the payments of `order`, as the misuse of a key does. */
  readonly path?: string
  readonly body?: string
}

export type Answer = ReturnType<typeof http.request>

/** Nobody looks at a screen for longer. What was sent may still be done; the key is sent again and learns of it. */
const requestTimeout = '20s'

export function headers(key: string): Record<string, string> {
  return {
    Authorization: `Bearer ${environment.apiKey}`,
    'Content-Type': 'application/json',
    'Idempotency-Key': key,
  }
}

/** As `http.batch` takes it. */
export function paymentCall(request: PaymentRequest, replica: string) {
  return {
    method: 'POST',
    url: `${replica}${request.path ?? `/v1/orders/${request.order.id}/payments`}`,
    body: request.body ?? JSON.stringify({ paymentMethod: request.paymentMethod }),
    // One name for all orders: k6 would otherwise keep a time series for each address.
    params: { headers: headers(request.key), timeout: requestTimeout, tags: { name: 'pay' } },
  }
}

/** A replica may be down when an order is created. Another try goes to the next one, ten seconds in all at worst. */
const createTries = 20
const createPauseSeconds = 0.5

/** Creates many orders, some at a time; what did not succeed at once is tried on its own. @throws as `createOrder` does. */
export function createOrders(numbers: readonly number[]): Order[] {
  const orders: Order[] = []
  const atOnce = environment.copies
  for (let start = 0; start < numbers.length; start += atOnce) {
    const some = numbers.slice(start, start + atOnce)
    const answers = http.batch(some.map((number) => creation(number, replicaFor(number, 0)))) as Answer[]
    some.forEach((number, index) => {
      const answer = answers[index]
      orders.push(answer?.status === 201 ? readOrder(answer, number) : createOrder(number))
    })
  }
  return orders
}

/**
 * Creates the order with the given number.
 * @throws if no replica created it.
 */
export function createOrder(number: number): Order {
  for (let tried = 0; tried < createTries; tried += 1) {
    const { url, body, params } = creation(number, replicaFor(number, tried))
    const response = http.post(url, body, params)
    if (response.status === 201) return readOrder(response, number)
    if (isFinal(response)) throw new Error(`order ${number} was refused: ${response.status} ${response.body}`)
    sleep(createPauseSeconds)
  }
  throw new Error(`order ${number} could not be created`)
}

function creation(number: number, replica: string) {
  const params = {
    headers: headers(`${environment.run}-order-${number}`),
    timeout: requestTimeout,
    tags: { name: 'create order' },
  }
  const body = JSON.stringify({ customerId: `customer-${number}`, ...priceOf(number) })
  return { method: 'POST', url: `${replica}/v1/orders`, body, params }
}

function readOrder(answer: Answer, number: number): Order {
  return { id: String(answer.json('id')), ...priceOf(number) }
}

/** Orders differ in amount, so that a charge of another order's amount shows. */
function priceOf(number: number): { amountMinor: number; currency: string } {
  return { amountMinor: 1_000 + ((number * 37) % 9_000), currency: 'EUR' }
}

/**
 * `fail` only where the answer proves that this request did nothing. No answer at all is `info` even when the
 * connection was refused: k6's transport sends a request with an Idempotency-Key again by itself when a used
 * connection breaks, and reports only the last error.
 */
function outcomeOf(answer: Answer): Attempt['outcome'] {
  if (answer.status === 200 || answer.status === 201) return 'ok'
  if (answer.status === 503) return 'fail'
  return answer.status >= 400 && answer.status < 500 ? 'fail' : 'info'
}

/** 409s that say "not yet"; all other refusals stay what they are however often they are asked for. */
const temporaryCodes = ['payment-in-progress', 'request-in-progress']

/** Will this answer be the same for ever, so that the client may stop asking? */
export function isFinal(answer: Answer): boolean {
  if (answer.status === 201) return true
  if (answer.status === 409) return !temporaryCodes.includes(problemCode(answer) ?? '')
  return answer.status >= 400 && answer.status < 500 && answer.status !== 429
}

export function problemCode(answer: Answer): string | null {
  const code = member(answer, 'code')
  return typeof code === 'string' ? code : null
}

export function isReplay(answer: Answer): boolean {
  return header(answer, 'Idempotent-Replayed') === 'true'
}

export function toAttempt(request: PaymentRequest, answer: Answer, sentAt: number, endedAt: number): Attempt {
  const body = typeof answer.body === 'string' ? answer.body : null
  return {
    orderId: request.order.id,
    key: request.key,
    amountMinor: request.order.amountMinor,
    currency: request.order.currency,
    sentAt,
    endedAt,
    inFlightMs: answer.timings.duration,
    outcome: outcomeOf(answer),
    status: answer.status,
    code: problemCode(answer),
    replayed: isReplay(answer),
    instance: header(answer, 'Seatbelt-Instance'),
    bodySha256: body === null ? null : sha256(body, 'hex'),
    location: header(answer, 'Location'),
    payment: answer.status === 201 ? (answer.json() as unknown as AcknowledgedPayment) : null,
  }
}

function member(answer: Answer, name: string): unknown {
  if (typeof answer.body !== 'string' || !answer.body.startsWith('{')) return null
  try {
    return answer.json(name)
  } catch {
    // Half an answer: the status still counts, what it says does not.
    return null
  }
}

function header(answer: Answer, name: string): string | null {
  return answer.headers[name] ?? null
}
