import { describe, expect, it } from 'vitest'
import { report } from '../../src/auditor/invariant.ts'
import { bookingsHaveTheirMoney } from '../../src/auditor/invariants/bookings-have-their-money.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import {
  accountId,
  at,
  cleanHistory,
  type MutableEvidence,
  paidOrder,
  refundEntry,
  rowOf,
  transferRow,
} from './history.ts'
import { addSale, owner } from './sale.ts'

/** The owner's booking, of which the console gave back a part, and what our books know of that. */
function refundedAtConsole(known: { readonly isEntered: boolean; readonly isTold: boolean }): MutableEvidence {
  const history = cleanHistory([paidOrder(1)])
  addSale(history)
  const { books, ledger } = history
  const { orderId, paymentId, chargeId } = owner
  const entry = refundEntry(owner, { ourRefundId: 'console', refundId: 're_console', amountMinor: 100 })
  ledger.push({ ...entry, ourRefundId: null, isByConsole: true })
  books.accountsWithWebhooks = new Set([accountId])
  // The sale has another refund that was announced like this one.
  books.announced = new Set(books.refunds.map(({ id }) => `refund.succeeded ${id}`))
  if (known.isTold) books.announced = new Set([...books.announced, 'refund.succeeded r1'])
  if (!known.isEntered) return history
  books.refunds.push({
    ...{ id: 'r1', orderId, paymentId, amountMinor: 100, currency: 'EUR', origin: 'gateway', state: 'succeeded' },
    ...{ gatewayChargeId: chargeId, gatewayRefundId: 're_console', reversedAt: null },
  })
  const accounts = { debitAccount: `merchant:${accountId}`, creditAccount: 'gateway' }
  books.transfers.push(transferRow(owner, { id: 't1', refundId: 'r1', kind: 'refund', amountMinor: 100, ...accounts }))
  rowOf(books.payments, paymentId).refundedMinor = 100
  rowOf(books.orders, orderId).state = 'partially_refunded'
  return history
}

const judge = (history: MutableEvidence) => report(bookingsHaveTheirMoney, history, ['I12'])

describe('a confirmed booking of which the console refunded a part', () => {
  it('is as it must be when our books show it and the merchant was told, for all invariants', () => {
    const history = refundedAtConsole({ isEntered: true, isTold: true })
    expect(judge(history)).toMatchObject({ verdict: 'valid', violations: 0 })
    const others = invariants.map((invariant) => report(invariant, history, []))
    expect(others.filter(({ verdict }) => verdict === 'invalid')).toEqual([])
  })

  it('is a violation while our books do not show it', () => {
    const { verdict, examples } = judge(refundedAtConsole({ isEntered: false, isTold: false }))
    expect(verdict).toBe('invalid')
    expect(examples).toContainEqual({
      subject: owner.bookingId,
      what: expect.stringMatching(/shows .* and 0 given back; the gateway took .* and gave back 100/),
    })
  })

  it('is a violation while the merchant was not told', () => {
    expect(judge(refundedAtConsole({ isEntered: true, isTold: false })).examples).toEqual([
      { subject: owner.bookingId, what: 'the merchant was not told: refund.succeeded r1' },
    ])
  })
})

describe('a confirmed booking of which an operator returned a part outside of the gateway', () => {
  function returnedOutside(creditAccount: string): MutableEvidence {
    const history = cleanHistory([paidOrder(1)])
    addSale(history)
    const { books } = history
    const { orderId, paymentId, chargeId } = owner
    books.refunds.push({
      ...{ id: 'r1', orderId, paymentId, amountMinor: 100, currency: 'EUR', origin: 'operator', state: 'succeeded' },
      ...{ gatewayChargeId: chargeId, gatewayRefundId: null, reversedAt: null },
    })
    const accounts = { debitAccount: `merchant:${accountId}`, creditAccount }
    books.transfers.push(
      transferRow(owner, { id: 't1', refundId: 'r1', kind: 'refund', amountMinor: 100, ...accounts }),
    )
    rowOf(books.payments, paymentId).refundedMinor = 100
    rowOf(books.orders, orderId).state = 'partially_refunded'
    return history
  }
  const violated = (history: MutableEvidence) =>
    invariants.map((invariant) => report(invariant, history, [])).filter(({ violations }) => violations > 0)

  it('is as it must be for all invariants, although the gateway shows nothing of it', () => {
    expect(violated(returnedOutside('operator'))).toEqual([])
  })

  it('is a violation if the money is booked as returned by the gateway', () => {
    expect(violated(returnedOutside('gateway')).map(({ id }) => id)).toEqual(['I6'])
  })
})

describe('a confirmed booking of which the console captured a part', () => {
  function capturedInPart(capturedMinor: number): MutableEvidence {
    const history = cleanHistory([paidOrder(1)])
    addSale(history)
    const { books, ledger } = history
    history.ledger = ledger.map((entry) =>
      entry.type === 'charge.captured' && entry.orderId === owner.orderId
        ? { ...entry, amountMinor: 200, isByConsole: true }
        : entry,
    )
    rowOf(books.payments, owner.paymentId).capturedMinor = capturedMinor
    for (const transfer of books.transfers)
      if (transfer.paymentId === owner.paymentId && transfer.kind === 'charge') transfer.amountMinor = 200
    return history
  }

  it('is as it must be when our books show the part, for all invariants but what its client was told before', () => {
    const history = capturedInPart(200)
    expect(judge(history)).toMatchObject({ verdict: 'valid' })
    const invalid = invariants.map((invariant) => report(invariant, history, [])).filter((one) => one.violations > 0)
    expect(invalid).toEqual([])
  })

  it('is a violation while our books show all of it', () => {
    expect(judge(capturedInPart(owner.amountMinor))).toMatchObject({ verdict: 'invalid' })
  })
})

it('a booking that is confirmed and was never paid is a violation', () => {
  const history = cleanHistory([paidOrder(1)])
  addSale(history)
  rowOf(history.books.payments, owner.paymentId).state = 'processing'
  expect(judge(history).examples).toContainEqual({
    subject: owner.bookingId,
    what: 'confirmed, and no payment of it has succeeded',
  })
  expect(at(history.seats.books.bookings, 0)).toBeDefined()
})
