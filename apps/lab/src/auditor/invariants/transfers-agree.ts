import {
  capturedCharges,
  type Evidence,
  groupBy,
  type LedgerEntry,
  type OrderRow,
  type TransferRow,
} from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * Three books of the same money: for each order, what the gateway captured, what our transfers say, and what the order
 * itself says must be one amount. They are added up from the two ends that are independent of each other, order by order.
 */
export const transfersAgree: Invariant = {
  id: 'I6',
  claim: "our transfers agree with the gateway's ledger and with the orders",
  check: (evidence) => {
    const orders = new Map(evidence.books.orders.map((order) => [order.id, order]))
    const booked = transfersByOrder(evidence)
    const captured = groupBy(capturedCharges(evidence), (charge) => charge.orderId ?? '')
    const orderIds = new Set([...booked.keys(), ...captured.keys(), ...paidOrderIds(evidence)])
    const violations = [...orderIds].flatMap((orderId): Violation[] => {
      const what = disagreement(orders.get(orderId), booked.get(orderId) ?? [], captured.get(orderId) ?? [])
      return what === null ? [] : [{ subject: orderId, what }]
    })
    return { checked: orderIds.size, violations }
  },
}

function paidOrderIds({ books }: Evidence): string[] {
  return books.orders.filter((order) => order.state === 'paid').map((order) => order.id)
}

/** A transfer of a payment that does not exist is filed under the payment's id, where no order and no charge answers for it. */
function transfersByOrder({ books }: Evidence): Map<string, TransferRow[]> {
  const orderIds = new Map(books.payments.map((payment) => [payment.id, payment.orderId]))
  return groupBy(books.transfers, (transfer) => orderIds.get(transfer.paymentId) ?? transfer.paymentId)
}

function disagreement(
  order: OrderRow | undefined,
  transfers: readonly TransferRow[],
  charges: readonly LedgerEntry[],
): string | null {
  const due = order?.state === 'paid' ? [order] : []
  const sums = { order: total(due), transfers: total(transfers), gateway: total(charges) }
  if (sums.order === sums.transfers && sums.transfers === sums.gateway) return null
  return `the order says ${sums.order}, our transfers ${sums.transfers}, the gateway ${sums.gateway}`
}

/** Each currency for itself, in a fixed order, so that equal totals are equal texts. */
function total(amounts: readonly { readonly amountMinor: number; readonly currency: string }[]): string {
  const sums = [...groupBy(amounts, (amount) => amount.currency)].map(
    ([currency, of]) => `${of.reduce((sum, { amountMinor }) => sum + amountMinor, 0)} ${currency}`,
  )
  return sums.length === 0 ? 'nothing' : sums.sort().join(' + ')
}
