import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Attempt } from '../../src/auditor/attempt.ts'
import type { Invariant } from '../../src/auditor/invariant.ts'
import { report } from '../../src/auditor/invariant.ts'
import { acknowledgedPaymentsExist } from '../../src/auditor/invariants/acknowledged-payments-exist.ts'
import { answersIdentical } from '../../src/auditor/invariants/answers-identical.ts'
import { customersOfTheAccount } from '../../src/auditor/invariants/customers-of-the-account.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { nothingLeftOver } from '../../src/auditor/invariants/nothing-left-over.ts'
import { oneChargePerOrder } from '../../src/auditor/invariants/one-charge-per-order.ts'
import { oneChargePerPeriod } from '../../src/auditor/invariants/one-charge-per-period.ts'
import { receiptsOnce } from '../../src/auditor/invariants/receipts-once.ts'
import { refundsWithinPayment } from '../../src/auditor/invariants/refunds-within-payment.ts'
import { transfersAgree } from '../../src/auditor/invariants/transfers-agree.ts'
import {
  addCopy,
  addRepairedCharge,
  declinedPayment,
  histories,
  type Plant,
  reversalOf,
  reverseRefund,
} from './histories.ts'
import {
  accountId,
  acknowledged,
  addReceipt,
  at,
  attempt,
  cleanHistory,
  held,
  invoiceRow,
  ledgerEntry,
  mailOf,
  orderRow,
  type PaidOrder,
  paidOrder,
  paymentRow,
  receiptOf,
  recipientOf,
  refundEntry,
  refundOf,
  rowOf,
  sha,
  subscriptionOf,
} from './history.ts'
import { wholeHistory } from './whole-history.ts'

/** The same among refunds, receipts, holds and periods. Amounts are of two at least, so that there is a half to give back. */
const plantedAmongAll: ReadonlyArray<{
  readonly what: string
  readonly invariant: Invariant
  readonly subject: (victim: PaidOrder) => string
  readonly plant: Plant
}> = [
  {
    what: 'a second charge, of an authorization that was captured',
    invariant: oneChargePerOrder,
    subject: ({ orderId }) => orderId,
    plant: ({ ledger }, victim) => {
      ledger.push(
        ledgerEntry(victim, { type: 'charge.authorized', chargeId: 'ch_second', intentId: 'pi_second' }),
        ledgerEntry(victim, { chargeId: 'ch_second', intentId: 'pi_second' }),
      )
    },
  },
  {
    what: 'a charge of a customer of another account',
    invariant: customersOfTheAccount,
    subject: ({ chargeId }) => chargeId,
    plant: ({ books }, { orderId }) => {
      rowOf(books.gatewayCustomers, `customer-of-${orderId}`).accountId = 'account-2'
    },
  },
  {
    what: 'a charge of a customer of no account, which is not booked yet',
    invariant: customersOfTheAccount,
    subject: ({ chargeId }) => chargeId,
    plant: ({ books }, { orderId, paymentId }) => {
      books.gatewayCustomers = books.gatewayCustomers.filter(({ id }) => id !== `customer-of-${orderId}`)
      books.transfers = books.transfers.filter((transfer) => transfer.paymentId !== paymentId)
    },
  },
  {
    what: 'a charge of a customer of its own account that was credited to another one',
    invariant: customersOfTheAccount,
    subject: ({ chargeId }) => chargeId,
    plant: ({ books }, { paymentId }) => {
      for (const transfer of books.transfers)
        if (transfer.paymentId === paymentId && transfer.kind === 'charge')
          transfer.creditAccount = 'merchant:account-2'
    },
  },
  {
    what: 'a second charge, although reconciliation gave it back',
    invariant: oneChargePerOrder,
    subject: ({ orderId }) => orderId,
    plant: (history, victim) => addRepairedCharge(history, victim),
  },
  {
    what: 'an acknowledged hold that the gateway never made',
    invariant: acknowledgedPaymentsExist,
    subject: () => held.paymentId,
    plant: (history) => {
      history.ledger = history.ledger.filter(({ type }) => type !== 'charge.authorized')
    },
  },
  {
    what: 'an acknowledged void of what was charged all the same',
    invariant: acknowledgedPaymentsExist,
    subject: () => held.paymentId,
    plant: (history) => {
      history.attempts.push(acknowledgedVoid)
      rowOf(history.books.payments, held.paymentId).state = 'voided'
      history.ledger.push(ledgerEntry(held))
    },
  },
  {
    what: 'an acknowledged refund that the gateway never made',
    invariant: acknowledgedPaymentsExist,
    subject: refundOf,
    plant: (history, victim) => {
      history.ledger = history.ledger.filter(({ ourRefundId }) => ourRefundId !== refundOf(victim))
    },
  },
  {
    what: 'an acknowledged refund of another amount',
    invariant: acknowledgedPaymentsExist,
    subject: refundOf,
    plant: (history, victim) => {
      history.attempts = history.attempts.map((one) =>
        one.refund?.id === refundOf(victim) ? { ...one, amountMinor: one.amountMinor + 1 } : one,
      )
    },
  },
  {
    what: 'an acknowledged refund that the database lost',
    invariant: acknowledgedPaymentsExist,
    subject: refundOf,
    plant: ({ books }, victim) => {
      books.refunds = books.refunds.filter(({ id }) => id !== refundOf(victim))
    },
  },
  {
    what: 'an acknowledged refund that the database calls failed, and no bank had sent back',
    invariant: acknowledgedPaymentsExist,
    subject: refundOf,
    plant: ({ books }, victim) => {
      rowOf(books.refunds, refundOf(victim)).state = 'failed'
    },
  },
  ...(['capturing', 'voiding'] as const).map((state) => ({
    what: `a payment that is still ${state}`,
    invariant: nothingLeftOver,
    subject: ({ orderId }: PaidOrder) => orderId,
    plant: (({ books }, victim) => {
      books.payments.push(paymentRow(victim, { id: 'payment-stuck', state, gatewayChargeId: null }))
    }) satisfies Plant,
  })),
  ...(['processing', 'needs_review'] as const).map((state) => ({
    what: `a refund that is still ${state}`,
    invariant: nothingLeftOver,
    subject: ({ orderId }: PaidOrder) => orderId,
    plant: (({ books }, victim) => {
      rowOf(books.refunds, refundOf(victim)).state = state
    }) satisfies Plant,
  })),
  {
    what: 'an authorization that nobody gave back in time',
    invariant: nothingLeftOver,
    subject: () => held.orderId,
    plant: ({ books, ledger }) => {
      rowOf(books.payments, held.paymentId).voidAt = books.readAt
      ledger.push(ledgerEntry(held, { type: 'charge.released' }))
    },
  },
  {
    what: 'an authorization that is open at the gateway, and voided in our books',
    invariant: nothingLeftOver,
    subject: () => held.chargeId,
    plant: ({ books }) => {
      rowOf(books.payments, held.paymentId).state = 'voided'
      rowOf(books.orders, held.orderId).state = 'pending'
    },
  },
  {
    what: 'an authorization of which no payment of ours knows',
    invariant: nothingLeftOver,
    subject: () => 'ch_orphan',
    plant: ({ ledger }, victim) =>
      ledger.push(ledgerEntry(victim, { type: 'charge.authorized', chargeId: 'ch_orphan', intentId: 'pi_orphan' })),
  },
  {
    what: 'a refund at the gateway of which no refund of ours knows',
    invariant: nothingLeftOver,
    subject: () => 're_orphan',
    plant: ({ ledger }, victim) => ledger.push(refundEntry(victim, { ourRefundId: 'orphan', amountMinor: 1 })),
  },
  {
    what: 'a refund that is booked in another amount',
    invariant: nothingLeftOver,
    subject: (victim) => `re_${refundOf(victim)}`,
    plant: ({ books }, victim) => {
      rowOf(books.refunds, refundOf(victim)).amountMinor += 1
    },
  },
  {
    what: 'a refund that was never booked as a transfer',
    invariant: transfersAgree,
    subject: ({ orderId }) => orderId,
    plant: ({ books }, victim) => {
      books.transfers = books.transfers.filter(({ refundId }) => refundId !== refundOf(victim))
    },
  },
  {
    what: 'a refund that the bank sent back, without its reversal',
    invariant: transfersAgree,
    subject: ({ orderId }) => orderId,
    plant: (history, victim) => reverseRefund(history, victim, { isBooked: false }),
  },
  {
    what: 'a refund that is booked the wrong way round',
    invariant: transfersAgree,
    subject: ({ orderId }) => orderId,
    plant: ({ books }, victim) => {
      const transfer = rowOf(books.transfers, `transfer-${refundOf(victim)}`)
      Object.assign(transfer, { debitAccount: transfer.creditAccount, creditAccount: transfer.debitAccount })
    },
  },
  {
    what: "a charge that is booked for somebody else's account",
    invariant: transfersAgree,
    subject: ({ orderId }) => orderId,
    plant: ({ books }, victim) => {
      rowOf(books.transfers, `transfer-${victim.paymentId}`).creditAccount = 'merchant:account-2'
    },
  },
  {
    what: 'an order that says nothing of what was given back',
    invariant: transfersAgree,
    subject: ({ orderId }) => orderId,
    plant: ({ books }, victim) => {
      rowOf(books.orders, victim.orderId).state = 'paid'
    },
  },
  {
    what: 'a receipt that was never written',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: (history, victim) => {
      history.books.receipts = history.books.receipts.filter(({ subjectId }) => subjectId !== victim.paymentId)
      history.mails = history.mails.filter(({ messageId }) => messageId !== idOfMail(victim.paymentId))
    },
  },
  {
    what: 'a receipt that did not arrive',
    invariant: receiptsOnce,
    subject: refundOf,
    plant: (history, victim) => {
      history.mails = history.mails.filter(({ messageId }) => messageId !== idOfMail(refundOf(victim)))
    },
  },
  {
    what: 'a refund that the bank sent back, of which its customer heard nothing',
    invariant: receiptsOnce,
    subject: refundOf,
    plant: (history, victim) => {
      reverseRefund(history, victim, { isBooked: true })
      const id = receiptOf(reversalOf(victim))
      history.books.receipts = history.books.receipts.filter((receipt) => receipt.id !== id)
      history.mails = history.mails.filter(({ messageId }) => messageId !== idOfMail(reversalOf(victim)))
    },
  },
  {
    what: 'a receipt that was given up',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: (history, victim) => {
      rowOf(history.books.receipts, receiptOf(victim.paymentId)).isGivenUp = true
      history.mails = history.mails.filter(({ messageId }) => messageId !== idOfMail(victim.paymentId))
    },
  },
  {
    what: 'a receipt that went to somebody else',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: ({ mails }, victim) => {
      for (const mail of mails) if (mail.messageId === idOfMail(victim.paymentId)) mail.recipients = ['eve@example.com']
    },
  },
  {
    what: 'a receipt for a payment that was declined',
    invariant: receiptsOnce,
    subject: () => 'payment-declined',
    plant: (history, victim) => {
      history.books.payments.push(paymentRow(victim, { ...declinedPayment, id: 'payment-declined' }))
      addReceipt(history, victim, { subjectId: 'payment-declined', topic: 'payment.succeeded' })
    },
  },
  {
    what: 'a mail that no message of ours is behind',
    invariant: receiptsOnce,
    subject: () => '<stray@seatbelt.example>',
    plant: ({ mails }, victim) => mails.push(mailOf('stray', { recipients: [recipientOf(victim)] })),
  },
  {
    what: 'a second copy of a receipt without any cause',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: (history, victim) => addCopy(history, victim, { attempts: 2 }),
  },
  {
    what: 'a second copy of a receipt of which there was only one try',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: (history, victim) => {
      history.disturbances.push({ what: 'a worker was killed', messageIds: null })
      addCopy(history, victim, { attempts: 1 })
    },
  },
  {
    what: 'a second copy of a receipt that was not in flight at the kill',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: (history, victim) => {
      history.disturbances.push({ what: 'a worker was killed', messageIds: [receiptOf('payment-of-another')] })
      addCopy(history, victim, { attempts: 2 })
    },
  },
  {
    what: 'a third copy of a receipt that was in flight at one kill',
    invariant: receiptsOnce,
    subject: ({ paymentId }) => paymentId,
    plant: (history, victim) => {
      history.disturbances.push({ what: 'a worker was killed', messageIds: [receiptOf(victim.paymentId)] })
      addCopy(history, victim, { attempts: 3 })
      addCopy(history, victim, { attempts: 3 })
    },
  },
  {
    what: 'a capture whose recorded answer differs from the given one',
    invariant: answersIdentical,
    subject: () => 'key-capture',
    plant: ({ attempts, books }, victim) => {
      const answer = { key: 'key-capture', status: 200, location: null, bodySha256: sha('captured') }
      attempts.push(acknowledged(victim, { ...answer, operation: 'capture' }))
      books.recordedAnswers.push({ ...answer, accountId, bodySha256: sha('another') })
    },
  },
  {
    what: 'a cancellation, which starts no payment, that was answered in two ways',
    invariant: answersIdentical,
    subject: () => 'key-cancel',
    plant: ({ attempts, books }, victim) => {
      const answer = { key: 'key-cancel', status: 200, location: null, bodySha256: sha('cancelled') }
      attempts.push(attempt(victim, { ...answer, operation: 'cancel', outcome: 'ok' }))
      books.recordedAnswers.push({ ...answer, accountId, bodySha256: sha('another') })
    },
  },
  {
    what: 'a cancellation, which starts no payment, that was not recorded',
    invariant: answersIdentical,
    subject: () => 'key-cancel',
    plant: ({ attempts }, victim) => {
      const answer = { key: 'key-cancel', status: 200, bodySha256: sha('cancelled') }
      attempts.push(attempt(victim, { ...answer, operation: 'cancel', outcome: 'ok' }))
    },
  },
  {
    what: 'more given back at the gateway than was taken',
    invariant: refundsWithinPayment,
    subject: ({ chargeId }) => chargeId,
    plant: ({ ledger }, victim) =>
      ledger.push(refundEntry(victim, { seq: 2, ourRefundId: 'second', amountMinor: victim.amountMinor })),
  },
  {
    what: 'more given back at the gateway than was taken, for as long as until one of them failed',
    invariant: refundsWithinPayment,
    subject: ({ chargeId }) => chargeId,
    plant: ({ ledger }, victim) => {
      const second = { ourRefundId: 'second', amountMinor: victim.amountMinor }
      ledger.push(
        refundEntry(victim, { ...second, seq: 2 }),
        refundEntry(victim, { ...second, seq: 3, type: 'refund.failed', refundStatus: 'failed' }),
      )
    },
  },
  {
    what: 'one refund of ours that the gateway made twice',
    invariant: refundsWithinPayment,
    subject: refundOf,
    plant: (history, victim) => {
      const half = Math.floor(victim.amountMinor / 2)
      history.ledger = history.ledger.map((entry) =>
        entry.ourRefundId === refundOf(victim) ? { ...entry, amountMinor: half } : entry,
      )
      history.ledger.push(
        refundEntry(victim, { seq: 2, ourRefundId: refundOf(victim), refundId: 're_again', amountMinor: half }),
      )
    },
  },
  {
    what: 'more promised in our books than was taken',
    invariant: refundsWithinPayment,
    subject: ({ paymentId }) => paymentId,
    plant: ({ books }, victim) => {
      const refund = rowOf(books.refunds, refundOf(victim))
      books.refunds.push({ ...refund, id: 'refund-second', state: 'processing', amountMinor: victim.amountMinor })
      rowOf(books.payments, victim.paymentId).refundPendingMinor = victim.amountMinor
    },
  },
  {
    what: 'a reservation that its refund left behind',
    invariant: refundsWithinPayment,
    subject: ({ paymentId }) => paymentId,
    plant: ({ books }, victim) => {
      rowOf(books.payments, victim.paymentId).refundPendingMinor = 1
    },
  },
  {
    what: 'a period that was charged twice, under two orders',
    invariant: oneChargePerPeriod,
    subject: (victim) => `${subscriptionOf(victim)} period 0`,
    plant: ({ ledger, books }, victim) => {
      const again = { ...paidOrder(700), amountMinor: victim.amountMinor }
      ledger.push(ledgerEntry(again))
      books.orders.push(orderRow(again, { purpose: 'invoice' }))
      books.invoices.push(invoiceRow(again, { subscriptionId: subscriptionOf(victim) }))
    },
  },
  {
    what: 'a period that was charged twice, under one order',
    invariant: oneChargePerPeriod,
    subject: (victim) => `${subscriptionOf(victim)} period 0`,
    plant: ({ ledger }, victim) => ledger.push(ledgerEntry(victim, { chargeId: 'ch_second' })),
  },
  {
    what: 'a period that was invoiced twice, and charged once',
    invariant: oneChargePerPeriod,
    subject: (victim) => `${subscriptionOf(victim)} period 0`,
    plant: ({ books }, victim) => {
      const again = paidOrder(700)
      books.orders.push(orderRow(again, { purpose: 'invoice', state: 'pending' }))
      books.invoices.push(invoiceRow(again, { subscriptionId: subscriptionOf(victim), state: 'open' }))
    },
  },
  {
    what: 'a period that is paid, and was never charged',
    invariant: oneChargePerPeriod,
    subject: (victim) => `${subscriptionOf(victim)} period 0`,
    plant: (history, victim) => {
      history.ledger = history.ledger.filter(({ chargeId }) => chargeId !== victim.chargeId)
    },
  },
  {
    what: 'a period that was charged, and is still open',
    invariant: oneChargePerPeriod,
    subject: (victim) => `${subscriptionOf(victim)} period 0`,
    plant: ({ books }, victim) => {
      rowOf(books.invoices, `invoice-${victim.orderId}`).state = 'open'
    },
  },
  {
    what: 'a period that was charged twice, and is still open',
    invariant: oneChargePerPeriod,
    subject: (victim) => `${subscriptionOf(victim)} period 0`,
    plant: ({ ledger, books }, victim) => {
      ledger.push(ledgerEntry(victim, { chargeId: 'ch_second' }))
      rowOf(books.invoices, `invoice-${victim.orderId}`).state = 'open'
    },
  },
  {
    what: 'a charge of an invoice that is not there',
    invariant: oneChargePerPeriod,
    subject: ({ orderId }) => orderId,
    plant: ({ books }, victim) => {
      books.invoices = books.invoices.filter(({ orderId }) => orderId !== victim.orderId)
    },
  },
]

const idOfMail = (subjectId: string) => `<${receiptOf(subjectId)}@seatbelt.example>`

const acknowledgedVoid = acknowledged(held, {
  ...{ operation: 'void', status: 200, key: 'key-void' },
  payment: {
    id: held.paymentId,
    orderId: held.orderId,
    amountMinor: held.amountMinor,
    currency: 'EUR',
    state: 'voided',
  },
})

describe('a planted violation', () => {
  it.each(plantedAmongAll)('is found among all that there can be: $what', ({ invariant, plant, subject }) => {
    fc.assert(
      fc.property(histories, ({ whole, victim }) => {
        plant(whole, victim)
        const found = report(invariant, whole)
        expect(found.verdict).toBe('invalid')
        expect(found.examples.map((violation) => violation.subject)).toEqual([subject(victim)])
      }),
    )
  })
})

describe('a clean history', () => {
  it('passes every invariant, each of which had something to look at', () => {
    fc.assert(
      fc.property(histories, ({ whole }) => {
        for (const invariant of invariants) {
          expect(report(invariant, whole)).toMatchObject({ id: invariant.id, verdict: 'valid', violations: 0 })
        }
      }),
    )
  })

  it('may hold a second copy of each receipt that was in flight at a kill, or whose answer was lost', () => {
    fc.assert(
      fc.property(histories, fc.constantFrom('named', 'unnamed', 'unanswered'), ({ whole, victim }, cause) => {
        const id = receiptOf(victim.paymentId)
        if (cause === 'unanswered')
          for (const mail of whole.mails) if (mail.messageId?.includes(id)) mail.fault = 'hang'
        if (cause !== 'unanswered')
          whole.disturbances.push({ what: 'a worker was killed', messageIds: cause === 'named' ? [id] : null })
        addCopy(whole, victim, { attempts: 2 })
        expect(report(receiptsOnce, whole).examples).toEqual([])
      }),
    )
  })

  it('may hold a refund that the bank sent back, and everything that follows from it', () => {
    fc.assert(
      fc.property(histories, ({ whole, victim }) => {
        reverseRefund(whole, victim, { isBooked: true })
        for (const invariant of invariants) expect(report(invariant, whole).examples).toEqual([])
      }),
    )
  })

  it('may hold a refund that the bank takes its time for: reserved, and not given back yet', () => {
    const order = paidOrder(1)
    const history = wholeHistory([order])
    const { books } = history
    const refund = rowOf(books.refunds, refundOf(order))
    history.ledger = history.ledger.map((entry) =>
      entry.ourRefundId === refund.id ? { ...entry, refundStatus: 'pending' } : entry,
    )
    refund.state = 'pending'
    Object.assign(rowOf(books.payments, order.paymentId), { refundedMinor: 0, refundPendingMinor: refund.amountMinor })
    rowOf(books.orders, order.orderId).state = 'paid'
    books.transfers = books.transfers.filter(({ refundId }) => refundId !== refund.id)
    books.receipts = books.receipts.filter(({ subjectId }) => subjectId !== refund.id)
    history.mails = history.mails.filter(({ messageId }) => messageId !== idOfMail(refund.id))
    history.attempts = history.attempts.map((one) =>
      one.refund === null ? one : { ...one, refund: { ...one.refund, state: 'pending' } },
    )
    for (const invariant of invariants) expect(report(invariant, history).examples).toEqual([])
  })

  it('may hold an authorization that was captured, and one that was voided', () => {
    const [captured, voided] = [paidOrder(1), paidOrder(2)]
    const history = cleanHistory([captured])
    const { attempts, ledger, books } = history
    attempts.push(
      acknowledged(captured, {
        ...{ operation: 'authorize', key: 'key-authorize' },
        payment: { ...at(attempts, 0).payment, state: 'authorized' } as Attempt['payment'],
      }),
    )
    ledger.push(
      ledgerEntry(captured, { type: 'charge.authorized' }),
      ledgerEntry(voided, { type: 'charge.authorized' }),
      ledgerEntry(voided, { type: 'charge.released' }),
    )
    books.recordedAnswers.push({ ...at(books.recordedAnswers, 0), key: 'key-authorize' })
    books.orders.push(orderRow(voided, { state: 'pending' }))
    books.payments.push(paymentRow(voided, { state: 'voided', gatewayChargeId: null }))
    for (const invariant of invariants) expect(report(invariant, history).examples).toEqual([])
  })
})
