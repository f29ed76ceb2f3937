/**
 * Different keys for one order at the same moment: each click made a new key, so that no key can tell that it is the
 * same purchase. One of them pays; all the others are told that the order is paid.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { createOrder, problemCode, toPay } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce } from './lib/ledger.ts'
import { answersUnexpected } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders, copies, concurrency } = environment

const clicksPaid = new Counter('clicks_paid')
const clicksRefused = new Counter('clicks_refused')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    double_click: {
      executor: 'shared-iterations',
      vus: Math.min(orders, concurrency),
      iterations: orders,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...proofThresholds({ ordersChecked: orders, copiesSettled: orders * copies }),
    clicks_paid: [`count==${orders}`],
    clicks_refused: [`count==${orders * (copies - 1)}`],
  },
}

export default function doubleClick(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number)
    const order = createOrder(number)
    const clicks = Array.from({ length: copies }, (_, click) =>
      toPay(order, `${environment.run}-pay-${number}-click-${click}`),
    )
    for (const answer of fireVolley(clicks, number, { repeat: 'in-turn' })) {
      if (answer.status === 201) clicksPaid.add(1)
      else if (answer.status === 409 && problemCode(answer) === 'order-already-paid') clicksRefused.add(1)
      else answersUnexpected.add(1, { status: String(answer.status) })
    }
    checkChargedOnce(order)
  })
}

export function teardown(): void {
  countVerdict('double-click')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('double-click', data)
}
