import type { Attempt } from '../attempt.ts'
import {
  capturedCharges,
  type Evidence,
  groupBy,
  type LedgerEntry,
  money,
  type PaymentRow,
  type RefundRow,
} from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * A client that was told "paid" has paid: for its own order, in its amount, at the gateway and in our books. One that was told
 * "on hold" has a hold, "given back" has got it back.
 */
export const acknowledgedPaymentsExist: Invariant = {
  id: 'I2',
  claim:
    'every payment and refund that was acknowledged to a client exists, in the same amount, at the gateway and in the database',
  check: (evidence) => {
    const payments = groupBy(evidence.attempts, (attempt) => attempt.payment?.id ?? null)
    const refunds = groupBy(evidence.attempts, (attempt) => attempt.refund?.id ?? null)
    return {
      checked: payments.size + refunds.size,
      violations: [
        ...violationsAmong(payments, paymentFaults(evidence)),
        ...violationsAmong(refunds, refundFaults(evidence)),
      ],
    }
  },
}

type FaultsOf = (attempt: Attempt, id: string) => string[]

function violationsAmong(acknowledged: ReadonlyMap<string, readonly Attempt[]>, faultsOf: FaultsOf): Violation[] {
  return [...acknowledged].flatMap(([id, attempts]) => {
    const faults = new Set(attempts.flatMap((attempt) => faultsOf(attempt, id)))
    return faults.size === 0 ? [] : [{ subject: id, what: [...faults].join('; ') }]
  })
}

/** What each operation may acknowledge. A hold that was acknowledged can have become anything since. */
const paymentStates: Readonly<Record<Attempt['operation'], { told: string; now: readonly string[] } | null>> = {
  pay: { told: 'succeeded', now: ['succeeded'] },
  capture: { told: 'succeeded', now: ['succeeded'] },
  authorize: { told: 'authorized', now: ['authorized', 'capturing', 'succeeded', 'voiding', 'voided'] },
  void: { told: 'voided', now: ['voided'] },
  refund: null,
  cancel: null,
}

function paymentFaults(evidence: Evidence): FaultsOf {
  const captured = groupBy(capturedCharges(evidence), (charge) => charge.paymentId)
  const held = groupBy(
    evidence.ledger.filter(({ type }) => type === 'charge.authorized'),
    (charge) => charge.paymentId,
  )
  const payments = new Map(evidence.books.payments.map((payment) => [payment.id, payment]))
  return (attempt, id) => {
    const told = attempt.payment
    const states = paymentStates[attempt.operation]
    if (told === null) return []
    const atGateway =
      states?.told === 'succeeded' ? { name: 'charge', byPayment: captured } : { name: 'hold', byPayment: held }
    return [
      ...(told.state === states?.told ? [] : [`acknowledged as ${told.state}`]),
      ...toldFaults(told, attempt),
      ...(hasAmountAsked(atGateway.byPayment.get(id), attempt)
        ? []
        : [`no ${atGateway.name} of ${money(attempt)} at the gateway`]),
      ...(attempt.operation === 'void' && captured.has(id) ? ['charged at the gateway'] : []),
      ...rowFaults(payments.get(id), attempt, states?.now ?? []),
    ]
  }
}

function refundFaults({ ledger, books }: Evidence): FaultsOf {
  const made = groupBy(
    ledger.filter(({ type }) => type === 'refund.created'),
    (refund) => refund.ourRefundId,
  )
  const refunds = new Map(books.refunds.map((refund) => [refund.id, refund]))
  return (attempt, id) => {
    const told = attempt.refund
    if (told === null) return []
    return [
      ...(['succeeded', 'pending'].includes(told.state) ? [] : [`acknowledged as ${told.state}`]),
      ...toldFaults(told, attempt),
      ...(hasAmountAsked(made.get(id), attempt) ? [] : [`no refund of ${money(attempt)} at the gateway`]),
      ...rowFaults(refunds.get(id), attempt, statesOfRefund(told.state, refunds.get(id))),
    ]
  }
}

/** What the bank takes its time for can still fail; what had succeeded only if the bank sent the money back. */
function statesOfRefund(told: string, refund: RefundRow | undefined): string[] {
  const mayHaveFailed = told === 'pending' || (refund !== undefined && refund.reversedAt !== null)
  return ['succeeded', ...(told === 'pending' ? ['pending'] : []), ...(mayHaveFailed ? ['failed'] : [])]
}

interface Told {
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: string
}

function toldFaults(told: Told, attempt: Attempt): string[] {
  return [
    ...(told.orderId === attempt.orderId
      ? []
      : [`acknowledged for order ${told.orderId}, asked for ${attempt.orderId}`]),
    ...(money(told) === money(attempt) ? [] : [`acknowledged ${money(told)}, asked for ${money(attempt)}`]),
  ]
}

/** A capture that was asked for may find that a person captured a part at the gateway's console. */
function hasAmountAsked(entries: readonly LedgerEntry[] | undefined, attempt: Attempt): boolean {
  const isAsked = (entry: LedgerEntry) =>
    money(entry) === money(attempt) || (entry.isByConsole && entry.amountMinor < attempt.amountMinor)
  return entries?.some((entry) => entry.orderId === attempt.orderId && isAsked(entry)) === true
}

function rowFaults(row: PaymentRow | RefundRow | undefined, attempt: Attempt, states: readonly string[]): string[] {
  if (row === undefined) return ['not in the database']
  if (!states.includes(row.state)) return [`${row.state} in the database`]
  if (row.orderId === attempt.orderId && money(row) === money(attempt)) return []
  return [`in the database for order ${row.orderId} and ${money(row)}`]
}
