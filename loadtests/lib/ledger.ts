import { sleep } from 'k6'
import http from 'k6/http'
import type { AcknowledgedRefund } from './attempts.ts'
import type { Order } from './client.ts'
import { environment } from './environment.ts'
import {
  bookingsChargedWrong,
  checkoutsChecked,
  ordersChargedWrong,
  ordersChecked,
  paymentsRefundedWrong,
} from './metrics.ts'

interface GivenBack {
  readonly refundId: string
  readonly amountMinor: number
  readonly status: string
}

interface Charges {
  readonly captured: readonly { chargeId: string; intentId: string; amountMinor: number; currency: string }[]
  readonly refunds: readonly GivenBack[]
  readonly intents: number
  readonly intentIds: readonly string[]
  readonly declined: number
}

/** A gateway that was killed is back within this, or its testimony is missing. Ten seconds in all. */
const readTries = 20
const readPauseSeconds = 0.5

/** What the gateway did for this order, by its own ledger. @throws if it cannot be asked. */
export function readCharges(order: Pick<Order, 'id'>): Charges {
  for (let tried = 1; ; tried += 1) {
    const response = http.get(`${environment.gatewayUrl}/_ledger/orders/${order.id}`, {
      timeout: '10s',
      tags: { name: 'ledger' },
    })
    if (response.status === 200) return response.json() as unknown as Charges
    if (tried === readTries) throw new Error(`the ledger could not be read: ${response.status} ${response.error}`)
    sleep(readPauseSeconds)
  }
}

/** Counts the order as checked, and as charged wrong unless there is exactly one capture, of its amount. */
export function checkChargedOnce(order: Order): void {
  const { captured } = readCharges(order)
  ordersChecked.add(1)
  const [first] = captured
  const right =
    captured.length === 1 && first?.amountMinor === order.amountMinor && first.currency.toUpperCase() === order.currency
  if (!right) ordersChargedWrong.add(1, { charges: String(captured.length) })
}

/** Counts a checkout as checked, and as charged wrong unless the gateway took exactly its amount; null: unless it took nothing. */
export function checkCheckout(orderId: string, amountMinor: number | null): void {
  const { captured } = readCharges({ id: orderId })
  checkoutsChecked.add(1)
  const takenMinors = captured.map((charge) => charge.amountMinor)
  const right = amountMinor === null ? takenMinors.length === 0 : takenMinors.join() === String(amountMinor)
  if (!right) bookingsChargedWrong.add(1, { charges: String(captured.length) })
}

/** Counts the order as checked, and as charged wrong if the gateway was asked for anything at all. */
export function checkNeverCharged(order: Order): void {
  const charges = readCharges(order)
  ordersChecked.add(1)
  if (charges.captured.length + charges.intents + charges.declined > 0) {
    ordersChargedWrong.add(1, { charges: String(charges.captured.length) })
  }
}

/**
 * Counts the order's payment as refunded wrong unless the gateway gave back exactly what was acknowledged, each once, and no
 * more than it took.
 */
export function checkRefunded(order: Order, acknowledged: readonly AcknowledgedRefund[]): void {
  const { captured, refunds } = readCharges(order)
  const takenMinor = sum(captured)
  const acknowledgedMinors = acknowledged.map(({ amountMinor }) => amountMinor).sort()
  const givenMinors = refunds.filter(({ status }) => status !== 'failed').map(({ amountMinor }) => amountMinor)
  const areThose = givenMinors.sort().join() === acknowledgedMinors.join()
  if (!areThose || sum(refunds) > takenMinor) paymentsRefundedWrong.add(1, { refunds: String(refunds.length) })
}

function sum(amounts: readonly { readonly amountMinor: number }[]): number {
  return amounts.reduce((total, { amountMinor }) => total + amountMinor, 0)
}
