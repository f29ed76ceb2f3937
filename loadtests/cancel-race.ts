/**
 * An order is cancelled while it is being paid, and what is on hold is captured while it is voided: one of the two happens,
 * never both, and everybody is told the same.
 *
 * Half of the requests of an order want the one, half the other, all at the same moment and each side under one key. Which
 * side is sent first changes from order to order. Odd orders are paid or cancelled; of even ones the amount is put on hold
 * first, and then captured or voided.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import {
  type Answer,
  createOrder,
  isDone,
  type MoneyRequest,
  type Order,
  problemCode,
  toCancel,
  toEnd,
  toPay,
} from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { runIteration } from './lib/iteration.ts'
import { readCharges } from './lib/ledger.ts'
import { answersUnexpected, ordersChecked, racesWonTwice } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders, copies, concurrency } = environment
const held = Math.ceil(orders / 2)

const moneyTaken = new Counter('money_taken')
const moneyLeft = new Counter('money_left')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    cancel_race: {
      executor: 'shared-iterations',
      vus: Math.min(orders, concurrency),
      iterations: orders,
      maxDuration: '15m',
    },
  },
  thresholds: {
    // Putting on hold is one request more.
    ...proofThresholds({ ordersChecked: orders, copiesSettled: orders * copies + held }),
    ...faultThresholds('cancel-race'),
    races_won_twice: ['count==0'],
    // Each side must win sometimes, or the other one was never in danger.
    'money_taken{race:pay}': ['count>0'],
    'money_left{race:pay}': ['count>0'],
    'money_taken{race:capture}': ['count>0'],
    'money_left{race:capture}': ['count>0'],
  },
}

export function setup(): void {
  breakGateway('cancel-race')
}

export default function cancelRace(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number)
    const order = createOrder(number)
    const sides = number % 2 === 0 ? captureOrVoid(order, number) : payOrCancel(order, number)
    if (sides === null) return
    const requests = mixed(sides, number)
    const answers = fireVolley(requests, number)
    judge(
      order,
      sides.taking.operation,
      answers.filter((_, copy) => requests[copy] === sides.taking),
      answers.filter((_, copy) => requests[copy] === sides.leaving),
    )
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('cancel-race')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('cancel-race', data)
}

interface Sides {
  /** Whose winning takes the money. */
  readonly taking: MoneyRequest
  readonly leaving: MoneyRequest
}

function payOrCancel(order: Order, number: number): Sides {
  const key = `${environment.run}-race-${number}`
  return { taking: toPay(order, `${key}-pay`), leaving: toCancel(order, `${key}-cancel`) }
}

/** Null: nothing could be put on hold, which is an answer that this load does not provide for. */
function captureOrVoid(order: Order, number: number): Sides | null {
  const key = `${environment.run}-race-${number}`
  const [answer] = fireVolley([toPay(order, `${key}-hold`, { operation: 'authorize' })], number)
  if (answer?.status !== 201) {
    answersUnexpected.add(1, { status: String(answer?.status) })
    return null
  }
  const paymentId = String(answer.json('id'))
  return {
    taking: toEnd('capture', order, paymentId, `${key}-capture`),
    leaving: toEnd('void', order, paymentId, `${key}-void`),
  }
}

function mixed({ taking, leaving }: Sides, number: number): MoneyRequest[] {
  const takesFirst = number % 4 < 2
  return Array.from({ length: copies }, (_, copy) => ((copy % 2 === 0) === takesFirst ? taking : leaving))
}

/**
 * All answers name one side as the winner, and the gateway holds what that side wanted.
 *
 * Once the gateway has lost an answer, a cancellation withdraws the payment: its 200 says which of the two happened,
 * and the payer receives 402 if no money was taken.
 */
function judge(order: Order, race: string, taking: readonly Answer[], leaving: readonly Answer[]): void {
  const [isTaken, isLeft] = [taking.some(isDone), leaving.some(hasWon)]
  const charges = readCharges(order).captured.length
  ordersChecked.add(1)
  if ((isTaken && isLeft) || charges !== (isTaken ? 1 : 0)) racesWonTwice.add(1, { race, charges: String(charges) })
  const winners = isTaken ? taking : leaving
  const losers = isTaken ? leaving : taking
  for (const answer of winners) if (!isDone(answer)) answersUnexpected.add(1, { status: String(answer.status) })
  for (const answer of losers) if (!hasLost(answer)) answersUnexpected.add(1, { status: String(answer.status) })
  if (isTaken) moneyTaken.add(1, { race })
  else moneyLeft.add(1, { race })
}

function hasWon(answer: Answer): boolean {
  return isDone(answer) && answer.json('state') !== 'paid'
}

function hasLost(answer: Answer): boolean {
  const isWithdrawn = answer.status === 402 && problemCode(answer) === 'payment-cancelled'
  return answer.status === 409 || isWithdrawn || (isDone(answer) && !hasWon(answer))
}
