import { capturedCharges, groupBy } from '../evidence.ts'
import type { Invariant } from '../invariant.ts'

/** Judged by the gateway's ledger alone: what our own books say about it could be the very mistake. */
export const oneChargePerOrder: Invariant = {
  id: 'I1',
  claim: 'no order ever had two captured charges at the gateway',
  check: (evidence) => {
    const chargesByOrder = groupBy(capturedCharges(evidence), (charge) => charge.orderId)
    return {
      checked: chargesByOrder.size,
      violations: [...chargesByOrder]
        .filter(([, charges]) => charges.length > 1)
        .map(([orderId, charges]) => ({
          subject: orderId,
          what: `charged ${charges.length} times: ${charges.map((charge) => charge.chargeId).join(', ')}`,
        })),
    }
  },
}
