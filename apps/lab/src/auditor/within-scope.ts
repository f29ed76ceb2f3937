import { type Evidence, outboxIdOf } from './evidence.ts'

/**
 * Leaves out of the books what was there before the auditor began to watch, unless a client or the gateway's ledger tells
 * of it: in a database that has been used before, older orders were paid at a gateway whose ledger nobody has any more, and
 * their receipts went to a mail sink that nobody has.
 */
export function withinScope(evidence: Evidence, since: Date): Evidence {
  const { attempts, ledger, books } = evidence
  const told = new Set([...attempts.map((attempt) => attempt.orderId), ...ledger.map((entry) => entry.orderId)])
  const orders = books.orders.filter((order) => order.createdAt >= since || told.has(order.id))
  // A row whose order, payment or refund does not exist is never left out: that it exists is the news.
  const ofOrders = within(books.orders, orders)
  const payments = books.payments.filter(({ orderId }) => ofOrders(orderId))
  const refunds = books.refunds.filter(({ orderId }) => ofOrders(orderId))
  const ofPayments = within(books.payments, payments)
  const ofSubjects = within([...books.payments, ...books.refunds], [...payments, ...refunds])
  const receipts = books.receipts.filter(({ subjectId }) => ofSubjects(subjectId))
  const invoices = books.invoices.filter(({ orderId }) => ofOrders(orderId))
  const billed = new Set(invoices.map(({ subscriptionId }) => subscriptionId))
  return {
    ...evidence,
    mails: mailsWithin(evidence, receipts, since),
    books: {
      ...books,
      ...{ orders, payments, refunds, receipts, invoices },
      transfers: books.transfers.filter(({ paymentId }) => ofPayments(paymentId)),
      subscriptions: books.subscriptions.filter(({ id, createdAt }) => createdAt >= since || billed.has(id)),
    },
  }
}

interface Row {
  readonly id: string
}

/** Tells whether a row belongs to one of those that stay, or to none that there is. */
function within(all: readonly Row[], staying: readonly Row[]): (id: string) => boolean {
  const [known, kept] = [all, staying].map((rows) => new Set(rows.map(({ id }) => id)))
  return (id) => kept?.has(id) === true || known?.has(id) !== true
}

function mailsWithin({ mails, books }: Evidence, staying: readonly Row[], since: Date): Evidence['mails'] {
  if (mails === null) return null
  const known = new Set(books.receipts.map(({ id }) => id))
  const kept = new Set(staying.map(({ id }) => id))
  return mails.filter((mail) => {
    const id = outboxIdOf(mail)
    // One that we know nothing of: what is this old can have been forgotten since.
    return id === null || !known.has(id) ? mail.arrivedAt >= since : kept.has(id)
  })
}
