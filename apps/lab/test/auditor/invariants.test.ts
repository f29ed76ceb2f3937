import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Evidence } from '../../src/auditor/evidence.ts'
import type { Invariant } from '../../src/auditor/invariant.ts'
import { report } from '../../src/auditor/invariant.ts'
import { acknowledgedPaymentsExist } from '../../src/auditor/invariants/acknowledged-payments-exist.ts'
import { answersIdentical } from '../../src/auditor/invariants/answers-identical.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { nothingLeftOver } from '../../src/auditor/invariants/nothing-left-over.ts'
import { oneChargePerOrder } from '../../src/auditor/invariants/one-charge-per-order.ts'
import { receiptsOnce } from '../../src/auditor/invariants/receipts-once.ts'
import { transfersAgree } from '../../src/auditor/invariants/transfers-agree.ts'
import { addRepairedCharge, declinedPayment, histories, type Plant } from './histories.ts'
import {
  accountId,
  acknowledged,
  at,
  attempt,
  cleanHistory,
  ledgerEntry,
  type MutableEvidence,
  orderRow,
  type PaidOrder,
  paidOrder,
  paymentRow,
  sha,
} from './history.ts'
import { wholeHistory } from './whole-history.ts'

/** What can go wrong, who must notice, and about whom it must say so. */
const planted: ReadonlyArray<{
  readonly what: string
  readonly invariant: Invariant
  readonly subject: keyof PaidOrder
  readonly plant: Plant
}> = [
  {
    what: 'a second charge for an order',
    invariant: oneChargePerOrder,
    subject: 'orderId',
    plant: ({ ledger }, victim) => ledger.push(ledgerEntry(victim, { chargeId: 'ch_second' })),
  },
  {
    what: 'a second charge of another amount and without a payment of ours',
    invariant: oneChargePerOrder,
    subject: 'orderId',
    plant: ({ ledger }, victim) =>
      ledger.push(ledgerEntry(victim, { chargeId: 'ch_second', amountMinor: 1, paymentId: null })),
  },
  {
    what: 'an acknowledged payment without a charge',
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: (history, victim) => {
      history.ledger = history.ledger.filter((entry) => entry.chargeId !== victim.chargeId)
    },
  },
  {
    what: 'an acknowledged payment that was charged in another amount',
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: (history, victim) => {
      history.ledger = history.ledger.map((entry) =>
        entry.chargeId === victim.chargeId ? { ...entry, amountMinor: entry.amountMinor + 1 } : entry,
      )
    },
  },
  {
    what: 'an acknowledged payment that was charged in another currency',
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: (history, victim) => {
      history.ledger = history.ledger.map((entry) =>
        entry.chargeId === victim.chargeId ? { ...entry, currency: 'USD' } : entry,
      )
    },
  },
  {
    what: 'an acknowledged payment that the database lost',
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: ({ books }, victim) => {
      books.payments = books.payments.filter((payment) => payment.id !== victim.paymentId)
    },
  },
  {
    what: 'an acknowledged payment that the database calls declined',
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: ({ books }, victim) => {
      for (const payment of books.payments) if (payment.id === victim.paymentId) payment.state = 'declined'
    },
  },
  {
    what: 'an acknowledgement of more than was asked for',
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: ({ attempts }, victim) => attempts.push(acknowledged(victim, { amountMinor: victim.amountMinor + 1 })),
  },
  {
    what: "an acknowledgement of somebody else's order",
    invariant: acknowledgedPaymentsExist,
    subject: 'paymentId',
    plant: ({ attempts }, victim) => attempts.push(acknowledged(victim, { orderId: 'order-of-somebody' })),
  },
  {
    what: 'a charge that no payment owns',
    invariant: nothingLeftOver,
    subject: 'chargeId',
    plant: ({ books }, victim) => {
      for (const payment of books.payments) {
        if (payment.id === victim.paymentId) Object.assign(payment, { state: 'cancelled', gatewayChargeId: null })
      }
    },
  },
  {
    what: 'a charge that is booked in another amount',
    invariant: nothingLeftOver,
    subject: 'chargeId',
    plant: ({ books }, victim) => {
      for (const payment of books.payments) if (payment.id === victim.paymentId) payment.capturedMinor += 1
    },
  },
  {
    what: 'a charge by another intent than the booked one',
    invariant: nothingLeftOver,
    subject: 'chargeId',
    plant: ({ books }, victim) => {
      for (const payment of books.payments) if (payment.id === victim.paymentId) payment.gatewayIntentId = 'pi_another'
    },
  },
  {
    what: 'a payment that never came to an end',
    invariant: nothingLeftOver,
    subject: 'orderId',
    plant: ({ books }, victim) => {
      const open = { state: 'processing', gatewayIntentId: null, gatewayChargeId: null, settledAt: null } as const
      books.payments.push(paymentRow(victim, { id: 'payment-stuck', ...open }))
    },
  },
  {
    what: 'a payment that was handed to a person',
    invariant: nothingLeftOver,
    subject: 'orderId',
    plant: ({ books }, victim) => {
      for (const payment of books.payments) if (payment.id === victim.paymentId) payment.state = 'needs_review'
    },
  },
  {
    what: 'an order that is still being processed',
    invariant: nothingLeftOver,
    subject: 'orderId',
    plant: ({ books }, victim) => {
      for (const order of books.orders) if (order.id === victim.orderId) order.state = 'processing'
    },
  },
  {
    what: 'a transfer that is missing',
    invariant: transfersAgree,
    subject: 'orderId',
    plant: ({ books }, victim) => {
      books.transfers = books.transfers.filter((transfer) => transfer.paymentId !== victim.paymentId)
    },
  },
  {
    what: 'a payment that is booked twice',
    invariant: transfersAgree,
    subject: 'orderId',
    plant: ({ books }, victim) => {
      const booked = books.transfers.find((transfer) => transfer.paymentId === victim.paymentId)
      if (booked !== undefined) books.transfers.push({ ...booked, id: 'transfer-again' })
    },
  },
  {
    what: 'a payment that succeeded in our books alone',
    invariant: transfersAgree,
    subject: 'orderId',
    plant: (history, victim) => {
      history.ledger = history.ledger.filter((entry) => entry.orderId !== victim.orderId)
      history.books.transfers = history.books.transfers.filter((transfer) => transfer.paymentId !== victim.paymentId)
      for (const order of history.books.orders) if (order.id === victim.orderId) order.state = 'cancelled'
    },
  },
  {
    what: 'a paid order that was never charged',
    invariant: transfersAgree,
    subject: 'orderId',
    plant: (history, victim) => {
      history.ledger = history.ledger.filter((entry) => entry.orderId !== victim.orderId)
      history.books.transfers = history.books.transfers.filter((transfer) => transfer.paymentId !== victim.paymentId)
    },
  },
  {
    what: 'a charged order that is open again',
    invariant: transfersAgree,
    subject: 'orderId',
    plant: ({ books }, victim) => {
      for (const order of books.orders) if (order.id === victim.orderId) order.state = 'pending'
    },
  },
  {
    what: 'a replay with another body',
    invariant: answersIdentical,
    subject: 'key',
    plant: ({ attempts }, victim) =>
      attempts.push(acknowledged(victim, { bodySha256: sha('another'), replayed: true })),
  },
  {
    what: 'a replay with another status',
    invariant: answersIdentical,
    subject: 'key',
    plant: ({ attempts }, victim) =>
      attempts.push(attempt(victim, { outcome: 'fail', status: 404, bodySha256: sha('gone'), replayed: true })),
  },
  {
    what: 'a replay with another location',
    invariant: answersIdentical,
    subject: 'key',
    plant: ({ attempts }, victim) => attempts.push(acknowledged(victim, { location: '/v1/payments/another' })),
  },
  {
    what: 'a decline after an acknowledgement',
    invariant: answersIdentical,
    subject: 'key',
    plant: ({ attempts }, victim) =>
      attempts.push(attempt(victim, { outcome: 'fail', status: 402, code: 'payment-declined', bodySha256: sha('no') })),
  },
  {
    what: 'a recorded answer that differs from the given one',
    invariant: answersIdentical,
    subject: 'key',
    plant: ({ books }, victim) => {
      for (const answer of books.recordedAnswers) if (answer.key === victim.key) answer.bodySha256 = sha('another')
    },
  },
  {
    what: 'a given answer that was not recorded',
    invariant: answersIdentical,
    subject: 'key',
    plant: ({ books }, victim) => {
      books.recordedAnswers = books.recordedAnswers.filter((answer) => answer.key !== victim.key)
    },
  },
]

describe('a planted violation', () => {
  it.each(planted)('is found: $what', ({ invariant, plant, subject }) => {
    fc.assert(
      fc.property(histories, ({ history, victim }) => {
        plant(history, victim)
        const found = report(invariant, history)
        expect(found.verdict).toBe('invalid')
        // It is found for its victim alone: a check that calls everything wrong would find it too.
        expect(found.examples.map((violation) => violation.subject)).toEqual([victim[subject]])
      }),
    )
  })
})

describe('a clean history', () => {
  it('may hold declines, refusals, lost answers and intents that were never confirmed', () => {
    fc.assert(
      fc.property(histories, ({ history, victim }) => {
        addHarmlessEvents(history, victim)
        for (const invariant of invariants) expect(report(invariant, history).examples).toEqual([])
      }),
    )
  })

  it('may be paid for by the second of two payments, after the first was declined', () => {
    const order = paidOrder(1)
    const history = wholeHistory([order])
    history.books.payments.push(paymentRow(order, { ...declinedPayment, id: 'payment-declined' }))
    history.ledger.push(
      ledgerEntry(order, { type: 'charge.declined', paymentId: 'payment-declined', chargeId: 'ch_declined' }),
    )
    for (const invariant of invariants) expect(report(invariant, history).verdict).toBe('valid')
  })
})

describe('an invariant with nothing to look at', () => {
  const nothing: Evidence = cleanHistory([])
  const named = invariants.map((invariant) => [invariant.id, invariant] as const)

  it.each(named)('%s is unknown, not valid, where the run expects it', (_, invariant) => {
    expect(report(invariant, nothing, [invariant.id])).toMatchObject({ verdict: 'unknown', checked: 0, violations: 0 })
  })

  it.each(named)('%s does not apply where the run does not expect it', (_, invariant) => {
    expect(report(invariant, nothing, [])).toMatchObject({ verdict: 'not-applicable', checked: 0, violations: 0 })
  })

  it('is expected of every run that says nothing else, if it is about paying', () => {
    const unknown = invariants.filter((invariant) => report(invariant, nothing).verdict === 'unknown')
    expect(unknown.map(({ id }) => id)).toEqual(['I1', 'I2', 'I3', 'I6', 'I8'])
  })

  it('I7 is unknown where receipts are owed and there is no sink to ask, whatever the run expects', () => {
    const evidence = { ...wholeHistory([paidOrder(1)]), mails: null }
    expect(report(receiptsOnce, evidence, [])).toMatchObject({ verdict: 'unknown', checked: 0 })
  })

  it('I8 is unknown where each key has one answer only: nothing was compared', () => {
    const history = cleanHistory([paidOrder(1)], 0)
    history.books.recordedAnswers = []
    expect(answersIdentical.check(history).checked).toBe(0)
  })
})

describe('a report', () => {
  it('tells a second charge that reconciliation gave back from one that stands', () => {
    const [repaired, standing] = [paidOrder(1), paidOrder(2)]
    const history = cleanHistory([repaired, standing])
    addRepairedCharge(history, repaired)
    history.ledger.push(ledgerEntry(standing, { chargeId: 'ch_third' }))
    expect(report(oneChargePerOrder, history).examples.map(({ what }) => what)).toEqual([
      'charged 2 times: ch_1, ch_second (given back by reconciliation)',
      'charged 2 times: ch_2, ch_third',
    ])
  })

  it('counts all violations and shows ten', () => {
    const orders = Array.from({ length: 25 }, (_, number) => paidOrder(number))
    const history = cleanHistory(orders)
    history.ledger.push(...orders.map((order) => ledgerEntry(order, { chargeId: 'ch_second' })))
    const { violations, examples } = report(oneChargePerOrder, history)
    expect([violations, examples.length]).toEqual([25, 10])
  })

  it("does not take another account's answer to the same key for ours", () => {
    const history = cleanHistory([paidOrder(1)])
    history.books.recordedAnswers.push({
      ...at(history.books.recordedAnswers, 0),
      accountId: 'account-foreign',
      bodySha256: sha('foreign'),
    })
    expect(report(answersIdentical, history).verdict).toBe('valid')
  })
})

function addHarmlessEvents({ attempts, ledger, books }: MutableEvidence, victim: PaidOrder): void {
  const declined = { ...paidOrder(900), key: 'key-declined' }
  attempts.push(
    attempt(victim),
    attempt(victim, { status: 202 }),
    attempt(victim, { outcome: 'fail', status: 409, code: 'request-in-progress', bodySha256: sha('409') }),
    attempt(victim, { outcome: 'fail', status: 422, code: 'idempotency-key-reused', bodySha256: sha('422') }),
    attempt(victim, { status: 500, code: 'internal', bodySha256: sha('500') }),
    attempt(declined, { outcome: 'fail', status: 402, code: 'payment-declined', bodySha256: sha('declined') }),
  )
  ledger.push(
    ledgerEntry(victim, { type: 'intent.created', intentId: 'pi_orphan', chargeId: null }),
    ledgerEntry(declined, { type: 'charge.declined' }),
  )
  books.orders.push(orderRow(declined, { state: 'pending' }))
  books.payments.push(paymentRow(declined, { state: 'declined', gatewayChargeId: null }))
  books.recordedAnswers.push({
    accountId,
    key: declined.key,
    status: 402,
    bodySha256: sha('declined'),
    location: null,
  })
}
