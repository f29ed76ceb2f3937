import type { Attempt } from '../attempt.ts'
import { capturedCharges, groupBy, type LedgerEntry, money, type PaymentRow } from '../evidence.ts'
import type { Invariant } from '../invariant.ts'

/** A client that was told "paid" has paid: for its own order, in its amount, at the gateway and in our books. */
export const acknowledgedPaymentsExist: Invariant = {
  id: 'I2',
  claim:
    'every payment that was acknowledged to a client exists, in the same amount, at the gateway and in the database',
  check: (evidence) => {
    const chargesByPayment = groupBy(capturedCharges(evidence), (charge) => charge.paymentId)
    const payments = new Map(evidence.books.payments.map((payment) => [payment.id, payment]))
    const acknowledged = groupBy(evidence.attempts, (attempt) => attempt.payment?.id ?? null)
    const violations = [...acknowledged].flatMap(([paymentId, attempts]) => {
      const faults = new Set(
        attempts.flatMap((attempt) =>
          faultsOf(attempt, chargesByPayment.get(paymentId) ?? [], payments.get(paymentId)),
        ),
      )
      return faults.size === 0 ? [] : [{ subject: paymentId, what: [...faults].join('; ') }]
    })
    return { checked: acknowledged.size, violations }
  },
}

function faultsOf(attempt: Attempt, charges: readonly LedgerEntry[], payment: PaymentRow | undefined): string[] {
  const told = attempt.payment
  if (told === null) return []
  const faults: string[] = []
  if (told.state !== 'succeeded') faults.push(`acknowledged as ${told.state}`)
  if (told.orderId !== attempt.orderId)
    faults.push(`acknowledged for order ${told.orderId}, asked for ${attempt.orderId}`)
  if (money(told) !== money(attempt)) faults.push(`acknowledged ${money(told)}, asked for ${money(attempt)}`)
  if (!charges.some((charge) => charge.orderId === attempt.orderId && money(charge) === money(attempt))) {
    faults.push(`no charge of ${money(attempt)} at the gateway`)
  }
  if (payment === undefined) faults.push('not in the database')
  else if (payment.state !== 'succeeded') faults.push(`${payment.state} in the database`)
  else if (payment.orderId !== attempt.orderId || money(payment) !== money(attempt)) {
    faults.push(`in the database for order ${payment.orderId} and ${money(payment)}`)
  }
  return faults
}
