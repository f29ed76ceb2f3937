import { expect, it } from 'vitest'
import { report } from '../../src/auditor/invariant.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { withinScope } from '../../src/auditor/within-scope.ts'
import { at, cleanHistory, paidOrder } from './history.ts'

const [old, fresh] = [paidOrder(1), paidOrder(2)]
const since = new Date(5_000)

/** An old order, paid at a gateway whose ledger is gone, and a new one. */
function usedDatabase() {
  const history = cleanHistory([old, fresh])
  at(history.books.orders, 1).createdAt = new Date(9_000)
  history.ledger = history.ledger.filter((entry) => entry.orderId === fresh.orderId)
  history.attempts = history.attempts.filter((attempt) => attempt.orderId === fresh.orderId)
  return history
}

it('what is older than the auditor is not held against a gateway that never saw it', () => {
  const history = usedDatabase()
  expect(invariants.map((invariant) => report(invariant, history).verdict)).toContain('invalid')
  const scoped = withinScope(history, since)
  expect(invariants.map((invariant) => report(invariant, scoped).verdict)).toEqual(invariants.map(() => 'valid'))
  expect(scoped.books.orders.map((order) => order.id)).toEqual([fresh.orderId])
})

it('an old order that is charged or asked about again is judged', () => {
  const whole = cleanHistory([old, fresh])
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
  const { books } = withinScope(history, since)
  expect(books.transfers.map((transfer) => transfer.id)).toContain('orphan')
  expect(books.payments.map((payment) => payment.id)).toContain('payment-orphan')
})
