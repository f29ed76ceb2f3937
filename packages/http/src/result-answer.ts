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

/** Not recorded: asking again with the same key gets the outcome, once there is one. */
export function unsettledAnswer(body: object, location: string): Answer {
  return jsonAnswer(202, body, { Location: location, 'Retry-After': String(inProgressRetryAfterSeconds) })
}
