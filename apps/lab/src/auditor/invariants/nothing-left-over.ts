import {
  capturedCharges,
  type Evidence,
  type LedgerEntry,
  money,
  type PaymentRow,
  paymentsHeldInTime,
  refundsAtGateway,
} from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * Judged after quiescence. A charge that none of our payments owns is money taken for nothing; a payment that is still
 * being processed is a customer who cannot learn whether they paid; a hold that nobody remembers keeps money from a
 * customer for days. Intents that were created and never confirmed hold no money and may be left, and so may a refund that
 * the bank takes its time for.
 */
export const nothingLeftOver: Invariant = {
  id: 'I3',
  claim:
    'every charge and refund at the gateway belongs to one of ours, no authorization is left open, and nothing is still being processed',
  check: (evidence) => {
    const { payments, refunds } = evidence.books
    const charges = capturedCharges(evidence)
    const given = refundsAtGateway(evidence)
    return {
      checked: charges.length + given.length + payments.length + refunds.length,
      violations: [
        ...foreignCharges(charges, payments),
        ...foreignRefunds(given, evidence),
        ...openHolds(evidence),
        ...unfinished(evidence),
      ],
    }
  },
}

/** States in which somebody of ours must still do something. */
const unfinishedPayment = ['processing', 'capturing', 'voiding', 'needs_review']
const unfinishedRefund = ['processing', 'needs_review']
const unfinishedBooking = ['pending', 'cancelling']

/** Orders that did not come to rest: they, their payments, refunds, checkouts or bookings still wait for an outcome. */
export function stuckOrderIds({ books, seats }: Pick<Evidence, 'books' | 'seats'>): string[] {
  const held = paymentsHeldInTime(books)
  const [heldIds, inTime] = [new Set(held.map(({ id }) => id)), new Set(held.map(({ orderId }) => orderId))]
  const processing = books.orders.filter(({ id, state }) => state === 'processing' && !inTime.has(id))
  // A payment is handed to a person after a day at the earliest; in a run that lasts minutes it must not happen.
  const payments = books.payments.filter(
    ({ id, state }) => unfinishedPayment.includes(state) || (state === 'authorized' && !heldIds.has(id)),
  )
  const refunds = books.refunds.filter(({ state }) => unfinishedRefund.includes(state))
  const bookings = seats.books.bookings.filter(({ state }) => unfinishedBooking.includes(state))
  const holds = seats.books.holds.filter(({ state }) => state === 'checking_out')
  const ofOrders = [...payments, ...refunds, ...bookings, ...holds].map(({ orderId }) => orderId ?? '')
  return [...new Set([...processing.map(({ id }) => id), ...ofOrders])]
}

function foreignCharges(charges: readonly LedgerEntry[], payments: readonly PaymentRow[]): Violation[] {
  const ours = new Map(payments.map((payment) => [payment.gatewayChargeId, payment]))
  return charges.flatMap((charge) => {
    const what = whyForeign(charge, ours.get(charge.chargeId))
    return what === null ? [] : [{ subject: charge.chargeId ?? charge.intentId, what }]
  })
}

function whyForeign(charge: LedgerEntry, payment: PaymentRow | undefined): string | null {
  if (payment === undefined)
    return `${money(charge)} charged for order ${charge.orderId}, and no payment of ours has it`
  if (payment.orderId !== charge.orderId) return `charged for order ${charge.orderId}, booked for ${payment.orderId}`
  if (payment.gatewayIntentId !== charge.intentId)
    return `charged by intent ${charge.intentId}, booked for ${payment.gatewayIntentId}`
  const booked = money({ ...payment, amountMinor: payment.capturedMinor })
  if (booked !== money(charge)) return `charged ${money(charge)}, booked ${booked}`
  return null
}

function foreignRefunds(given: readonly LedgerEntry[], { books }: Evidence): Violation[] {
  const ours = new Map(books.refunds.map((refund) => [refund.gatewayRefundId, refund]))
  return given.flatMap((entry) => {
    const subject = entry.refundId ?? entry.intentId
    const refund = ours.get(entry.refundId)
    if (refund === undefined) return [{ subject, what: `${money(entry)} given back, and no refund of ours has it` }]
    if (refund.gatewayChargeId !== entry.chargeId)
      return [{ subject, what: `given back of ${entry.chargeId}, booked for ${refund.gatewayChargeId}` }]
    if (money(refund) === money(entry)) return []
    return [{ subject, what: `given back ${money(entry)}, booked ${money(refund)}` }]
  })
}

/** Holds that ended neither with the money nor without it, and that no merchant can still decide about. */
function openHolds({ ledger, books }: Evidence): Violation[] {
  const ended = ledger.filter(({ type }) => type === 'charge.captured' || type === 'charge.released')
  const endedIds = new Set(ended.map(({ chargeId }) => chargeId))
  const payments = new Map(books.payments.map((payment) => [payment.gatewayIntentId, payment]))
  const heldInTime = new Set(paymentsHeldInTime(books))
  const open = ledger.filter(({ type, chargeId }) => type === 'charge.authorized' && !endedIds.has(chargeId))
  return open.flatMap((hold) => {
    const payment = payments.get(hold.intentId)
    if (payment !== undefined && payment.orderId === hold.orderId && heldInTime.has(payment)) return []
    const owner = payment === undefined ? 'no payment of ours has it' : `its payment is ${payment.state}`
    return [{ subject: hold.chargeId ?? hold.intentId, what: `${money(hold)} still on hold, and ${owner}` }]
  })
}

function unfinished(evidence: Evidence): Violation[] {
  return stuckOrderIds(evidence).map((orderId) => ({ subject: orderId, what: 'still being processed' }))
}
