import {
  capturedCharges,
  disputesAtGateway,
  type Evidence,
  groupBy,
  type LedgerEntry,
  money,
  refundsAtGateway,
} from '../evidence.ts'
import type { Violation } from '../invariant.ts'
import type { HoldRow } from '../seat-evidence.ts'

/** Bookings that stand although they were not paid for exactly once, at the price of their hold. */
export function bookingFaults(evidence: Evidence): Violation[] {
  const { bookings, holds } = evidence.seats.books
  const charges = groupBy(capturedCharges(evidence), ({ orderId }) => orderId)
  const byId = new Map(holds.map((hold) => [hold.id, hold]))
  return bookings
    .filter(({ state }) => state === 'confirmed')
    .flatMap(({ id, holdId, orderId }): Violation[] => {
      const hold = byId.get(holdId)
      const paid = charges.get(orderId) ?? []
      if (hold === undefined) return [{ subject: id, what: `booked by hold ${holdId}, which does not exist` }]
      if (paid.length === 1 && paid.every((charge) => isPriceOf(hold, charge))) return []
      const said = paid.length === 0 ? 'nothing' : paid.map(money).join(' and ')
      return [{ subject: id, what: `confirmed at ${money(hold)}, and charged ${said}` }]
    })
}

/** A person can capture less at the gateway's console; I12 judges whether the booking shows it. */
function isPriceOf(hold: HoldRow, charge: LedgerEntry): boolean {
  if (money(charge) === money(hold)) return true
  return charge.isByConsole && charge.currency === hold.currency && charge.amountMinor < hold.amountMinor
}

/**
 * Checkouts of which the gateway has the money, or a part of it, and that have no booking that stands. The orders are judged by
 * what they were made for: one that a merchant made buys something else.
 */
export function paidWithoutSeat(evidence: Evidence): Violation[] {
  const { orders } = evidence.books
  const checkouts = new Set(orders.filter(({ purpose }) => purpose === 'checkout').map(({ id }) => id))
  const { bookings } = evidence.seats.books
  const seated = new Set(bookings.filter(({ state }) => state !== 'cancelled').map(({ orderId }) => orderId))
  const given = givenBackByCharge(evidence)
  const charges = groupBy(capturedCharges(evidence), ({ orderId }) => orderId)
  return [...charges].flatMap(([orderId, ofOrder]) => {
    if (!checkouts.has(orderId) || seated.has(orderId)) return []
    const kept = ofOrder.reduce((sum, charge) => sum + charge.amountMinor - (given.get(charge.chargeId) ?? 0), 0)
    return kept === 0 ? [] : [{ subject: orderId, what: `${kept} paid for no seat, and not given back` }]
  })
}

/**
 * By refunds and disputes. A refund that the bank sent back later counts as well: its failure is known, and a person's
 * business.
 */
function givenBackByCharge(evidence: Evidence): Map<string | null, number> {
  const sentBack = new Set(
    evidence.books.refunds
      .filter(({ reversedAt }) => reversedAt !== null)
      .map(({ gatewayRefundId }) => gatewayRefundId),
  )
  const stands = ({ refundId, refundStatus }: LedgerEntry) => refundStatus !== 'failed' || sentBack.has(refundId)
  const given = new Map<string | null, number>()
  for (const { chargeId, amountMinor } of refundsAtGateway(evidence).filter(stands)) {
    given.set(chargeId, (given.get(chargeId) ?? 0) + amountMinor)
  }
  for (const { chargeId, amountMinor } of disputesAtGateway(evidence)) {
    given.set(chargeId, (given.get(chargeId) ?? 0) + amountMinor)
  }
  return given
}
