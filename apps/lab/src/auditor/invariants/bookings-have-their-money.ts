import {
  capturedCharges,
  type DisputeAtGateway,
  disputesAtGateway,
  type Evidence,
  groupBy,
  type LedgerEntry,
  type PaymentRow,
  refundsAtGateway,
} from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'
import type { BookingRow } from '../seat-evidence.ts'

/**
 * Two witnesses: the gateway's ledger says what the money of a booking is, our books say what they show. Anything may
 * be done at the gateway's own console, and a customer may dispute. Our books must show each loss of a booking, and the
 * merchant must receive an event.
 */
export const bookingsHaveTheirMoney: Invariant = {
  id: 'I12',
  claim:
    'each confirmed booking has its money, or shows that it was refunded or disputed and the merchant got an event',
  check: (evidence) => {
    const confirmed = evidence.seats.books.bookings.filter(({ state }) => state === 'confirmed')
    const judge = openJudge(evidence)
    return { checked: confirmed.length, violations: confirmed.flatMap(judge) }
  },
}

function openJudge(evidence: Evidence): (booking: BookingRow) => Violation[] {
  const { orders, payments } = evidence.books
  const succeeded = payments.filter(({ state }) => state === 'succeeded')
  const accountIds = new Map(orders.map((order) => [order.id, order.accountId]))
  const paymentsByOrder = new Map(succeeded.map((payment) => [payment.orderId, payment]))
  const charges = new Map(capturedCharges(evidence).map((charge) => [charge.intentId, charge]))
  const refunds = groupBy(refundsAtGateway(evidence), ({ intentId }) => intentId)
  const outside = groupBy(
    evidence.books.refunds.filter(({ origin }) => origin === 'operator'),
    ({ paymentId }) => paymentId,
  )
  const disputes = groupBy(disputesAtGateway(evidence), ({ intentId }) => intentId)
  return ({ id, orderId }) => {
    const payment = paymentsByOrder.get(orderId)
    if (payment === undefined) return [{ subject: id, what: 'confirmed, and no payment of it has succeeded' }]
    const { gatewayIntentId } = payment
    const standing = (refunds.get(gatewayIntentId ?? '') ?? []).filter(({ refundStatus }) => refundStatus !== 'failed')
    const disputed = disputes.get(gatewayIntentId ?? '') ?? []
    const atGateway = { takenMinor: charges.get(gatewayIntentId ?? '')?.amountMinor ?? 0, standing, disputed }
    const outsideMinor = (outside.get(payment.id) ?? []).reduce((sum, { amountMinor }) => sum + amountMinor, 0)
    const isTold = evidence.books.accountsWithWebhooks.has(accountIds.get(orderId) ?? '')
    const faults = [
      whatIsHidden(payment, atGateway, outsideMinor),
      isTold ? whatIsUntold(evidence, payment, atGateway) : null,
    ]
    return faults.flatMap((what) => (what === null ? [] : [{ subject: id, what }]))
  }
}

interface AtGateway {
  readonly takenMinor: number
  /** Refunds that did not fail. */
  readonly standing: readonly LedgerEntry[]
  readonly disputed: readonly DisputeAtGateway[]
}

/** A pending refund is shown as reserved. `outsideMinor`: returned by an operator, so not shown by the gateway. */
function whatIsHidden(
  payment: PaymentRow,
  { takenMinor, standing, disputed }: AtGateway,
  outsideMinor: number,
): string | null {
  const backMinor = standing.reduce((sum, { amountMinor }) => sum + amountMinor, 0)
  const shownBackMinor = payment.refundedMinor + payment.refundPendingMinor - outsideMinor
  const disputedMinor = disputed.reduce((sum, { amountMinor }) => sum + amountMinor, 0)
  const isShown = payment.disputedMinor === disputedMinor
  if (payment.capturedMinor === takenMinor && shownBackMinor === backMinor && isShown) return null
  const shown = `${payment.capturedMinor} taken, ${shownBackMinor} given back and ${payment.disputedMinor} disputed`
  return `confirmed and shows ${shown}; the gateway took ${takenMinor}, gave back ${backMinor} and withdrew ${disputedMinor}`
}

function whatIsUntold({ books }: Evidence, payment: PaymentRow, { standing, disputed }: AtGateway): string | null {
  const ours = new Map(books.refunds.map((refund) => [refund.gatewayRefundId, refund.id]))
  const disputes = new Map(books.disputes.map((dispute) => [dispute.gatewayDisputeId, dispute.id]))
  const facts = [
    ...(payment.capturedMinor < payment.amountMinor ? [`payment.succeeded ${payment.id}`] : []),
    ...standing
      .filter(({ refundStatus }) => refundStatus === 'succeeded')
      .map(({ refundId }) => `refund.succeeded ${ours.get(refundId) ?? refundId}`),
    ...disputed.flatMap(({ disputeId, status }) => {
      const topics = ['dispute.opened', ...(status === 'won' || status === 'lost' ? [`dispute.${status}`] : [])]
      return topics.map((topic) => `${topic} ${disputes.get(disputeId) ?? disputeId}`)
    }),
  ]
  const untold = facts.filter((fact) => !books.announced.has(fact))
  return untold.length === 0 ? null : `the merchant was not told: ${untold.join(', ')}`
}
