/**
 * Many subscriptions fall due at the same moment, and all workers wake at once to bill them: each period is invoiced and charged
 * once, also when the answer to a charge is lost, and also after the next two runs.
 *
 * While the run is at work, clients try to pay the invoices' orders by hand. Only the billing run may.
 */
import { sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { type Order, problemCode, toPay } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce } from './lib/ledger.ts'
import { billingIntervalSeconds } from './lib/loads.ts'
import { answersUnexpected, periodsChargedWrong } from './lib/metrics.ts'
import { type Invoice, idIn, invoicesOf, newSubscriber, toSubscribe } from './lib/subscriptions-client.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley } from './lib/volley.ts'

/** Here each order is a subscription. */
const { orders: subscriptions, copies } = environment

/** They do nothing but wait; more of them would only be memory. */
const mostClients = 50
const pollSeconds = 1
/** As many runs come after the one that charges: each of them could charge again. */
const furtherRuns = 2

const periodsChecked = new Counter('periods_checked')
const invoicesPaid = new Counter('invoices_paid')
const byHandRefused = new Counter('by_hand_refused')

const proof = proofThresholds({ ordersChecked: subscriptions, copiesSettled: subscriptions * copies })
/** What overlaps here are the workers, not the clients. */
delete proof.overlapping_pairs

export const options: Options = {
  ...commonOptions,
  scenarios: {
    billing_run: {
      executor: 'shared-iterations',
      vus: Math.min(subscriptions, mostClients),
      iterations: subscriptions,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...proof,
    ...faultThresholds('billing-run'),
    periods_charged_wrong: ['count==0'],
    periods_checked: [`count==${subscriptions}`],
    invoices_paid: [`count==${subscriptions}`],
    by_hand_refused: [`count==${subscriptions * copies}`],
  },
}

interface Subscription extends Order {
  readonly gatewayCustomerId: string
}

interface Due {
  readonly due: readonly Subscription[]
  readonly checkAt: number
}

/** All of them must be due before the run begins, so that they are made here. */
export function setup(): Due {
  breakGateway('billing-run')
  const due = Array.from({ length: subscriptions }, (_, number) => subscribe(number))
  return { due, checkAt: Date.now() + (1 + furtherRuns) * billingIntervalSeconds * 1_000 }
}

export default function billingRun({ due, checkAt }: Due): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    const subscription = due[number]
    if (subscription === undefined) throw new Error(`setup made no subscription ${number}`)
    const orderId = waitForInvoice(subscription, number, () => true)
    const order = { ...subscription, id: orderId }
    payByHand(order, number)
    waitForInvoice(subscription, number, ({ state }) => state === 'paid')
    invoicesPaid.add(1)
    sleep(Math.max(0, checkAt - Date.now()) / 1_000)
    checkPeriod(subscription, number)
    checkChargedOnce(order)
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('billing-run')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('billing-run', data)
}

function subscribe(number: number): Subscription {
  const price = { amountMinor: 500 + ((number * 37) % 4_000), currency: 'EUR' }
  const subscriber = newSubscriber(number)
  const id = idIn(toSubscribe(subscriber, price), `subscription ${number}`)
  return { id, gatewayCustomerId: subscriber.gatewayCustomerId, ...price }
}

/** Returns the id of the order that collects it. @throws where no such invoice is seen in time. */
function waitForInvoice({ id }: Subscription, number: number, isIt: (invoice: Invoice) => boolean): string {
  const deadline = Date.now() + environment.settleWithinMs + billingIntervalSeconds * 1_000
  while (Date.now() < deadline) {
    const found = invoicesOf(id, number).find(isIt)
    if (found !== undefined) return found.orderId
    sleep(pollSeconds)
  }
  throw new Error(`subscription ${id} was not billed`)
}

function payByHand(order: Order, number: number): void {
  const requests = Array.from({ length: copies }, (_, copy) =>
    toPay(order, `${environment.run}-by-hand-${number}-${copy}`),
  )
  for (const answer of fireVolley(requests, number)) {
    if (answer.status === 409 && problemCode(answer) === 'order-managed') byHandRefused.add(1)
    else answersUnexpected.add(1, { status: String(answer.status) })
  }
}

/** By what the gateway took from this customer, whatever order it was for. */
function checkPeriod({ id, gatewayCustomerId }: Subscription, number: number): void {
  const answer = http.get(`${environment.gatewayUrl}/v1/charges?customer=${gatewayCustomerId}&limit=100`, {
    headers: { Authorization: `Bearer ${environment.gatewayApiKey}` },
    tags: { name: 'charges' },
  })
  if (answer.status !== 200) throw new Error(`the charges of ${gatewayCustomerId}: ${answer.status}`)
  const charges = answer.json('data') as unknown as readonly { captured: boolean }[]
  const taken = charges.filter(({ captured }) => captured).length
  const invoices = invoicesOf(id, number).length
  periodsChecked.add(1)
  if (taken !== 1 || invoices !== 1) periodsChargedWrong.add(1, { charges: String(taken), invoices: String(invoices) })
}
