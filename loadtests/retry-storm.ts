/**
 * Clients that give up and ask again at once, with the same key, while the gateway charges and goes silent: each order is
 * charged once, and every client gets the one answer in the end.
 *
 * Several devices of one customer pay together. None waits longer than a second and a half for an answer, nor pauses longer
 * than a fifth of a second, whatever `Retry-After` says. What they gave up is still being worked on when they ask again.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { createOrder, toPay } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce } from './lib/ledger.ts'
import { answersUnexpected } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, type Manners, warmConnections } from './lib/volley.ts'

const { orders, concurrency } = environment
/** More of them would only be a heavier load; what matters here is that they come back. */
const devices = Math.min(environment.copies, 3)

const impatient: Partial<Manners> = { patienceMs: 1_500, firstPauseMs: 200, longestPauseMs: 200 }

const answersDiffer = new Counter('answers_differ')
const clientsAnswered = new Counter('clients_answered')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    retry_storm: {
      executor: 'shared-iterations',
      vus: Math.min(orders, concurrency),
      iterations: orders,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...proofThresholds({ ordersChecked: orders, copiesSettled: orders * devices }),
    ...faultThresholds('retry-storm'),
    answers_differ: ['count==0'],
    clients_answered: [`count==${orders * devices}`],
  },
}

export function setup(): void {
  breakGateway('retry-storm')
}

export default function retryStorm(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(devices, number)
    const order = createOrder(number)
    const key = `${environment.run}-pay-${number}`
    const answers = fireVolley(
      Array.from({ length: devices }, () => toPay(order, key)),
      number,
      impatient,
    )
    // The card is good, so that there is one right answer.
    for (const { status } of answers) {
      if (status === 201) clientsAnswered.add(1)
      else answersUnexpected.add(1, { status: String(status) })
    }
    if (new Set(answers.map(({ body }) => body)).size > 1) answersDiffer.add(1)
    checkChargedOnce(order)
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('retry-storm')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('retry-storm', data)
}
