import type { Books, Evidence } from './evidence.ts'

/**
 * Leaves out of the books what was there before the auditor began to watch, unless a client or the gateway's ledger tells
 * of it: in a database that has been used before, older orders were paid at a gateway whose ledger nobody has any more.
 */
export function withinScope({ attempts, ledger, books }: Evidence, since: Date): Evidence {
  const told = new Set([...attempts.map((attempt) => attempt.orderId), ...ledger.map((entry) => entry.orderId)])
  const orders = books.orders.filter((order) => order.createdAt >= since || told.has(order.id))
  const orderIds = new Set(orders.map((order) => order.id))
  // A row whose order or payment does not exist is never left out: that it exists is the news.
  const known = { orders: idsOf(books.orders), payments: idsOf(books.payments) }
  const payments = books.payments.filter(({ orderId }) => orderIds.has(orderId) || !known.orders.has(orderId))
  const paymentIds = idsOf(payments)
  const concerns = ({ paymentId }: { paymentId: string }) => paymentIds.has(paymentId) || !known.payments.has(paymentId)
  return {
    attempts,
    ledger,
    books: {
      ...books,
      orders,
      payments,
      transfers: books.transfers.filter(concerns),
      recordedAnswers: books.recordedAnswers.filter(concerns),
    } satisfies Books,
  }
}

function idsOf(rows: readonly { readonly id: string }[]): Set<string> {
  return new Set(rows.map(({ id }) => id))
}
