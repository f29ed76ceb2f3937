/**
 * Half of the gateway's answers take three seconds or are a 500: whoever pays gets an answer in the end and is charged once,
 * reads stay quick, and what is more than a replica can wait for is told so at once.
 *
 * Clients come at a steady rate, whether or not those before them are served. In the middle more of them than one replica has
 * places for the gateway come to it at the same moment: the surplus gets 503 with `Retry-After`, claims nothing, and comes
 * again. Ten seconds after the last client came the brownout passes; within a minute of that everybody has an answer.
 *
 * How many were paid for a second, and how long they waited, is written down and not judged: it is the gateway's doing.
 */
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter, Trend } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { createOrder, createOrders, headers, type MoneyRequest, type Order, toPay } from './lib/client.ts'
import { environment, replicaFor } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce } from './lib/ledger.ts'
import { brownoutDelayMs } from './lib/loads.ts'
import { answersUnexpected } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, type Manners, warmConnections } from './lib/volley.ts'

const { orders } = environment

const seconds = 30
/** From the beginning. What was sent last has been in it for ten seconds then. */
const passesAfterSeconds = seconds + 10
/** A click, and the same once more. */
const clicks = 2
/** A replica has a hundred places; half as many again leave no doubt. */
const surge = 150
const readsPerSecond = 5
/** Clients that wait at the same time. Most are through in some seconds. */
const mostClients = 100

const readDuration = new Trend('read_duration', true)
const readsFailed = new Counter('reads_failed')

export const options: Options = {
  ...commonOptions,
  batch: surge,
  batchPerHost: surge,
  scenarios: {
    payers: {
      executor: 'constant-arrival-rate',
      exec: 'payer',
      rate: orders,
      timeUnit: `${seconds}s`,
      duration: `${seconds}s`,
      preAllocatedVUs: Math.min(orders, mostClients),
      gracefulStop: '5m',
    },
    surge: {
      executor: 'per-vu-iterations',
      exec: 'surgeOfPayers',
      vus: 1,
      iterations: 1,
      startTime: `${seconds / 3}s`,
      maxDuration: '5m',
    },
    passing: {
      executor: 'per-vu-iterations',
      exec: 'pass',
      vus: 1,
      iterations: 1,
      startTime: `${passesAfterSeconds}s`,
    },
    readers: {
      executor: 'constant-arrival-rate',
      exec: 'reader',
      rate: readsPerSecond,
      timeUnit: '1s',
      duration: `${seconds}s`,
      preAllocatedVUs: 10,
    },
  },
  thresholds: {
    ...proofThresholds({ ordersChecked: orders + surge, copiesSettled: orders * clicks + surge }),
    ...faultThresholds('gateway-brownout'),
    dropped_iterations: ['count==0'],
    told_to_wait: ['count>0'],
    // A gateway that takes three seconds must not be felt by those who ask nothing of it. Not the slowest ones, because a surge
    // that comes from the same machine takes its processors away for some seconds.
    refusal: [`med<${brownoutDelayMs}`],
    read_duration: [`med<${brownoutDelayMs / 10}`, `p(90)<${brownoutDelayMs / 2}`],
    reads_failed: ['count==0'],
  },
}

interface Beforehand {
  readonly surging: readonly Order[]
}

export function setup(): Beforehand {
  const surging = createOrders(Array.from({ length: surge }, (_, index) => orders + index))
  breakGateway('gateway-brownout')
  return { surging }
}

export function payer(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    // A rate is no number: one iteration more may be begun at the very end.
    if (number >= orders) return
    const order = createOrder(number)
    const request = toPay(order, `${environment.run}-pay-${number}`)
    payAll(
      Array.from({ length: clicks }, () => request),
      number,
    )
    checkChargedOnce(order)
  })
}

export function surgeOfPayers({ surging }: Beforehand): void {
  runIteration(() => {
    warmConnections(surge, 0)
    payAll(
      surging.map((order, index) => toPay(order, `${environment.run}-surge-${index}`)),
      0,
      { spread: false },
    )
    for (const order of surging) checkChargedOnce(order)
  })
}

export function reader({ surging }: Beforehand): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    const path = `/v1/orders/${surging[number % surging.length]?.id}`
    const answer = http.get(`${replicaFor(number, 0)}${path}`, { headers: headers('none'), tags: { name: 'read' } })
    readDuration.add(answer.timings.duration)
    if (answer.status !== 200) readsFailed.add(1, { status: String(answer.status) })
  })
}

export function pass(): void {
  runIteration(healGateway)
}

export function teardown(): void {
  healGateway()
  countVerdict('gateway-brownout')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('gateway-brownout', data)
}

/** The card is good, so that there is one right answer, whenever it comes. */
function payAll(requests: readonly MoneyRequest[], offset: number, manners: Partial<Manners> = {}): void {
  for (const { status } of fireVolley(requests, offset, manners)) {
    if (status !== 201) answersUnexpected.add(1, { status: String(status) })
  }
}
