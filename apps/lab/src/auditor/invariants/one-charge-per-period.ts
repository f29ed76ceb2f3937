import { capturedCharges, type Evidence, groupBy, type InvoiceRow, type LedgerEntry } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * A period is known by our invoices alone, the gateway has never heard of one; how often its order was charged is known by the
 * gateway alone. An order that was made to collect an invoice and has none is a charge that no period accounts for.
 */
export const oneChargePerPeriod: Invariant = {
  id: 'I10',
  claim:
    'each period of a subscription was invoiced once and charged once at most, and is paid exactly if it was charged',
  check: (evidence) => {
    const periods = billedPeriods(evidence)
    return {
      checked: periods.length,
      violations: [...periods.flatMap(whatIsWrong), ...chargesWithoutPeriod(evidence)],
    }
  },
}

export interface BilledPeriod {
  /** The subscription's id and the number of the period. */
  readonly name: string
  readonly invoices: readonly InvoiceRow[]
  /** Of all orders that were made for it. */
  readonly charges: readonly LedgerEntry[]
}

export function billedPeriods(evidence: Pick<Evidence, 'ledger' | 'books'>): BilledPeriod[] {
  const charges = groupBy(capturedCharges(evidence), ({ orderId }) => orderId)
  const periods = groupBy(evidence.books.invoices, ({ subscriptionId, period }) => `${subscriptionId} period ${period}`)
  return [...periods].map(([name, invoices]) => ({
    name,
    invoices,
    charges: invoices.flatMap(({ orderId }) => charges.get(orderId) ?? []),
  }))
}

function whatIsWrong({ name: subject, invoices, charges }: BilledPeriod): Violation[] {
  const ids = charges.map(({ chargeId }) => chargeId).join(', ')
  if (charges.length > 1) return [{ subject, what: `charged ${charges.length} times: ${ids}` }]
  if (invoices.length > 1) return [{ subject, what: `invoiced ${invoices.length} times` }]
  const [invoice] = invoices
  if (invoice === undefined || (invoice.state === 'paid') === (charges.length === 1)) return []
  return [
    { subject, what: charges.length === 0 ? 'paid, and never charged' : `charged (${ids}), and ${invoice.state}` },
  ]
}

function chargesWithoutPeriod({ ledger, books }: Evidence): Violation[] {
  const invoiced = new Set(books.invoices.map(({ orderId }) => orderId))
  const strays = new Set(
    books.orders.filter(({ id, purpose }) => purpose === 'invoice' && !invoiced.has(id)).map(({ id }) => id),
  )
  return capturedCharges({ ledger })
    .filter(({ orderId }) => orderId !== null && strays.has(orderId))
    .map(({ orderId, chargeId }) => ({ subject: orderId ?? '', what: `charged (${chargeId}) for no period` }))
}
