import type { Answer } from './answer.ts'

/** What is stored under an idempotency key in the commit that settled it, and sent again, byte for byte, ever after. */
export interface RecordedAnswer {
  readonly status: number
  readonly body: string
  readonly location: string | null
}

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
