import type { CommandResult, EndedByOperator, OperatorReview, RecordedOutside, RefundEntered } from '@seatbelt/payments'

/** What came of one look. */
export function describeReview(
  id: string,
  review: OperatorReview,
): { readonly text: string; readonly exitCode: number } {
  switch (review.kind) {
    case 'unknown':
      return { text: `There is no payment and no refund ${id}.\n`, exitCode: 2 }
    case 'refund':
      return describeRefund(id, review.result)
    case 'payment':
      return describePayment(id, review.result)
    default:
      return review satisfies never
  }
}

function describeRefund(id: string, result: Extract<OperatorReview, { kind: 'refund' }>['result']) {
  if (result.kind === 'reviewed') {
    const { state, failureCode } = result.subject
    return { text: `Looked: refund ${id} is ${stateAs(state, failureCode)}.\n`, exitCode: 0 }
  }
  if (result.refusal.code === 'refund-not-in-review') {
    const { state } = result.refusal
    return { text: `Not looked: refund ${id} is ${state}, and ${busyOrAway(state)}.\n`, exitCode: 1 }
  }
  return { text: `Not looked: the gateway is away. Refund ${id} is looked at when it is back.\n`, exitCode: 1 }
}

function describePayment(id: string, result: Extract<OperatorReview, { kind: 'payment' }>['result']) {
  if (result.kind === 'reviewed') {
    const { payment, events } = result.subject
    // The last line may be the takeover of a look that saw what an earlier one had seen.
    const { detail } = events.findLast(({ event }) => event === 'unknown') ?? { detail: null }
    const last = payment.state === 'needs_review' && detail !== null ? ` still (${detail})` : ''
    return { text: `Looked: payment ${id} is ${stateAs(payment.state, payment.declineCode)}${last}.\n`, exitCode: 0 }
  }
  if (result.refusal.code === 'payment-not-in-review') {
    const { state } = result.refusal
    return { text: `Not looked: payment ${id} is ${state}, and ${busyOrAway(state)}.\n`, exitCode: 1 }
  }
  return { text: `Not looked: the gateway is away. Payment ${id} is looked at when it is back.\n`, exitCode: 1 }
}

function stateAs(state: string, code: string | null): string {
  return code === null ? state : `${state}: ${code}`
}

function busyOrAway(state: string): string {
  return state === 'needs_review' ? 'somebody looks at it at this moment, or the gateway is away' : 'waits for nobody'
}

/** What came of `--fail` or `--cancel`. */
export function describeEnd(
  what: 'payment' | 'refund',
  id: string,
  end: EndedByOperator,
): { readonly text: string; readonly exitCode: number } {
  switch (end.kind) {
    case 'not-found':
      return { text: `There is no ${what} ${id}.\n`, exitCode: 2 }
    case 'not-looked':
      return { text: `Nothing was done: ${what} ${id} is ${end.state}, and ${end.why}.\n`, exitCode: 1 }
    case 'left':
      return { text: `Nothing was done: ${what} ${id} stays ${end.state}. Seen: ${end.saw}.\n`, exitCode: 1 }
    case 'ended':
      return { text: `Done: ${what} ${id} is ${stateAs(end.state, end.code)}.\n`, exitCode: 0 }
    default:
      return end satisfies never
  }
}

/** The result of `--enter-refund`. */
export function describeEntered(id: string, refundId: string, entered: RefundEntered): CommandResult {
  switch (entered.kind) {
    case 'not-found':
      return { text: `There is no payment ${id}.\n`, exitCode: 2 }
    case 'left':
      return { text: `Nothing was done about ${refundId}: ${entered.why}.\n`, exitCode: 1 }
    case 'entered':
      return { text: `Done: ${refundId} is entered as a refund of payment ${id}.\n`, exitCode: 0 }
    case 'in-our-books':
      return { text: `Nothing is left to do: ${refundId} is in our books, and is ${entered.state}.\n`, exitCode: 0 }
    default:
      return entered satisfies never
  }
}

/** The result of `--refunded-outside`. */
export function describeRefundOutside(id: string, result: RecordedOutside): CommandResult {
  switch (result.kind) {
    case 'not-found':
      return { text: `There is no payment ${id}.\n`, exitCode: 2 }
    case 'not-recorded':
      return { text: `Nothing was done to payment ${id}: ${result.why}.\n`, exitCode: 1 }
    case 'recorded': {
      const { id: refundId, amountMinor, currency } = result.refund
      const text = `Done: ${amountMinor} (minor units) ${currency} of payment ${id} are recorded as refund ${refundId}.\n`
      return { text, exitCode: 0 }
    }
    default:
      return result satisfies never
  }
}
