import type { Order as OrderRow, PaymentEvent as PaymentEventRow, Payment as PaymentRow } from '@seatbelt/database'
import { type Currency, currencies, type Order, type Payment, type PaymentEvent } from '@seatbelt/domain'

/** Rows as the domain knows them. The columns of leases and keys stay behind. */

export function toOrder(row: OrderRow): Order {
  return { ...row, currency: toCurrency(row.currency) }
}

export function toPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    accountId: row.accountId,
    orderId: row.orderId,
    amountMinor: row.amountMinor,
    currency: toCurrency(row.currency),
    paymentMethod: row.paymentMethod,
    state: row.state,
    // While a payment is open, a noted decline is not final: its intent has not been seen cancelled.
    declineCode: row.state === 'declined' ? row.declineCode : null,
    gatewayIntentId: row.gatewayIntentId,
    createdAt: row.createdAt,
    settledAt: row.settledAt,
  }
}

export function toPaymentEvent({ at, event, by, generation, gatewayRequestId, detail }: PaymentEventRow): PaymentEvent {
  return { at, event, by, generation, gatewayRequestId, detail }
}

const known = new Map<string, Currency>(currencies.map((currency) => [currency, currency]))

function toCurrency(code: string): Currency {
  const currency = known.get(code)
  if (currency === undefined)
    throw new Error(`the database holds the currency ${code}, which this version does not know`)
  return currency
}
