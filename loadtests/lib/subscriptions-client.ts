import http from 'k6/http'
import { type Answer, headers, look } from './client.ts'
import { environment, replicaFor } from './environment.ts'

/** A customer of the gateway who is the account's own, with a card attached. */
export interface Subscriber {
  readonly number: number
  readonly gatewayCustomerId: string
  readonly paymentMethod: string
}

export interface Price {
  readonly amountMinor: number
  readonly currency: string
}

export interface Invoice {
  readonly orderId: string
  readonly state: string
}

/** As a merchant: its backend registers the customer here, and its page attaches the card at the gateway. */
export function newSubscriber(number: number): Subscriber {
  const gatewayCustomerId = idIn(toRegister(number, { customerId: `subscriber-${number}` }), 'customer')
  const paymentMethod = askGateway('/v1/payment_methods/pm_card_visa/attach', { customer: gatewayCustomerId })
  return { number, gatewayCustomerId, paymentMethod }
}

interface Registration {
  readonly customerId: string
  readonly gatewayCustomerId?: string
}

export function toRegister(number: number, body: Registration, apiKey?: string): Answer {
  return post(number, 'gateway-customer', '/v1/gateway-customers', body, apiKey)
}

/** Its first period fell due an hour ago. */
export function toSubscribe({ number, ...method }: Subscriber, price: Price, apiKey?: string): Answer {
  const body = {
    ...{ customerId: `subscriber-${number}`, ...method, ...price },
    ...{ interval: { unit: 'month', count: 1 }, timeZone: 'UTC' },
    anchor: new Date(Date.now() - 3_600_000).toISOString().slice(0, 19),
  }
  return post(number, 'subscription', '/v1/subscriptions', body, apiKey)
}

/** The id of what an answer says was created. @throws if it was not. */
export function idIn(answer: Answer, what: string): string {
  if (answer.status !== 201) throw new Error(`${what}: ${answer.status} ${answer.body}`)
  return String(answer.json('id'))
}

export function invoicesOf(subscriptionId: string, number: number): Invoice[] {
  return look(`/v1/subscriptions/${subscriptionId}`, replicaFor(number, 0)).json('invoices') as unknown as Invoice[]
}

function post(number: number, what: string, path: string, body: object, apiKey?: string): Answer {
  return http.post(`${replicaFor(number, 0)}${path}`, JSON.stringify(body), {
    headers: headers(`${environment.run}-${what}-${number}`, apiKey),
    tags: { name: 'subscribe' },
  })
}

/** Returns the id of what was made. */
function askGateway(path: string, form: Record<string, string>): string {
  const answer = http.post(`${environment.gatewayUrl}${path}`, form, {
    headers: { Authorization: `Bearer ${environment.gatewayApiKey}` },
    tags: { name: 'subscribe' },
  })
  if (answer.status !== 200) throw new Error(`${path} at the gateway: ${answer.status} ${answer.body}`)
  return String(answer.json('id'))
}
