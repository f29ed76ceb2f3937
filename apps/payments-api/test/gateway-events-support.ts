import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { developmentAccounts, findAccountByKeyHash } from '@seatbelt/database'
import { createAuthenticate, createLogger, createMetrics, createTokenBuckets } from '@seatbelt/http'
import { applyGatewayEvent, createPaymentOperations, createStripeEventReader } from '@seatbelt/payments'
import Stripe from 'stripe'
import { openShop, type Replica, type Shop } from '../../../packages/payments/test/shop.ts'
import { createApp } from '../src/index.ts'

export const secret = 'whsec_test_first'
export const nextSecret = 'whsec_test_second'
const unlimited = { perSecond: 1_000_000, burst: 1_000_000 }

/** The API as it is, over HTTP and over what a replica of a shop is made of. */
export interface Api {
  readonly url: string
  /** Delivers an event as the gateway does. */
  deliver(event: object, how?: Delivery): Promise<Taken>
  metrics(): Promise<string>
}

export interface Delivery {
  readonly secret?: string
  /** Instead of the one that is made. */
  readonly signature?: string | null
  /** Seconds since the epoch. */
  readonly timestamp?: number
  readonly contentType?: string
  /** Instead of the event. */
  readonly body?: string
}

export interface Taken {
  readonly status: number
  readonly body: { readonly result?: string; readonly code?: string; readonly detail?: string }
  readonly retryAfter: string | null
}

export interface World extends Shop {
  api(replica: Replica, parts?: { readonly now?: () => number; readonly bodyMs?: number }): Promise<Api>
}

export async function openWorld(): Promise<World> {
  const shop = await openShop()
  const closers: (() => Promise<unknown>)[] = []
  return {
    ...shop,
    api: async (replica, { now, bodyMs } = {}) => {
      const metrics = createMetrics({ processMetrics: false })
      const app = createApp({
        operations: createPaymentOperations(replica.deps),
        gatewayEvents: {
          read: createStripeEventReader({ secrets: [secret, nextSecret], ...(now && { now }) }),
          apply: (event) => applyGatewayEvent(replica.deps, event),
          ...(bodyMs && { bodyMs }),
        },
        authenticate: createAuthenticate({
          findAccountByKeyHash: findAccountByKeyHash(replica.database),
          developmentKeys: 'accepted',
          // Each key that is seen for the first time counts. What is delivered does not: a hundred at once are taken.
          strangers: createTokenBuckets({ perSecond: 1, burst: 20 }),
        }),
        accounts: createTokenBuckets(unlimited),
        ...{ metrics, logger: createLogger({ level: 'silent', instance: 'api' }), instance: 'api' },
      })
      const server = app.listen(0, '127.0.0.1')
      await once(server, 'listening')
      closers.push(async () => {
        server.close()
        server.closeAllConnections()
        await once(server, 'close')
      })
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      return {
        url,
        deliver: (event, how = {}) => deliver(`${url}/v1/gateway/webhooks`, event, how),
        metrics: async () => (await fetch(`${url}/metrics`)).text(),
      }
    },
    close: async () => {
      for (const close of closers) await close()
      await shop.close()
    },
  }
}

async function deliver(url: string, event: object, how: Delivery): Promise<Taken> {
  const payload = how.body ?? JSON.stringify(event)
  const timestamp = how.timestamp ?? Math.floor(Date.now() / 1000)
  const made = Stripe.webhooks.generateTestHeaderString({ payload, secret: how.secret ?? secret, timestamp })
  const signature = how.signature === undefined ? made : how.signature
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': how.contentType ?? 'application/json; charset=utf-8',
      ...(signature !== null && { 'stripe-signature': signature }),
    },
    body: payload,
  })
  const body = (await response.json()) as Taken['body']
  return { status: response.status, body, retryAfter: response.headers.get('retry-after') }
}

export interface Known {
  readonly orderId: string
  readonly paymentId: string
  readonly intentId: string
  readonly amountMinor: number
  /** As the gateway names them. */
  readonly names: { readonly orderId: string; readonly paymentId: string }
}

/** A payment whose intent is stored, as it is in the books now. */
export async function paymentOf(shop: Shop, orderId: string): Promise<Known & { readonly state: string }> {
  const [row] = await shop.sql<{ id: string; intent: string; amount: number; state: string; names: Known['names'] }>(
    `SELECT id, gateway_intent_id AS intent, amount_minor AS amount, state::text,
            json_build_object('paymentId', gateway_key,
                              'orderId', (SELECT gateway_reference FROM orders WHERE orders.id = order_id)) AS names
       FROM payments WHERE order_id = $1 ORDER BY id DESC`,
    [orderId],
  )
  if (!row) throw new Error(`order ${orderId} has no payment`)
  const { id: paymentId, intent: intentId, amount: amountMinor, state, names } = row
  return { orderId, paymentId, intentId, amountMinor, state, names }
}

/** What the gateway itself tells about an intent, oldest first. */
export async function eventsOf(shop: Shop, intentId: string): Promise<GatewayEventOnWire[]> {
  const response = await fetch(`${shop.gatewayUrl}/v1/events?limit=100`, {
    headers: { authorization: 'Bearer sk_test_dev_only' },
  })
  const { data } = (await response.json()) as { data: GatewayEventOnWire[] }
  return data.filter(({ data: { object } }) => object.id === intentId || object.payment_intent === intentId).reverse()
}

export interface GatewayEventOnWire {
  readonly object?: 'event'
  readonly request?: object
  readonly id: string
  readonly type: string
  readonly data: { readonly object: Record<string, unknown> }
}

/** An event about the intent of a payment, with the id, the state and whatever else a test wants it to have. */
export function intentEvent(
  { paymentId, intentId, amountMinor, names }: Known,
  type: string,
  overrides: Record<string, unknown> = {},
): GatewayEventOnWire {
  const took = type === 'payment_intent.succeeded'
  const statuses: Record<string, string> = {
    'payment_intent.succeeded': 'succeeded',
    'payment_intent.canceled': 'canceled',
    'payment_intent.payment_failed': 'requires_payment_method',
    'payment_intent.amount_capturable_updated': 'requires_capture',
  }
  return event(type, {
    id: intentId,
    object: 'payment_intent',
    created: 1,
    amount: amountMinor,
    amount_received: took ? amountMinor : 0,
    currency: 'eur',
    last_payment_error: null,
    latest_charge: took ? `ch_${paymentId}` : null,
    metadata: { ...names, accountId: developmentAccounts[0].id },
    status: statuses[type] ?? 'processing',
    ...overrides,
  })
}

export function event(type: string, object: Record<string, unknown>): GatewayEventOnWire {
  const id = `evt_${randomUUID().replaceAll('-', '')}`
  return { id, object: 'event', type, request: { id: 'req_1', idempotency_key: null }, data: { object } }
}

/** What is recorded about events, by their type. */
export async function recorded(shop: Shop): Promise<Record<string, string>> {
  const rows = await shop.sql<{ type: string; result: string }>('SELECT type, result FROM gateway_events')
  return Object.fromEntries(rows.map(({ type, result }) => [type, result]))
}

/** What stands in the books about an order whose payment is settled: enough to compare two ways to the same end. */
export async function booksOf(shop: Shop, orderId: string) {
  const [row] = await shop.sql(
    `SELECT o.state::text AS "order", p.state::text AS payment, p.decline_code AS "declineCode",
            p.refunded_minor AS refunded, p.refund_pending_minor AS pending,
            (SELECT count(*)::int FROM transfers t WHERE t.payment_id = p.id AND kind = 'charge') AS charges,
            (SELECT count(*)::int FROM transfers t WHERE t.payment_id = p.id AND kind = 'refund')
          - (SELECT count(*)::int FROM transfers t WHERE t.payment_id = p.id AND kind = 'refund_reversal') AS "standingRefunds",
            (SELECT count(*)::int FROM payment_events e WHERE e.payment_id = p.id AND event = 'settled' AND refund_id IS NULL) AS settled,
            (SELECT count(*)::int FROM idempotency_keys k WHERE k.payment_id = p.id AND answer_status IS NULL) AS unanswered
       FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.id = $1`,
    [orderId],
  )
  return row
}

/** All orders in which these can come. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  )
}
