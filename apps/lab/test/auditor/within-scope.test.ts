import { expect, it } from 'vitest'
import { report } from '../../src/auditor/invariant.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { withinScope } from '../../src/auditor/within-scope.ts'
import { at, held, mailOf, paidOrder, receiptOf, recipientOf, rowOf } from './history.ts'
import { addBooked, addHeld, former, owner, sale, standing } from './sale.ts'
import { wholeHistory } from './whole-history.ts'

const [old, fresh] = [paidOrder(1), paidOrder(2)]
const since = new Date(5_000)

/** An old order, paid at a gateway whose ledger is gone, its receipts sent to a sink that is gone; and new ones. */
function usedDatabase() {
  const history = wholeHistory([old, fresh])
  const isOld = ({ orderId }: { readonly orderId: string | null }) => orderId === old.orderId
  for (const { orderId } of [fresh, held, former, owner, standing])
    rowOf(history.books.orders, orderId).createdAt = new Date(9_000)
  history.ledger = history.ledger.filter((entry) => !isOld(entry))
  history.attempts = history.attempts.filter((attempt) => !isOld(attempt))
  history.mails = history.mails.filter(({ recipients }) => !recipients.includes(recipientOf(old)))
  return history
}

it('what is older than the auditor is not held against a gateway that never saw it', () => {
  const history = usedDatabase()
  expect(invariants.map((invariant) => report(invariant, history).verdict)).toContain('invalid')
  const scoped = withinScope(history, since)
  expect(invariants.map((invariant) => report(invariant, scoped).verdict)).toEqual(invariants.map(() => 'valid'))
  expect(scoped.books.orders.map((order) => order.id)).toEqual([
    ...[fresh, held, former, owner, standing].map(({ orderId }) => orderId),
  ])
})

it('seats that were sold before are not held against a gateway that never saw them, and their counters still are', () => {
  const history = usedDatabase()
  const earlier = sale(710, { seatIds: ['seat-9'], tierId: null, quantity: 1, heldAt: 1_000 })
  addHeld(history, earlier)
  addBooked(history, earlier)
  const isEarlier = ({ orderId }: { readonly orderId: string | null }) => orderId === earlier.orderId
  history.ledger = history.ledger.filter((entry) => !isEarlier(entry))
  history.seats.attempts = history.seats.attempts.filter(({ customerId }) => customerId !== earlier.customerId)
  expect(invariants.flatMap((invariant) => report(invariant, history).examples)).not.toEqual([])
  const scoped = withinScope(history, since)
  expect(invariants.flatMap((invariant) => report(invariant, scoped).examples)).toEqual([])
  const { bookings, bookedSeats, claims, holds, tiers } = scoped.seats.books
  expect([bookings, bookedSeats, claims, holds, tiers].map((rows) => rows.length)).toEqual([3, 3, 2, 4, 1])
})

it('an old order that is charged or asked about again is judged', () => {
  const whole = wholeHistory([old, fresh])
  const askedAbout = usedDatabase()
  askedAbout.attempts = whole.attempts
  const charged = usedDatabase()
  charged.ledger = whole.ledger
  for (const history of [askedAbout, charged]) {
    expect(withinScope(history, since).books.orders.map((order) => order.id)).toContain(old.orderId)
  }
})

it('rows without their order or payment stay, because nobody can say that they are old', () => {
  const history = usedDatabase()
  history.books.transfers.push({ ...at(history.books.transfers, 0), id: 'orphan', paymentId: 'payment-nowhere' })
  history.books.payments.push({ ...at(history.books.payments, 0), id: 'payment-orphan', orderId: 'order-nowhere' })
  history.books.refunds.push({ ...at(history.books.refunds, 0), id: 'refund-orphan', orderId: 'order-nowhere' })
  history.books.receipts.push({ ...at(history.books.receipts, 0), id: 'receipt-orphan', subjectId: 'nothing' })
  const { books } = withinScope(history, since)
  expect(books.refunds.map((refund) => refund.id)).toContain('refund-orphan')
  expect(books.receipts.map((receipt) => receipt.id)).toContain('receipt-orphan')
  expect(books.transfers.map((transfer) => transfer.id)).toContain('orphan')
  expect(books.payments.map((payment) => payment.id)).toContain('payment-orphan')
})

it('a mail that no message is behind is judged if it came since, as nobody can say what an older one was', () => {
  const history = usedDatabase()
  history.mails.push(mailOf('before', { arrivedAt: new Date(4_000) }), mailOf('since', { arrivedAt: since }))
  const ids = withinScope(history, since).mails?.map(({ messageId }) => messageId)
  expect(ids).toContain('<since@seatbelt.example>')
  expect(ids).not.toContain('<before@seatbelt.example>')
  expect(ids).toContain(`<${receiptOf(fresh.paymentId)}@seatbelt.example>`)
})
