import { postAttempts } from './auditor.ts'

/**
 * One request and what became of it, as its client saw it. The auditor holds the system to these.
 *
 * `ok`: acknowledged. `fail`: it certainly did nothing. `info`: it cannot be known from this answer.
 */
export interface Attempt {
  readonly operation: Operation
  readonly orderId: string
  readonly key: string
  /** What was asked for: the order's amount, and of a refund its own. */
  readonly amountMinor: number
  readonly currency: string
  /** Milliseconds since 1970 on k6's clock; the attempt was in flight for some time between the two. */
  readonly sentAt: number
  readonly endedAt: number
  /** For how long of it: from the first byte sent to the last byte received. 0 where no answer came. */
  readonly inFlightMs: number
  readonly outcome: 'ok' | 'fail' | 'info'
  /** HTTP status; 0: no answer. */
  readonly status: number
  /** The problem's code, where the answer was a problem. */
  readonly code: string | null
  readonly replayed: boolean
  /** Which replica answered. */
  readonly instance: string | null
  /** SHA-256 of the body as received: recorded answers to one key must agree in every byte. */
  readonly bodySha256: string | null
  readonly location: string | null
  /** The payment that the answer acknowledged. */
  readonly payment: AcknowledgedPayment | null
  readonly refund: AcknowledgedRefund | null
}

/** `authorize` is to pay with `capture: 'manual'`. */
export type Operation = 'pay' | 'authorize' | 'capture' | 'void' | 'refund' | 'cancel'

export interface AcknowledgedPayment {
  readonly id: string
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: string
  readonly state: string
}

export interface AcknowledgedRefund extends AcknowledgedPayment {
  readonly paymentId: string | null
}

/** Some twenty attempts belong to one order; the auditor takes 1,000 in one batch. */
const bufferLimit = 500

let buffer: Attempt[] = []

export function recordAttempt(attempt: Attempt): void {
  buffer.push(attempt)
  if (buffer.length >= bufferLimit) flushAttempts()
}

/**
 * Hands what was recorded to the auditor. Every iteration ends with it, because a virtual user has no end of its own
 * in which the rest could be sent.
 *
 * @throws if the auditor did not take them: a history with holes must not come to a verdict.
 */
export function flushAttempts(): void {
  if (buffer.length === 0) return
  const attempts = buffer
  buffer = []
  postAttempts(attempts)
}
