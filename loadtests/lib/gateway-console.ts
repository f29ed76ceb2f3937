import http from 'k6/http'
import { environment } from './environment.ts'
import { readCharges } from './ledger.ts'

export type ConsoleAction = 'refund' | 'capture' | 'cancel'

/** The intent of an order that has one. @throws where it has none, or several. */
export function intentOf(orderId: string): string {
  const { intentIds } = readCharges({ id: orderId })
  const [intentId] = intentIds
  if (intentId === undefined || intentIds.length > 1)
    throw new Error(`order ${orderId} has ${intentIds.length} intents`)
  return intentId
}

/**
 * Acts at the gateway's own console, as a person would who has access to the account. Without an amount: all of it.
 * False: the gateway refused, because a request of ours came first.
 */
export function atConsole(intentId: string, action: ConsoleAction, amount?: number): boolean {
  const url = `${environment.gatewayUrl}/_control/console/payment_intents/${intentId}/${action}`
  const response = http.post(url, JSON.stringify(amount === undefined ? {} : { amount }), {
    headers: { 'Content-Type': 'application/json' },
    timeout: '10s',
    tags: { name: 'console' },
  })
  if (response.status !== 200 && response.status !== 400)
    throw new Error(`the console answered ${response.status} ${response.body}`)
  return response.status === 200
}
