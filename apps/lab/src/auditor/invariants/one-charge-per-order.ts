import { capturedCharges, type Evidence, groupBy, type LedgerEntry } from '../evidence.ts'
import type { Invariant } from '../invariant.ts'

/**
 * Judged by the gateway's ledger alone: what our own books say about it could be the very mistake. They are only asked which of
 * the charges reconciliation has given back, for the person who reads it; the customer was charged twice all the same.
 */
export const oneChargePerOrder: Invariant = {
  id: 'I1',
  claim: 'no order ever had two captured charges at the gateway, given back or not',
  check: (evidence) => {
    const chargesByOrder = groupBy(capturedCharges(evidence), (charge) => charge.orderId)
    const repaired = repairedChargeIds(evidence)
    return {
      checked: chargesByOrder.size,
      violations: [...chargesByOrder]
        .filter(([, charges]) => charges.length > 1)
        .map(([orderId, charges]) => ({
          subject: orderId,
          what: `charged ${charges.length} times: ${charges.map((charge) => describe(charge, repaired)).join(', ')}`,
        })),
    }
  },
}

/** Second charges that reconciliation gave back. They happened. */
export function repairedChargeIds({ books }: Pick<Evidence, 'books'>): Set<string> {
  const repairs = books.refunds.filter(({ origin, state }) => origin === 'reconciliation' && state === 'succeeded')
  return new Set(repairs.map(({ gatewayChargeId }) => gatewayChargeId))
}

function describe({ chargeId }: LedgerEntry, repaired: ReadonlySet<string>): string {
  return chargeId !== null && repaired.has(chargeId) ? `${chargeId} (given back by reconciliation)` : `${chargeId}`
}
