import { capturedCharges, type Evidence, type LedgerEntry, money, type PaymentRow } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * Judged after quiescence. A charge that none of our payments owns is money taken for nothing; a payment that is still
 * being processed is a customer who cannot learn whether they paid. Intents that were created and never confirmed hold
 * no money and may be left.
 */
export const nothingLeftOver: Invariant = {
  id: 'I3',
  claim: 'every charge at the gateway belongs to a payment of ours, and nothing is still being processed',
  check: (evidence) => {
    const charges = capturedCharges(evidence)
    return {
      checked: charges.length + evidence.books.payments.length,
      violations: [...foreignCharges(charges, evidence.books.payments), ...unfinished(evidence)],
    }
  },
}

/** Orders that did not come to rest: they or one of their payments still wait for an outcome. */
export function stuckOrderIds({ books }: Evidence): string[] {
  const processing = books.orders.filter((order) => order.state === 'processing').map((order) => order.id)
  // A payment is handed to a person after a day at the earliest; in a run that lasts minutes it must not happen.
  const open = books.payments.filter((payment) => payment.state === 'processing' || payment.state === 'needs_review')
  return [...new Set([...processing, ...open.map((payment) => payment.orderId)])]
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
  if (money(payment) !== money(charge)) return `charged ${money(charge)}, booked ${money(payment)}`
  return null
}

function unfinished(evidence: Evidence): Violation[] {
  return stuckOrderIds(evidence).map((orderId) => ({ subject: orderId, what: 'still being processed' }))
}
