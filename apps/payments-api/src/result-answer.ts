import {
  type Answer,
  paymentBody,
  paymentLocation,
  refundBody,
  refundLocation,
  settledAnswer,
  unsettledAnswer,
} from '@seatbelt/http'
import type { RefundResult, Result } from '@seatbelt/payments'

/** What came of a command, as its answer. */
export function resultAnswer(result: Result): Answer {
  if (result.kind !== 'unsettled') return settledAnswer(result)
  const { id, state } = result.subject
  return unsettledAnswer(paymentBody(result.subject), paymentLocation(id), state === 'needs_review')
}

/** The same for what is unsettled as a refund. */
export function refundAnswer(result: RefundResult): Answer {
  if (result.kind !== 'unsettled') return settledAnswer(result)
  const { id, state } = result.subject
  return unsettledAnswer(refundBody(result.subject), refundLocation(id), state === 'needs_review')
}
