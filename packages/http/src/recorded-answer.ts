import type { RecordedAnswer } from '@seatbelt/domain'
import type { Answer } from './answer.ts'

/** The media type is not stored: an error is always a problem. */
export function recordedAnswer(recorded: RecordedAnswer, replayed: boolean): Answer {
  return {
    status: recorded.status,
    contentType: recorded.status >= 400 ? 'application/problem+json' : 'application/json',
    headers: {
      ...(recorded.location === null ? {} : { Location: recorded.location }),
      ...(replayed ? { 'Idempotent-Replayed': 'true' } : {}),
    },
    body: recorded.body,
  }
}

export function recordedProblem({ status, body }: Pick<Answer, 'status' | 'body'>): RecordedAnswer {
  return { status, body, location: null }
}
