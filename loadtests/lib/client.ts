import { sleep } from 'k6'
import { sha256 } from 'k6/crypto'
import http from 'k6/http'
import type { AcknowledgedPayment, AcknowledgedRefund, Attempt, Operation } from './attempts.ts'
import { type Api, environment, replicaFor } from './environment.ts'

export interface Order {
  readonly id: string
  readonly amountMinor: number
  readonly currency: string
}

/** One copy of a request: what is sent, to which API, and under which key. */
export interface Sendable {
  readonly api: Api
  readonly operation: string
  readonly key: string
  readonly path: string
  readonly body: string
}

/** One about an order's money. */
export interface MoneyRequest extends Sendable {
  readonly api: 'payments'
  readonly operation: Operation
  readonly order: Order
  /** What is asked for: the order's amount, and of a refund its own. */
  readonly amountMinor: number
}

/** `authorize`: only puts the amount on hold. */
export function toPay(
  order: Order,
  key: string,
  {
    paymentMethod = 'pm_card_visa',
    operation = 'pay',
  }: { paymentMethod?: string; operation?: 'pay' | 'authorize' } = {},
): MoneyRequest {
  const body = operation === 'authorize' ? { paymentMethod, capture: 'manual' } : { paymentMethod }
  return request(operation, order, key, `/v1/orders/${order.id}/payments`, body)
}

export function toCancel(order: Order, key: string): MoneyRequest {
  return request('cancel', order, key, `/v1/orders/${order.id}/cancellation`, {})
}

/** Takes what is on hold, or gives it back. */
export function toEnd(how: 'capture' | 'void', order: Order, paymentId: string, key: string): MoneyRequest {
  return request(how, order, key, `/v1/payments/${paymentId}/${how}`, {})
}

export function toRefund(order: Order, paymentId: string, key: string, amountMinor: number): MoneyRequest {
  return { ...request('refund', order, key, `/v1/payments/${paymentId}/refunds`, { amountMinor }), amountMinor }
}

function request(operation: Operation, order: Order, key: string, path: string, body: object): MoneyRequest {
  return { api: 'payments', operation, order, key, amountMinor: order.amountMinor, path, body: JSON.stringify(body) }
}

/** Looks at something of ours. @throws if it is not to be had. */
export function look(path: string, replica: string): Answer {
  const answer = http.get(`${replica}${path}`, {
    headers: { Authorization: `Bearer ${environment.apiKey}` },
    timeout: requestTimeout,
    tags: { name: 'look' },
  })
  if (answer.status !== 200) throw new Error(`${path} was answered ${answer.status}`)
  return answer
}

/** What was created. @throws if it was not. */
export function createdBody(answer: Answer, what: string): unknown {
  if (answer.status !== 201) throw new Error(`${what} was answered ${answer.status} ${answer.body}`)
  return answer.json()
}

export type Answer = ReturnType<typeof http.request>

/** Nobody looks at a screen for longer. What was sent may still be done; the key is sent again and learns of it. */
export const patienceMs = 20_000
const requestTimeout = `${patienceMs}ms`

export function headers(key: string, apiKey = environment.apiKey): Record<string, string> {
  return {
    Authorization: `Bearer ${apiKey}`,
    'Content-Type': 'application/json',
    'Idempotency-Key': key,
  }
}

/** As `http.batch` takes it. */
export function callOf({ operation, key, path, body }: Sendable, replica: string, timeoutMs: number) {
  return {
    method: 'POST',
    url: `${replica}${path}`,
    body,
    // One name for all orders: k6 would otherwise keep a time series for each address.
    params: { headers: headers(key), timeout: `${timeoutMs}ms`, tags: { name: operation } },
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
  const address = environment.receipts ? { receiptEmail: `customer-${number}@example.com` } : {}
  const body = JSON.stringify({ customerId: `customer-${number}`, ...priceOf(number), ...address })
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
export function outcomeOf(answer: Answer): Attempt['outcome'] {
  if (isDone(answer)) return 'ok'
  if (answer.status === 503) return 'fail'
  return answer.status >= 400 && answer.status < 500 ? 'fail' : 'info'
}

/** 409s that say "not yet"; all other refusals stay what they are however often they are asked for. */
const temporaryCodes = [
  'payment-in-progress',
  'request-in-progress',
  'hold-in-progress',
  'hold-checking-out',
  'booking-in-progress',
]

/** Will this answer be the same for ever, so that the client may stop asking? */
export function isFinal(answer: Answer): boolean {
  if (isDone(answer)) return true
  if (answer.status === 409) return !temporaryCodes.includes(problemCode(answer) ?? '')
  return answer.status >= 400 && answer.status < 500 && answer.status !== 429
}

/** Was what was asked for done, now or earlier? */
export function isDone({ status }: Answer): boolean {
  return status === 200 || status === 201
}

export function problemCode(answer: Answer): string | null {
  const code = member(answer, 'code')
  return typeof code === 'string' ? code : null
}

export function isReplay(answer: Answer): boolean {
  return header(answer, 'Idempotent-Replayed') === 'true'
}

export function toAttempt(request: MoneyRequest, answer: Answer, sentAt: number, endedAt: number): Attempt {
  const body = typeof answer.body === 'string' ? answer.body : null
  return {
    operation: request.operation,
    orderId: request.order.id,
    key: request.key,
    amountMinor: request.amountMinor,
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
    ...acknowledgedBy(request, answer),
  }
}

/** A cancellation is answered with its order, which has no payment to speak of. */
function acknowledgedBy({ operation }: MoneyRequest, answer: Answer): Pick<Attempt, 'payment' | 'refund'> {
  if (!isDone(answer) || operation === 'cancel') return { payment: null, refund: null }
  if (operation === 'refund') return { payment: null, refund: answer.json() as unknown as AcknowledgedRefund }
  return { payment: answer.json() as unknown as AcknowledgedPayment, refund: null }
}

export function member(answer: Answer, name: string): unknown {
  if (typeof answer.body !== 'string' || !answer.body.startsWith('{')) return null
  try {
    return answer.json(name)
  } catch {
    // Half an answer: the status still counts, what it says does not.
    return null
  }
}

export function header(answer: Answer, name: string): string | null {
  return answer.headers[name] ?? null
}
