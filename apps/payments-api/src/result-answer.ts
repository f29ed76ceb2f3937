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
  return result.kind === 'unsettled'
    ? unsettledAnswer(paymentBody(result.subject), paymentLocation(result.subject.id))
    : settledAnswer(result)
}

/** The same for what is unsettled as a refund. */
export function refundAnswer(result: RefundResult): Answer {
  return result.kind === 'unsettled'
    ? unsettledAnswer(refundBody(result.subject), refundLocation(result.subject.id))
    : settledAnswer(result)
}
