import fc from 'fast-check'
import {
  at,
  cleanHistory,
  ledgerEntry,
  type MutableEvidence,
  mailOf,
  type PaidOrder,
  paidOrder,
  receiptOf,
  recipientOf,
  refundEntry,
  refundOf,
  rowOf,
  transferRow,
} from './history.ts'
import { wholeHistory } from './whole-history.ts'

/** Histories of some orders, with their events in any order: an invariant must not depend on who came first. */
export const histories = fc
  .record({
    amounts: fc.array(fc.integer({ min: 2, max: 99_999_999 }), { minLength: 1, maxLength: 8 }),
    replays: fc.nat(3),
    seed: fc.nat(),
  })
  .map(({ amounts, replays, seed }) => {
    const orders = amounts.map((amount, number) => paidOrder(number, amount))
    const victim = at(orders, seed % orders.length)
    const [paid, whole] = [cleanHistory, wholeHistory].map((make) => shuffled(make(orders, replays), seed))
    if (paid === undefined || whole === undefined) throw new Error('no history')
    return { orders, history: paid, whole, victim }
  })

export type Plant = (history: MutableEvidence, victim: PaidOrder) => void

export const declinedPayment = { state: 'declined', gatewayIntentId: 'pi_declined', gatewayChargeId: null } as const

export function addCopy(
  { mails, books }: MutableEvidence,
  victim: PaidOrder,
  { attempts }: { attempts: number },
): void {
  const id = receiptOf(victim.paymentId)
  rowOf(books.receipts, id).attempts = attempts
  mails.push(mailOf(id, { number: 1_000 + mails.length, recipients: [recipientOf(victim)] }))
}

/**
 * The bank sends the money back: at the gateway, in our books, whose ledger gets a row more if it `isBooked`, and in a
 * mail.
 */
export function reverseRefund(
  { ledger, books, mails }: MutableEvidence,
  victim: PaidOrder,
  { isBooked }: { isBooked: boolean },
): void {
  const refund = rowOf(books.refunds, refundOf(victim))
  const { id, amountMinor } = refund
  ledger.push(
    refundEntry(victim, { seq: 2, type: 'refund.failed', refundStatus: 'failed', ourRefundId: id, amountMinor }),
  )
  Object.assign(refund, { state: 'failed', reversedAt: new Date(5_000) })
  rowOf(books.payments, victim.paymentId).refundedMinor -= amountMinor
  rowOf(books.orders, victim.orderId).state = 'paid'
  const receipt = { id: receiptOf(reversalOf(victim)), topic: 'refund.reversed', subjectId: id }
  books.receipts.push({ ...receipt, recipient: recipientOf(victim), attempts: 1, isGivenUp: false })
  mails.push(mailOf(receipt.id, { number: 1_000 + mails.length, recipients: [recipientOf(victim)] }))
  if (!isBooked) return
  books.transfers.push(transferRow(victim, { id: 'transfer-back', refundId: id, kind: 'refund_reversal', amountMinor }))
}

/** Names the mail about a reversal, beside the one about the refund. */
export const reversalOf = (victim: PaidOrder) => `reversal-of-${refundOf(victim)}`

/** What reconciliation does about a second charge. */
export function addRepairedCharge({ ledger, books }: MutableEvidence, victim: PaidOrder): void {
  const { amountMinor } = victim
  const second = { chargeId: 'ch_second', intentId: 'pi_second' }
  ledger.push(
    ledgerEntry(victim, second),
    refundEntry(victim, { ...second, seq: 2, ourRefundId: 'repair', amountMinor }),
  )
  books.refunds.push({
    ...{ id: 'repair', orderId: victim.orderId, paymentId: null, origin: 'reconciliation', state: 'succeeded' },
    ...{ amountMinor, currency: 'EUR', gatewayChargeId: 'ch_second', gatewayRefundId: 're_repair', reversedAt: null },
  })
}

function shuffled(history: MutableEvidence, seed: number): MutableEvidence {
  const { attempts, ledger, mails, books, seats } = history
  const order = <T>(items: T[]) =>
    items
      .map((item, index) => ({ item, at: (index * 7_919 + seed) % 101 }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item)
  return {
    attempts: order(attempts),
    ledger: order(ledger),
    mails: order(mails),
    disturbances: history.disturbances,
    books: {
      ...books,
      orders: order(books.orders),
      payments: order(books.payments),
      refunds: order(books.refunds),
      invoices: order(books.invoices),
      receipts: order(books.receipts),
      transfers: order(books.transfers),
      recordedAnswers: order(books.recordedAnswers),
    },
    seats: {
      attempts: order(seats.attempts),
      books: {
        ...seats.books,
        holds: order(seats.books.holds),
        bookings: order(seats.books.bookings),
        claims: order(seats.books.claims),
        bookedSeats: order(seats.books.bookedSeats),
      },
    },
  }
}
