import { type Evidence, outboxIdOf } from './evidence.ts'
import type { SeatBooks } from './seat-evidence.ts'

/**
 * Leaves out of the books what was there before the auditor began to watch, unless a client or the gateway's ledger tells
 * of it: in a database that has been used before, older orders were paid at a gateway whose ledger nobody has any more, and
 * their receipts went to a mail sink that nobody has.
 */
export function withinScope(evidence: Evidence, since: Date): Evidence {
  const { attempts, ledger, books, seats } = evidence
  const told = new Set([
    ...attempts.map((attempt) => attempt.orderId),
    ...ledger.map((entry) => entry.orderId),
    ...seats.attempts.map(({ booking, failedCheckout }) => booking?.orderId ?? failedCheckout?.orderId ?? null),
  ])
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
    seats: { ...seats, books: seatsWithin(evidence, ofOrders, since) },
    books: {
      ...books,
      ...{ orders, payments, refunds, receipts, invoices },
      disputes: books.disputes.filter(({ paymentId }) => ofPayments(paymentId)),
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

/** Counters, claims that nobody booked and what was seen are compared with each other alone, which may be of any age. */
function seatsWithin(
  { seats: { attempts, books } }: Evidence,
  ofOrders: (orderId: string) => boolean,
  since: Date,
): SeatBooks {
  const bookings = books.bookings.filter(({ orderId }) => ofOrders(orderId))
  const ofBookings = within(books.bookings, bookings)
  const needed = new Set([...attempts.map(({ hold }) => hold?.id), ...bookings.map(({ holdId }) => holdId)])
  return {
    ...books,
    bookings,
    holds: books.holds.filter(({ id, createdAt }) => createdAt >= since || needed.has(id)),
    claims: books.claims.filter(({ bookingId }) => bookingId === null || ofBookings(bookingId)),
    bookedSeats: books.bookedSeats.filter(({ bookingId }) => ofBookings(bookingId)),
  }
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
