import { capturedCharges, type Evidence, groupBy, type PaymentRow, type RefundRow } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/** At no moment was more given back than had been taken: at the gateway, line by line of its ledger, and in our books. */
export const refundsWithinPayment: Invariant = {
  id: 'I9',
  claim: 'refunds never exceed the payment, at the gateway and in the database, and each is made once',
  check: (evidence) => {
    const made = evidence.ledger.filter(({ type }) => type === 'refund.created')
    return {
      checked: made.length + evidence.books.refunds.length,
      violations: [...exceededCharges(evidence), ...madeTwice(evidence), ...wrongReserves(evidence)],
    }
  },
}

/** A refund that failed makes room again, from then on. */
function exceededCharges(evidence: Evidence): Violation[] {
  const captured = new Map(capturedCharges(evidence).map(({ chargeId, amountMinor }) => [chargeId, amountMinor]))
  const given = new Map<string | null, number>()
  const exceeded = new Map<string, string>()
  for (const { type, chargeId, amountMinor } of [...evidence.ledger].sort((one, other) => one.seq - other.seq)) {
    if (type === 'refund.created') given.set(chargeId, (given.get(chargeId) ?? 0) + amountMinor)
    if (type === 'refund.failed') given.set(chargeId, (given.get(chargeId) ?? 0) - amountMinor)
    const [sum, taken] = [given.get(chargeId) ?? 0, captured.get(chargeId) ?? 0]
    if (sum > taken) exceeded.set(chargeId ?? '', `${sum} given back of ${taken} at the gateway`)
  }
  return [...exceeded].map(([subject, what]) => ({ subject, what }))
}

/** One refund of ours that the gateway made twice; one that it made again after it had failed is none. */
function madeTwice({ ledger }: Evidence): Violation[] {
  const failed = new Set(ledger.filter(({ type }) => type === 'refund.failed').map(({ refundId }) => refundId))
  const standing = ledger.filter(({ type, refundId }) => type === 'refund.created' && !failed.has(refundId))
  return [...groupBy(standing, ({ ourRefundId }) => ourRefundId)]
    .filter(([, entries]) => entries.length > 1)
    .map(([subject, entries]) => ({ subject, what: `made ${entries.length} times at the gateway` }))
}

/** What a payment says of its refunds is what they say themselves, and within what it took. */
function wrongReserves({ books }: Evidence): Violation[] {
  const refunds = groupBy(books.refunds, ({ paymentId }) => paymentId)
  const payments = new Map(books.payments.map((payment) => [payment.id, payment]))
  const orphans = [...refunds.keys()].filter((id) => !payments.has(id))
  return [
    ...orphans.map((subject) => ({ subject, what: 'has refunds, and is not in the database' })),
    ...books.payments.flatMap((payment) => whatIsWrong(payment, refunds.get(payment.id) ?? [])),
  ]
}

function whatIsWrong(payment: PaymentRow, refunds: readonly RefundRow[]): Violation[] {
  const { id: subject, refundedMinor, refundPendingMinor } = payment
  const sumOf = (states: readonly string[]) =>
    refunds.filter(({ state }) => states.includes(state)).reduce((sum, { amountMinor }) => sum + amountMinor, 0)
  const [given, reserved] = [sumOf(['succeeded']), sumOf(['processing', 'pending', 'needs_review'])]
  const taken = payment.state === 'succeeded' ? payment.capturedMinor : 0
  if (given + reserved > taken) return [{ subject, what: `${given + reserved} of ${taken} given back or promised` }]
  if (given === refundedMinor && reserved === refundPendingMinor) return []
  const itself = `${refundedMinor} given back and ${refundPendingMinor} promised`
  return [{ subject, what: `says ${itself}, and its refunds ${given} and ${reserved}` }]
}
