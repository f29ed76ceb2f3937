/**
 * Many refunds of one payment at the same moment: in full and in part, with one key and with different ones. What the gateway
 * gives back is what was acknowledged, each once, and never more than it took.
 *
 * Half of the requests are copies of one refund of 40 %, under one key. The others have keys of their own and want 40 % or
 * everything. Whoever comes first, at most two of 40 % or one of everything can be had. One answer of the gateway in seven is
 * lost after it has given the money back.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import type { AcknowledgedRefund } from './lib/attempts.ts'
import { countVerdict } from './lib/auditor.ts'
import {
  type Answer,
  createOrder,
  isDone,
  type MoneyRequest,
  type Order,
  problemCode,
  toPay,
  toRefund,
} from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce, checkRefunded } from './lib/ledger.ts'
import { answersUnexpected } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders, copies, concurrency } = environment

const refundsAcknowledged = new Counter('refunds_acknowledged')
const refundsRefused = new Counter('refunds_refused')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    refund_race: {
      executor: 'shared-iterations',
      vus: Math.min(orders, concurrency),
      iterations: orders,
      maxDuration: '15m',
    },
  },
  thresholds: {
    // Of each order the payment, and then its refunds.
    ...proofThresholds({ ordersChecked: orders, copiesSettled: orders * (1 + copies) }),
    ...faultThresholds('refund-race'),
    payments_refunded_wrong: ['count==0'],
    refunds_acknowledged: [`count>=${orders}`],
    refunds_refused: ['count>0'],
  },
}

export function setup(): void {
  breakGateway('refund-race')
}

export default function refundRace(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number)
    const order = createOrder(number)
    const paymentId = pay(order, number)
    if (paymentId === null) return
    const answers = fireVolley(refundsOf(order, paymentId, number), number)
    checkChargedOnce(order)
    checkRefunded(order, countRefunds(answers))
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('refund-race')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('refund-race', data)
}

/** Null: there is nothing to give back, which is an answer that this load does not provide for. */
function pay(order: Order, number: number): string | null {
  const [answer] = fireVolley([toPay(order, `${environment.run}-pay-${number}`)], number)
  if (answer?.status === 201) return String(answer.json('id'))
  answersUnexpected.add(1, { status: String(answer?.status) })
  return null
}

function refundsOf(order: Order, paymentId: string, number: number): MoneyRequest[] {
  const partMinor = Math.ceil(order.amountMinor * 0.4)
  return Array.from({ length: copies }, (_, copy) => {
    if (copy % 2 === 0) return toRefund(order, paymentId, `${environment.run}-refund-${number}`, partMinor)
    const amountMinor = copy % 4 === 1 ? order.amountMinor : partMinor
    return toRefund(order, paymentId, `${environment.run}-refund-${number}-${copy}`, amountMinor)
  })
}

/** Each refund once, however many clients were told of it. */
function countRefunds(answers: readonly Answer[]): AcknowledgedRefund[] {
  const acknowledged = new Map<string, AcknowledgedRefund>()
  for (const answer of answers) {
    if (isDone(answer)) {
      const refund = answer.json() as unknown as AcknowledgedRefund
      acknowledged.set(refund.id, refund)
    } else if (problemCode(answer) === 'refund-exceeds-payment') refundsRefused.add(1)
    else answersUnexpected.add(1, { status: String(answer.status) })
  }
  refundsAcknowledged.add(acknowledged.size)
  return [...acknowledged.values()]
}
