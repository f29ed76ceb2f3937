import {
  accountId,
  addHold,
  addReceipt,
  addRefund,
  cleanHistory,
  invoiceRow,
  type MutableEvidence,
  type PaidOrder,
  recipientOf,
  refundOf,
  rowOf,
  subscriptionOf,
} from './history.ts'
import { addSale } from './sale.ts'

/**
 * Everything that can be, as it must be: each order is that of a subscription's period, has its receipt, and a refund of a part with a
 * receipt of its own; one more order is only on hold; and there is a sale of seats.
 */
export function wholeHistory(orders: readonly PaidOrder[], replays = 2): MutableEvidence {
  const history = cleanHistory(orders, replays)
  const { books } = history
  orders.forEach((order, index) => {
    const customerId = `customer-of-${order.orderId}`
    history.ledger = history.ledger.map((entry) => (entry.orderId === order.orderId ? { ...entry, customerId } : entry))
    books.gatewayCustomers.push({ id: customerId, accountId })
    Object.assign(rowOf(books.orders, order.orderId), { receiptEmail: recipientOf(order), purpose: 'invoice' })
    books.invoices.push(invoiceRow(order))
    addReceipt(history, order, { subjectId: order.paymentId, topic: 'payment.succeeded' })
    addRefund(history, order, { id: refundOf(order), amountMinor: Math.ceil(order.amountMinor / 2) })
    books.subscriptions.push({
      ...{ id: subscriptionOf(order), state: 'active', nextPeriod: 1, nextDueAt: new Date(9e9 + index) },
      createdAt: new Date(1_000),
    })
  })
  addHold(history)
  addSale(history)
  return history
}
