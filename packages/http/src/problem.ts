import type { Answer } from './answer.ts'
import { type ProblemKind, refusalTable } from './refusal-table.ts'

/**
 * The problems that a request can have before any operation hears of it, and the outcomes that are told as problems.
 * What operations refuse stands in `refusal-table.ts`.
 */
const requestProblems = {
  'idempotency-key-missing': { status: 400, title: 'The Idempotency-Key header is missing' },
  'idempotency-key-malformed': { status: 400, title: 'The Idempotency-Key header cannot be read' },
  'malformed-request': { status: 400, title: 'The request is not valid HTTP' },
  'signature-invalid': { status: 400, title: 'The signature cannot be accepted' },
  'malformed-json': { status: 400, title: 'The body is not JSON' },
  'invalid-request': { status: 400, title: 'The request does not fit its schema' },
  unauthenticated: { status: 401, title: 'No valid API key' },
  'payment-declined': { status: 402, title: 'The payment was declined' },
  'payment-cancelled': { status: 402, title: 'The payment was cancelled' },
  'payment-voided': { status: 402, title: 'The hold was given back' },
  'payment-method-refused': { status: 422, title: 'The payment method cannot be used' },
  'refund-failed': { status: 402, title: 'The refund failed' },
  'not-found': { status: 404, title: 'There is nothing here' },
  'checkout-voided': { status: 410, title: 'The seats were given back or gone, and nothing was charged' },
  'paid-without-seats': { status: 409, title: 'The payment was taken, and the seats were gone' },
  'payment-captured': { status: 409, title: 'The payment was captured' },
  'method-not-allowed': { status: 405, title: 'This path does not take that method' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is not in a form that is read here' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'Something broke on our side' },
} as const satisfies Record<string, ProblemKind>

/** Every code that an answer can carry. */
export const problemKinds: Readonly<Record<ProblemCode, ProblemKind>> = { ...requestProblems, ...refusalTable }

export type ProblemCode = keyof typeof requestProblems | keyof typeof refusalTable

export interface ProblemExtras {
  /** Further members of the JSON object. They cannot replace the standard ones. */
  readonly members?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * An answer as RFC 9457 has it. `code` repeats the end of `type`, because comparing a short word is what clients do.
 *
 * The detail is read by people and may change; it never carries an internal message.
 */
export function problem(code: ProblemCode, detail: string, extras: ProblemExtras = {}): Answer {
  const { status, title } = problemKinds[code]
  const standard = { type: problemType(code), title, status, code, detail }
  return {
    status,
    contentType: 'application/problem+json',
    headers: extras.headers ?? {},
    // Twice: the first gives them their place, the second keeps them from being replaced.
    body: JSON.stringify({ ...standard, ...extras.members, ...standard }),
    problemCode: code,
  }
}

/** A URN, because it names the problem for ever and promises no page behind it. */
export function problemType(code: ProblemCode): string {
  return `urn:seatbelt:problem:${code}`
}
