import { keyLifetimeHours, type RecordedAnswer } from '@seatbelt/domain'
import type { Answer } from './answer.ts'

/** Says how long the key and its answer are kept. No standard has a name for it. */
export const keyLifetimeHeader = 'Idempotency-Key-Lifetime'

/** The media type is not stored: an error is always a problem. */
export function recordedAnswer(recorded: RecordedAnswer, replayed: boolean): Answer {
  return {
    status: recorded.status,
    contentType: recorded.status >= 400 ? 'application/problem+json' : 'application/json',
    headers: {
      [keyLifetimeHeader]: String(keyLifetimeHours * 3_600),
      ...(recorded.location === null ? {} : { Location: recorded.location }),
      ...(replayed ? { 'Idempotent-Replayed': 'true' } : {}),
    },
    body: recorded.body,
  }
}

export function recordedProblem({ status, body }: Pick<Answer, 'status' | 'body'>): RecordedAnswer {
  return { status, body, location: null }
}
