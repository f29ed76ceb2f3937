import { capturedCharges, groupBy } from '../evidence.ts'
import type { Invariant } from '../invariant.ts'

/**
 * The gateway's ledger says which customer was charged, and our transfers say which account the money was credited to.
 * All accounts share one account at the gateway, so that nothing there keeps the two together.
 */
export const customersOfTheAccount: Invariant = {
  id: 'I11',
  claim: 'each charged customer of the gateway belongs to the account that the charge is credited to',
  check: ({ ledger, books }) => {
    const charges = capturedCharges({ ledger }).flatMap(({ chargeId, orderId, customerId }) =>
      customerId === null ? [] : [{ chargeId, orderId, customerId }],
    )
    const owners = new Map(books.gatewayCustomers.map(({ id, accountId }) => [id, `merchant:${accountId}`]))
    const payments = new Map(books.payments.map(({ id, gatewayChargeId }) => [id, gatewayChargeId]))
    const transfers = groupBy(
      books.transfers.filter(({ kind }) => kind === 'charge'),
      ({ paymentId }) => payments.get(paymentId) ?? null,
    )
    const orders = new Map(books.orders.map(({ id, accountId }) => [id, `merchant:${accountId}`]))
    return {
      checked: charges.length,
      violations: charges.flatMap(({ chargeId, orderId, customerId }) => {
        // A charge that is not booked will be credited to the account of its order.
        const booked = transfers.get(chargeId ?? '')?.map(({ creditAccount }) => creditAccount)
        const credited = booked ?? [orders.get(orderId ?? '') ?? 'no account']
        const owner = owners.get(customerId) ?? 'no account'
        return credited
          .filter((account) => account !== owner)
          .map((account) => ({
            subject: `${chargeId}`,
            what: `${customerId} of ${owner} was charged, credited to ${account}`,
          }))
      }),
    }
  },
}
