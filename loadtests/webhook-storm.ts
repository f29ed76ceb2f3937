/**
 * The gateway tells of each thing five times at once, twice, out of order, late, wrongly signed or never, while clients pay and
 * refund: it has its effect once. Three answers in ten to the requests themselves are lost, so that often the event is all
 * that we hear.
 *
 * Meanwhile somebody forges events about orders that nobody pays: unsigned, signed with another secret, or with a signature
 * that is none. All are refused, and those orders stay unpaid.
 */
import { hmac } from 'k6/crypto'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import type { AcknowledgedRefund } from './lib/attempts.ts'
import { countVerdict } from './lib/auditor.ts'
import { createOrder, look, type Order, toPay, toRefund } from './lib/client.ts'
import { environment, replicaFor } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce, checkNeverCharged, checkRefunded } from './lib/ledger.ts'
import { answersUnexpected, forgeriesTaken } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders, copies, concurrency } = environment

/** Ways to forge the event that would pay an order. */
const forgeriesPerOrder = 3

const eventsApplied = new Counter('events_applied')
const forgeriesRefused = new Counter('forgeries_refused')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    webhook_storm: {
      executor: 'shared-iterations',
      vus: Math.min(orders, concurrency),
      iterations: orders,
      maxDuration: '15m',
    },
  },
  thresholds: {
    // Of each order the copies of its payment, and one refund. Beside it stands the one that is forged for.
    ...proofThresholds({ ordersChecked: orders * 2, copiesSettled: orders * (copies + 1) }),
    ...faultThresholds('webhook-storm'),
    payments_refunded_wrong: ['count==0'],
    forgeries_taken: ['count==0'],
    forgeries_refused: [`count==${orders * forgeriesPerOrder}`],
    // Payments whose history says that it was an event that settled them or their refund.
    events_applied: ['count>0'],
  },
}

export function setup(): void {
  breakGateway('webhook-storm')
}

export default function webhookStorm(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number)
    const order = createOrder(number)
    const unpaid = createOrder(orders + number)
    forgeFor(unpaid, number)
    const paymentId = pay(order, number)
    if (paymentId === null) return
    const refund = giveBack(order, paymentId, number)
    countApplied(paymentId, number)
    checkChargedOnce(order)
    checkRefunded(order, refund === null ? [] : [refund])
    checkUnpaid(unpaid, number)
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('webhook-storm')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('webhook-storm', data)
}

/** Null: an answer that this load does not provide for. */
function pay(order: Order, number: number): string | null {
  const answers = fireVolley(
    Array.from({ length: copies }, () => toPay(order, `${environment.run}-pay-${number}`)),
    number,
  )
  for (const { status } of answers) if (status !== 201) answersUnexpected.add(1, { status: String(status) })
  const paid = answers.find(({ status }) => status === 201)
  return paid === undefined ? null : String(paid.json('id'))
}

function giveBack(order: Order, paymentId: string, number: number): AcknowledgedRefund | null {
  const request = toRefund(order, paymentId, `${environment.run}-refund-${number}`, Math.ceil(order.amountMinor * 0.4))
  const [answer] = fireVolley([request], number)
  if (answer?.status === 201) return answer.json() as unknown as AcknowledgedRefund
  answersUnexpected.add(1, { status: String(answer?.status) })
  return null
}

function countApplied(paymentId: string, number: number): void {
  const { history } = look(`/v1/payments/${paymentId}`, replicaFor(number, 0)).json() as unknown as {
    history: readonly { event: string }[]
  }
  if (history.some(({ event }) => event === 'gateway-event')) eventsApplied.add(1)
}

function forgeFor(order: Order, number: number): void {
  const body = JSON.stringify(forgedEvent(order))
  const seconds = Math.floor(Date.now() / 1_000)
  const signatures = [
    null,
    `t=${seconds},v1=${hmac('sha256', 'whsec_of_somebody_else', `${seconds}.${body}`, 'hex')}`,
    `t=${seconds},v1=`,
  ]
  signatures.slice(0, forgeriesPerOrder).forEach((signature, way) => {
    const answer = http.post(`${replicaFor(number + way, 0)}/v1/gateway/webhooks`, body, {
      headers: { 'Content-Type': 'application/json', ...(signature !== null && { 'Stripe-Signature': signature }) },
      timeout: '10s',
      tags: { name: 'forge' },
    })
    if (answer.status === 400) forgeriesRefused.add(1)
    else if (answer.status === 200) forgeriesTaken.add(1, { way: String(way) })
    else answersUnexpected.add(1, { status: String(answer.status) })
  })
}

/** All that the true event would say, as far as a stranger can know it. */
function forgedEvent({ id: orderId, amountMinor, currency }: Order) {
  return {
    id: `evt_forged_${orderId}`,
    object: 'event',
    type: 'payment_intent.succeeded',
    data: {
      object: {
        id: `pi_forged_${orderId}`,
        object: 'payment_intent',
        status: 'succeeded',
        amount: amountMinor,
        amount_received: amountMinor,
        currency: currency.toLowerCase(),
        latest_charge: `ch_forged_${orderId}`,
        metadata: { orderId, paymentId: orderId, accountId: orderId },
      },
    },
  }
}

function checkUnpaid(order: Order, number: number): void {
  checkNeverCharged(order)
  const state = look(`/v1/orders/${order.id}`, replicaFor(number, 0)).json('state')
  if (state !== 'pending') forgeriesTaken.add(1, { state: String(state) })
}
