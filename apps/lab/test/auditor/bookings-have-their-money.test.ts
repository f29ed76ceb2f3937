import { describe, expect, it } from 'vitest'
import { report } from '../../src/auditor/invariant.ts'
import { bookingsHaveTheirMoney } from '../../src/auditor/invariants/bookings-have-their-money.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { transfersAgree } from '../../src/auditor/invariants/transfers-agree.ts'
import {
  accountId,
  at,
  cleanHistory,
  ledgerEntry,
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
      what: expect.stringMatching(/shows .*, 0 given back .*; the gateway took .*, gave back 100/),
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

describe('a confirmed booking whose payment was disputed', () => {
  /** Withdrawn, and where `reinstatedMinor` is given, lost in part: the gateway gave so much back. */
  function disputed({
    shownMinor,
    reinstatedMinor = null,
    topics = ['opened', 'lost'],
    isBooked = true,
  }: {
    readonly shownMinor: number
    readonly reinstatedMinor?: number | null
    readonly topics?: readonly string[]
    readonly isBooked?: boolean
  }): MutableEvidence {
    const history = cleanHistory([paidOrder(1)])
    addSale(history)
    const { books, ledger } = history
    const { paymentId, amountMinor } = owner
    const line = (type: string, seq: number, minor: number) =>
      ledgerEntry(owner, { seq, type, amountMinor: minor, disputeId: 'dp_1', disputeStatus: 'lost' })
    ledger.push(line('dispute.created', 1, amountMinor), line('dispute.funds_withdrawn', 2, amountMinor))
    if (reinstatedMinor !== null) ledger.push(line('dispute.funds_reinstated', 3, reinstatedMinor))
    ledger.push(line('dispute.closed', 4, 0))
    books.disputes.push({ id: 'd1', paymentId, gatewayDisputeId: 'dp_1', gatewayStatus: 'lost' })
    books.accountsWithWebhooks = new Set([accountId])
    const refundsTold = books.refunds.map(({ id }) => `refund.succeeded ${id}`)
    books.announced = new Set([...refundsTold, ...topics.map((topic) => `dispute.${topic} d1`)])
    rowOf(books.payments, paymentId).disputedMinor = shownMinor
    if (!isBooked) return history
    const moved = [
      { kind: 'dispute_withdrawal', minor: amountMinor, debit: `merchant:${accountId}`, credit: 'gateway' },
      { kind: 'dispute_reinstatement', minor: reinstatedMinor ?? 0, debit: 'gateway', credit: `merchant:${accountId}` },
    ]
    for (const { kind, minor, debit, credit } of moved.filter(({ minor }) => minor > 0)) {
      const accounts = { debitAccount: debit, creditAccount: credit }
      books.transfers.push(transferRow(owner, { id: `t-${kind}`, kind, amountMinor: minor, ...accounts }))
    }
    return history
  }

  it.each([
    ['lost', { shownMinor: owner.amountMinor }],
    ['lost in part', { shownMinor: owner.amountMinor - 100, reinstatedMinor: 100 }],
    ['given back in full', { shownMinor: 0, reinstatedMinor: owner.amountMinor }],
  ])('and %s is as it must be for all invariants, when our books show it and the merchant was told', (_, how) => {
    const history = disputed(how)
    expect(judge(history)).toMatchObject({ verdict: 'valid', violations: 0 })
    const others = invariants.map((invariant) => report(invariant, history, []))
    expect(others.filter(({ verdict }) => verdict === 'invalid')).toEqual([])
  })

  it('is a violation while our books do not show what was withdrawn', () => {
    expect(judge(disputed({ shownMinor: 0 })).examples).toContainEqual({
      subject: owner.bookingId,
      what: expect.stringMatching(/and 0 disputed; the gateway took .* and withdrew/),
    })
  })

  it('is a violation while the merchant was not told how it ended', () => {
    expect(judge(disputed({ shownMinor: owner.amountMinor, topics: ['opened'] })).examples).toEqual([
      { subject: owner.bookingId, what: 'the merchant was not told: dispute.lost d1' },
    ])
  })

  it('breaks I6 when our transfers do not have what was withdrawn', () => {
    const { verdict, examples } = report(
      transfersAgree,
      disputed({ shownMinor: owner.amountMinor, isBooked: false }),
      [],
    )
    expect(verdict).toBe('invalid')
    expect(examples[0]?.what).toMatch(/disputed: its payments .*, our transfers nothing, the gateway/)
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
