/**
 * The same key for another request: it is refused with 422 and never executed, whether it comes after the first one or
 * at the same moment.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { type Answer, createOrder, type Order, problemCode, toPay } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce, checkNeverCharged } from './lib/ledger.ts'
import { answersUnexpected } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders, copies, concurrency } = environment

/** Requests that a spent key comes with after it paid: another card, another order, another operation. */
const misuses = 3

const reuseRefused = new Counter('reuse_refused')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    key_reuse: {
      executor: 'shared-iterations',
      vus: Math.min(orders, concurrency),
      iterations: orders,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...proofThresholds({ ordersChecked: orders * 2, copiesSettled: orders * (copies + misuses) }),
    // At least one half of each volley, and all that came later.
    reuse_refused: [`count>=${orders * (Math.floor(copies / 2) + misuses)}`],
  },
}

export default function keyReuse(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number)
    const paid = createOrder(number)
    const other = createOrder(orders + number)
    const key = `${environment.run}-pay-${number}`
    countRace(fireVolley(twoRequestsWithOneKey(paid, key), number))
    countRefusals(fireVolley(misusesOf(key, paid, other), number))
    checkChargedOnce(paid)
    checkNeverCharged(other)
  })
}

export function teardown(): void {
  countVerdict('key-reuse')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('key-reuse', data)
}

/** Half of the copies pay with one card, half with another. Whichever comes first owns the key. */
function twoRequestsWithOneKey(order: Order, key: string) {
  return Array.from({ length: copies }, (_, copy) =>
    toPay(order, key, { paymentMethod: copy % 2 === 0 ? 'pm_card_visa' : 'pm_card_mastercard' }),
  )
}

function misusesOf(key: string, paid: Order, other: Order) {
  return [
    toPay(paid, key, { paymentMethod: 'pm_card_amex' }),
    toPay(other, key),
    {
      ...toPay(other, key),
      path: '/v1/orders',
      body: JSON.stringify({ customerId: 'customer-reuse', amountMinor: 100, currency: 'EUR' }),
    },
  ]
}

/** One of the two cards is told 201 in all its copies, the other one 422 in all of its own. */
function countRace(answers: readonly Answer[]): void {
  const [visa, mastercard] = [0, 1].map((card) => answers.filter((_, copy) => copy % 2 === card))
  const winners = [visa, mastercard].filter((card) => card?.every((answer) => answer.status === 201))
  const losers = [visa, mastercard].filter((card) => card?.every(isReuseRefusal))
  if (winners.length !== 1 || losers.length !== 1) answersUnexpected.add(1, { in: 'race' })
  reuseRefused.add(answers.filter(isReuseRefusal).length)
}

function countRefusals(answers: readonly Answer[]): void {
  for (const answer of answers) {
    if (isReuseRefusal(answer)) reuseRefused.add(1)
    else answersUnexpected.add(1, { status: String(answer.status) })
  }
}

function isReuseRefusal(answer: Answer): boolean {
  return answer.status === 422 && problemCode(answer) === 'idempotency-key-reused'
}
