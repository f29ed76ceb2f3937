import Stripe from 'stripe'
import { applyGatewayEvent, createStripeEventReader, type EventResult, type GatewayEvent } from '../src/index.ts'
import type { Replica, Shop } from './shop.ts'

/** The actions of a person at the gateway's own console, and the events that the gateway then sends. */

const secret = 'whsec_console'
const read = createStripeEventReader({ secrets: [secret] })

/** Without an amount: all of it. */
export async function atConsole<Shown = { id: string }>(
  shop: Pick<Shop, 'gatewayUrl'>,
  intentId: string,
  action: 'refund' | 'capture' | 'cancel',
  amount?: number,
): Promise<Shown> {
  const response = await fetch(`${shop.gatewayUrl}/_control/console/payment_intents/${intentId}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(amount === undefined ? {} : { amount }),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(`the console refused: ${JSON.stringify(answer)}`)
  return answer as Shown
}

export async function intentOf(shop: Shop, paymentId: string): Promise<string> {
  const [row] = await shop.sql<{ intent: string }>('SELECT gateway_intent_id AS intent FROM payments WHERE id = $1', [
    paymentId,
  ])
  if (!row) throw new Error(`there is no payment ${paymentId}`)
  return row.intent
}

/** The newest event of this type about this object, as our receiver reads it. */
export async function eventAbout(shop: Shop, type: string, objectId: string): Promise<GatewayEvent> {
  const response = await fetch(`${shop.gatewayUrl}/v1/events?type=${type}&limit=100`, {
    headers: { authorization: 'Bearer sk_test_dev_only' },
  })
  const { data } = (await response.json()) as { data: { data: { object: { id: string } } }[] }
  const wire = data.find((event) => event.data.object.id === objectId)
  if (!wire) throw new Error(`the gateway has no ${type} about ${objectId}`)
  const payload = JSON.stringify(wire)
  const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret })
  const event = read(Buffer.from(payload), signature)
  if (event.kind !== 'event') throw new Error(`not readable: ${event.reason}`)
  return event.event
}

export async function deliverEvent(
  shop: Shop,
  { deps }: Pick<Replica, 'deps'>,
  type: string,
  objectId: string,
): Promise<EventResult> {
  return applyGatewayEvent(deps, await eventAbout(shop, type, objectId))
}
