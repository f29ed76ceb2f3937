import { inProgressRetryAfterSeconds } from '@seatbelt/domain'
import { type Answer, jsonAnswer, paymentBody, paymentLocation, recordedAnswer, refusalAnswer } from '@seatbelt/http'
import type { Result } from '@seatbelt/payments'

/** What came of a command, as its answer. */
export function resultAnswer(result: Result): Answer {
  switch (result.kind) {
    case 'answered':
      return recordedAnswer(result.answer, result.replayed)
    case 'unsettled':
      // Not recorded: asking again with the same key gets the outcome, once there is one.
      return jsonAnswer(202, paymentBody(result.payment), {
        Location: paymentLocation(result.payment.id),
        'Retry-After': String(inProgressRetryAfterSeconds),
      })
    case 'refused':
      return refusalAnswer(result.refusal)
    default:
      return result satisfies never
  }
}
