import { inProgressRetryAfterSeconds, type RecordedAnswer, type Refusal } from '@seatbelt/domain'
import { type Answer, jsonAnswer } from './answer.ts'
import { recordedAnswer } from './recorded-answer.ts'
import { refusalAnswer } from './refusal-answer.ts'

/** What came of a command whose outcome is known. */
export type Settled =
  | { readonly kind: 'answered'; readonly answer: RecordedAnswer; readonly replayed: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export function settledAnswer(result: Settled): Answer {
  return result.kind === 'answered' ? recordedAnswer(result.answer, result.replayed) : refusalAnswer(result.refusal)
}

/**
 * This answer is not recorded: a retry with the same key receives the outcome, once there is one. Without `Retry-After`
 * where an operator must look first, because a retry a second later brings nothing new.
 */
export function unsettledAnswer(body: object, location: string, isInReview: boolean): Answer {
  const retryAfter = isInReview ? {} : { 'Retry-After': String(inProgressRetryAfterSeconds) }
  return jsonAnswer(202, body, { Location: location, ...retryAfter })
}
