import { describe, expect, it } from 'vitest'
import type { Disturbance } from '../../src/auditor/disturbance.ts'
import type { Books, LedgerEntry, Mail } from '../../src/auditor/evidence.ts'
import { IncompleteRead } from '../../src/auditor/incomplete-read.ts'
import { judgeRun, type Witnesses } from '../../src/auditor/judge-run.ts'
import { createRunStore } from '../../src/auditor/run-store.ts'
import {
  at,
  attempt,
  cleanHistory,
  ledgerEntry,
  type MutableEvidence,
  mailOf,
  paidOrder,
  receiptOf,
  recipientOf,
  rowOf,
} from './history.ts'
import { former, standing } from './sale.ts'
import { wholeHistory } from './whole-history.ts'

const orders = [paidOrder(1), paidOrder(2)]
const soon = { waitMs: 2_000, pollMs: 1 }

describe('the verdict', () => {
  it('is valid on a clean history, with the figures of the run', async () => {
    const history = cleanHistory(orders)
    history.attempts.push(attempt(at(orders, 0)), attempt(at(orders, 1), { status: 202 }))
    history.books.leftOpenPaymentIds.add('payment-1')
    const verdict = await judgeRun(runOf(history), witnessesOf(history), soon)
    expect(verdict).toMatchObject({ verdict: 'valid', reason: null })
    expect(verdict.figures).toEqual({
      orders: 2,
      requests: 8,
      overlappingPairs: 0,
      replays: 4,
      unknownOutcomes: 2,
      recovered: 1,
      doubleCharges: 0,
      repairedCharges: 0,
      lostAcknowledgements: 0,
      stuck: 0,
      receipts: null,
      invoices: null,
      seats: null,
    })
  })

  it('has the figures of receipts and invoices where there were any', async () => {
    const history = wholeHistory(orders)
    const [one, other] = [at(orders, 0), at(orders, 1)]
    const copied = receiptOf(one.paymentId)
    rowOf(history.books.receipts, copied).attempts = 3
    for (const number of [10, 11]) history.mails.push(mailOf(copied, { number, recipients: [recipientOf(one)] }))
    history.mails = history.mails.filter(({ messageId }) => !messageId?.includes(receiptOf(other.paymentId)))
    history.ledger.push(ledgerEntry(other, { chargeId: 'ch_second' }))
    history.books.subscriptions.push({
      ...{ id: 'subscription-late', state: 'active', nextPeriod: 0, nextDueAt: history.books.readAt },
      createdAt: new Date(1_000),
    })
    const run = runOf(history, { disturbances: [{ what: 'a worker was killed', messageIds: [copied] }] })
    const { figures } = await judgeRun(run, witnessesOf(history), soon)
    expect(figures).toMatchObject({
      receipts: { sent: 3, duplicates: 2, duplicatesWithoutCause: 1, missing: 1 },
      invoices: { due: 3, charged: 2, chargedTwice: 1 },
    })
  })

  it('has the figures of seats where there were any', async () => {
    const history = wholeHistory(orders)
    const { figures } = await judgeRun(runOf(history), witnessesOf(history), soon)
    expect(figures?.seats).toEqual({
      ...{ sold: 5, holds: 4, walkedAway: 1, doubleBookings: 0, oversold: 0, paidWithoutSeat: 0 },
    })
    // What is asked about seats is no payment, and takes its own time.
    expect(figures).toMatchObject({ orders: 3, requests: 9, replays: 4 })
  })

  it('counts what went wrong with seats', async () => {
    const history = wholeHistory(orders)
    const { books } = history.seats
    books.bookedSeats.push({ bookingId: standing.bookingId, seatId: 'seat-2', releasedAt: null })
    books.tiers = books.tiers.map((tier) => ({ ...tier, soldByRows: 7 }))
    books.sections = books.sections.map((section) => ({ ...section, claims: 12 }))
    history.ledger = history.ledger.filter(({ refundId }) => refundId !== `re_refund-of-${former.bookingId}`)
    const { figures } = await judgeRun(runOf(history), witnessesOf(history), soon)
    expect(figures?.seats).toMatchObject({ doubleBookings: 1, oversold: 4, paidWithoutSeat: 1 })
  })

  it('is unknown where attempts about seats are missing', async () => {
    const history = wholeHistory(orders)
    const verdict = await judgeRun(runOf(history, { firstSeatBatch: 2 }), witnessesOf(history), soon)
    expect(verdict).toMatchObject({ verdict: 'unknown', reason: 'attempts are missing from vu-1-seats' })
  })

  it('is invalid with a violation, also where attempts are missing', async () => {
    const history = cleanHistory(orders)
    history.ledger.push(ledgerEntry(at(orders, 0), { chargeId: 'ch_second' }))
    const verdict = await judgeRun(runOf(history, { firstBatch: 2 }), witnessesOf(history), soon)
    expect(verdict).toMatchObject({ verdict: 'invalid', figures: { doubleCharges: 1 } })
  })

  it('is unknown where attempts are missing', async () => {
    const history = cleanHistory(orders)
    const verdict = await judgeRun(runOf(history, { firstBatch: 2 }), witnessesOf(history), soon)
    expect(verdict).toMatchObject({ verdict: 'unknown', reason: 'attempts are missing from vu-1' })
  })

  it('is unknown where an invariant had nothing to look at', async () => {
    const history = cleanHistory(orders)
    history.attempts = [attempt(at(orders, 0))]
    const verdict = await judgeRun(runOf(history), witnessesOf(history), soon)
    expect(verdict).toMatchObject({ verdict: 'unknown', reason: 'nothing to check for I2, I8' })
  })

  it('is valid although an invariant had nothing to look at, where the run expects nothing else', async () => {
    const history = cleanHistory(orders)
    history.attempts = [attempt(at(orders, 0))]
    const verdict = await judgeRun(runOf(history), witnessesOf(history), { ...soon, expects: ['I1', 'I3', 'I6'] })
    expect(verdict).toMatchObject({ verdict: 'valid', reason: null })
    expect(verdict.invariants.filter(({ verdict }) => verdict === 'not-applicable').map(({ id }) => id)).toEqual([
      ...['I2', 'I4', 'I5', 'I7', 'I8', 'I9', 'I10', 'I11', 'I12'],
    ])
  })

  it.each(['catchUp', 'countUnsettled', 'readBooks'] as const)('is unknown where %s failed', async (part) => {
    const history = cleanHistory(orders)
    const witnesses = witnessesOf(history)
    const broken = () => Promise.reject(new IncompleteRead('the wire was cut'))
    const verdict = await judgeRun(
      runOf(history),
      part === 'catchUp'
        ? { ...witnesses, ledger: { entries: [], catchUp: broken } }
        : { ...witnesses, [part]: broken },
      soon,
    )
    expect(verdict).toMatchObject({ verdict: 'unknown', reason: 'the wire was cut', invariants: [], figures: null })
  })
})

describe('quiescence', () => {
  it('is waited for: what settles in time is not stuck', async () => {
    const history = cleanHistory(orders)
    const last = at(history.books.orders, 0)
    last.state = 'processing'
    let looks = 0
    const verdict = await judgeRun(
      runOf(history),
      witnessesOf(history, {
        countUnsettled: () => {
          looks += 1
          if (looks === 3) last.state = 'paid'
          return looks < 3 ? 1 : 0
        },
      }),
      soon,
    )
    expect([verdict.verdict, looks]).toEqual(['valid', 3])
  })

  it('has a bound: what is still unsettled then is stuck, and a violation', async () => {
    const history = cleanHistory(orders)
    at(history.books.orders, 0).state = 'processing'
    const verdict = await judgeRun(runOf(history), witnessesOf(history, { countUnsettled: () => 1 }), {
      waitMs: 5,
      pollMs: 1,
    })
    expect(verdict).toMatchObject({ verdict: 'invalid', figures: { stuck: 1 } })
  })

  it('is not reached while the ledger grows: a charge between the two reads would be judged against old books', async () => {
    const history = cleanHistory(orders)
    const growing = () => history.ledger.push(ledgerEntry(paidOrder(history.ledger.length)))
    const verdict = await judgeRun(runOf(history), witnessesOf(history, { catchUp: () => growing() && 1 }), {
      waitMs: 5,
      pollMs: 1,
    })
    expect(verdict).toMatchObject({ verdict: 'unknown', invariants: [] })
  })

  it('reads the books again when mail came while they were read', async () => {
    const history = wholeHistory(orders)
    const last = history.mails.pop()
    let reads = 0
    const witnesses = witnessesOf(history, {
      readBooks: () => {
        reads += 1
        if (reads === 1 && last !== undefined) history.mails.push(last)
        return history.books
      },
    })
    const verdict = await judgeRun(runOf(history), witnesses, soon)
    expect([verdict.verdict, reads]).toEqual(['valid', 2])
  })

  it('reads the books again when the ledger grew while they were read', async () => {
    const history = cleanHistory(orders)
    const late = paidOrder(3)
    const grown = cleanHistory([...orders, late])
    let reads = 0
    const verdict = await judgeRun(
      runOf(history),
      witnessesOf(history, {
        readBooks: () => {
          reads += 1
          if (reads > 1) return grown.books
          history.ledger.push(ledgerEntry(late))
          return history.books
        },
      }),
      soon,
    )
    expect([verdict.verdict, reads]).toEqual(['valid', 2])
  })
})

function runOf(
  history: MutableEvidence,
  { firstBatch = 1, firstSeatBatch = 1, disturbances = [] as Disturbance[] } = {},
) {
  const store = createRunStore()
  store.add('run', { sender: 'vu-1', number: firstBatch, attempts: [...history.attempts] })
  if (history.seats.attempts.length > 0)
    store.addSeats('run', { sender: 'vu-1-seats', number: firstSeatBatch, attempts: [...history.seats.attempts] })
  for (const disturbance of disturbances) store.declare('run', disturbance)
  const run = store.find('run')
  if (run === undefined) throw new Error('the store lost the run')
  return run
}

/** Witnesses who say what the history holds at the moment of asking. */
function witnessesOf(
  history: MutableEvidence,
  changes: { countUnsettled?: () => number; readBooks?: () => Books; catchUp?: () => number } = {},
): Witnesses {
  const entries: LedgerEntry[] = []
  const mails: Mail[] = []
  return {
    since: new Date(0),
    ledger: {
      entries,
      catchUp: async () => {
        if (changes.catchUp !== undefined) return changes.catchUp()
        const known = entries.length
        entries.push(...history.ledger.slice(known))
        return entries.length - known
      },
    },
    mail: {
      mails,
      catchUp: async () => {
        const known = mails.length
        mails.push(...history.mails.slice(known))
        return mails.length - known
      },
    },
    countUnsettled: async () => changes.countUnsettled?.() ?? 0,
    readBooks: async () => ({ ...(changes.readBooks?.() ?? history.books), seats: history.seats.books }),
  }
}
