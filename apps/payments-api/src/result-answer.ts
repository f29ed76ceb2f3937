import { inProgressRetryAfterSeconds } from '@seatbelt/domain'
import {
  type Answer,
  jsonAnswer,
  paymentBody,
  paymentLocation,
  recordedAnswer,
  refundBody,
  refundLocation,
  refusalAnswer,
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

function settledAnswer(result: Exclude<Result, { kind: 'unsettled' }>): Answer {
  return result.kind === 'answered' ? recordedAnswer(result.answer, result.replayed) : refusalAnswer(result.refusal)
}

/** Not recorded: asking again with the same key gets the outcome, once there is one. */
function unsettledAnswer(body: object, location: string): Answer {
  return jsonAnswer(202, body, { Location: location, 'Retry-After': String(inProgressRetryAfterSeconds) })
}
