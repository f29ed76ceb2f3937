import { expect, it } from 'vitest'
import { report } from '../../src/auditor/invariant.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { withinScope } from '../../src/auditor/within-scope.ts'
import { at, held, mailOf, paidOrder, receiptOf, recipientOf, rowOf, wholeHistory } from './history.ts'

const [old, fresh] = [paidOrder(1), paidOrder(2)]
const since = new Date(5_000)

/** An old order, paid at a gateway whose ledger is gone, its receipts sent to a sink that is gone; and new ones. */
function usedDatabase() {
  const history = wholeHistory([old, fresh])
  const isOld = ({ orderId }: { readonly orderId: string | null }) => orderId === old.orderId
  for (const { orderId } of [fresh, held]) rowOf(history.books.orders, orderId).createdAt = new Date(9_000)
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
  expect(scoped.books.orders.map((order) => order.id)).toEqual([fresh.orderId, held.orderId])
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
