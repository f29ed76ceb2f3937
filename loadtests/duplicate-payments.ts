/**
 * One key, many copies at the same moment: a payment that is sent ten times is charged once.
 *
 * Three quarters of the orders are paid by one impatient client (one virtual user sends all copies as one batch), one
 * quarter by several clients that hold the same key (a virtual user for each copy). Every copy is repeated until it has
 * a final answer, so that all answers can be compared.
 */
import exec from 'k6/execution'
import type { Options } from 'k6/options'
import { countVerdict, meet } from './lib/auditor.ts'
import { type Answer, createOrder, createOrders, type MoneyRequest, type Order, toPay } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { runIteration } from './lib/iteration.ts'
import { checkChargedOnce } from './lib/ledger.ts'
import { answersUnexpected } from './lib/metrics.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, proofThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders, copies, concurrency } = environment

const sharedOrders = Math.ceil(orders / 4)
const ownOrders = orders - sharedOrders
const sharedAtOnce = Math.min(sharedOrders, Math.max(1, Math.floor(concurrency / 4)))
const ownAtOnce = Math.min(ownOrders, Math.max(1, concurrency - sharedAtOnce))

export const options: Options = {
  ...commonOptions,
  scenarios: {
    ...(ownOrders === 0
      ? {}
      : {
          one_client: {
            executor: 'shared-iterations' as const,
            exec: 'oneClient',
            vus: ownAtOnce,
            iterations: ownOrders,
            maxDuration: '15m',
          },
        }),
    several_clients: {
      executor: 'shared-iterations',
      exec: 'severalClients',
      vus: sharedAtOnce * copies,
      iterations: sharedOrders * copies,
      maxDuration: '15m',
    },
  },
  thresholds: proofThresholds({
    // Each of several clients looks for itself, at the moment at which it was told that it had paid.
    ordersChecked: ownOrders + sharedOrders * copies,
    copiesSettled: orders * copies,
  }),
}

/** Several clients must know the same order, so these are created beforehand. */
export function setup(): { readonly shared: readonly Order[] } {
  return { shared: createOrders(Array.from({ length: sharedOrders }, (_, index) => ownOrders + index)) }
}

export function oneClient(): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number)
    const order = createOrder(number)
    const answers = fireVolley(
      Array.from({ length: copies }, () => copyOf(order, number)),
      number,
    )
    expectPaid(answers)
    checkChargedOnce(order)
  })
}

export function severalClients(data: { readonly shared: readonly Order[] }): void {
  runIteration(() => {
    const index = Math.floor(exec.scenario.iterationInTest / copies)
    const client = exec.scenario.iterationInTest % copies
    const order = data.shared[index]
    if (order === undefined) throw new Error(`setup created no order ${index}`)
    const number = ownOrders + index
    warmConnections(1, client)
    meet(`order-${number}`, copies)
    expectPaid(fireVolley([copyOf(order, number)], client))
    checkChargedOnce(order)
  })
}

export function teardown(): void {
  countVerdict('duplicate-payments')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('duplicate-payments', data)
}

/** The card is good, so that a refusal, however final, is not the answer to this payment. */
function expectPaid(answers: readonly Answer[]): void {
  for (const { status } of answers) if (status !== 201) answersUnexpected.add(1, { status: String(status) })
}

function copyOf(order: Order, number: number): MoneyRequest {
  return toPay(order, `${environment.run}-pay-${number}`)
}
