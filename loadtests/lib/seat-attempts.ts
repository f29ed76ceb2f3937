import { sleep } from 'k6'
import { sha256 } from 'k6/crypto'
import exec from 'k6/execution'
import http from 'k6/http'
import type { Attempt } from './attempts.ts'
import { type Answer, header, isDone, isReplay, outcomeOf, problemCode } from './client.ts'
import { environment } from './environment.ts'

/** What a request about seats was to do. */
export type SeatOperation = 'hold' | 'extend' | 'release' | 'checkout' | 'cancel'

/** One request about seats or places: what it asks for, and under which key. */
export interface SeatRequest {
  readonly operation: SeatOperation
  readonly customerId: string
  readonly eventId: string
  readonly key: string
  /** The seats that a hold names, or that the hold or the booking has. Empty for places, and for whatever seats are side by side. */
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  /** What is extended, released, checked out or, as a booking, cancelled. Null: the request is to make one. */
  readonly holdId: string | null
  /** Of a cancellation. */
  readonly bookingId: string | null
}

/**
 * A request about seats and what became of it, as its client saw it. The auditor checks them seat by seat.
 *
 * `ok`: acknowledged. `fail`: it certainly gave nobody a seat; what a card that was refused left of the hold is told by
 * `failedCheckout`. `info`: it cannot be known from this answer.
 */
export interface SeatAttempt extends SeatRequest {
  /** Milliseconds since 1970 on k6's clock, which is the database's: both run on one machine. */
  readonly sentAt: number
  readonly endedAt: number
  /** For how long of it: from the first byte sent to the last byte received. 0 where no answer came. */
  readonly inFlightMs: number
  readonly outcome: Attempt['outcome']
  /** HTTP status; 0: no answer. */
  readonly status: number
  readonly code: string | null
  readonly replayed: boolean
  readonly instance: string | null
  readonly bodySha256: string | null
  readonly location: string | null
  /** What the answer to a hold, an extension or a release acknowledged. */
  readonly hold: object | null
  /** What the answer to a checkout or a cancellation did. */
  readonly booking: object | null
  readonly failedCheckout: object | null
}

/** The auditor takes 1,000 in one batch, and 2 MB: an attempt for ten seats that was acknowledged has some 1,500 bytes. */
const bufferLimit = 500

let buffer: SeatAttempt[] = []
let batches = 0

export function recordSeatAttempt(attempt: SeatAttempt): void {
  buffer.push(attempt)
  if (buffer.length >= bufferLimit) flushSeatAttempts()
}

/** A batch that could not be delivered three times in a row means that the auditor is gone. */
const postTries = 3
const postPauseSeconds = 0.2

/**
 * Hands what was recorded to the auditor. Every iteration ends with it, because a virtual user has no end of its own in which the
 * rest could be sent. The batches are numbered apart from those of payments, so that the auditor sees a missing one.
 *
 * @throws if the auditor did not take them: a history with holes must not come to a verdict.
 */
export function flushSeatAttempts(): void {
  if (buffer.length === 0) return
  const attempts = buffer
  buffer = []
  batches += 1
  const url = `${environment.auditorUrl}/runs/${encodeURIComponent(environment.run)}/seat-attempts`
  const body = JSON.stringify({ sender: `vu-${exec.vu.idInTest}-seats`, number: batches, attempts })
  for (let tried = 1; ; tried += 1) {
    const response = http.post(url, body, { headers: { 'Content-Type': 'application/json' }, timeout: '10s' })
    if (response.status === 202) return
    if (tried === postTries)
      throw new Error(`the auditor did not take the seat attempts: ${response.status} ${response.error}`)
    sleep(postPauseSeconds)
  }
}

export function toSeatAttempt(request: SeatRequest, answer: Answer, sentAt: number, endedAt: number): SeatAttempt {
  const body = typeof answer.body === 'string' ? answer.body : null
  return {
    ...request,
    sentAt,
    endedAt,
    inFlightMs: answer.timings.duration,
    outcome: outcomeOf(answer),
    status: answer.status,
    code: problemCode(answer),
    replayed: isReplay(answer),
    instance: header(answer, 'Seatbelt-Instance'),
    bodySha256: body === null ? null : sha256(body, 'hex'),
    location: header(answer, 'Location'),
    ...toldBy(request.operation, answer),
  }
}

type Told = Pick<SeatAttempt, 'hold' | 'booking' | 'failedCheckout'>

function toldBy(operation: SeatOperation, answer: Answer): Told {
  const nothing: Told = { hold: null, booking: null, failedCheckout: null }
  const told = () => answer.json() as unknown as object
  if (operation === 'checkout' && answer.status === 402) return { ...nothing, failedCheckout: told() }
  if (!isDone(answer)) return nothing
  const isBooking = operation === 'checkout' || operation === 'cancel'
  return isBooking ? { ...nothing, booking: told() } : { ...nothing, hold: told() }
}
