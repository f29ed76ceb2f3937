import { createHash } from 'node:crypto'
import type { Guarded } from '@seatbelt/safety'
import type { Attempt } from '../auditor/attempt.ts'
import type { SeatAttempt } from '../auditor/seat-attempt.ts'
import { amountMinor, type World } from './world.ts'

/** The part of an attempt that the answer decides. */
type Answered = Omit<Attempt, Asked | Told> & Omit<SeatAttempt, AskedForSeats | ToldOfSeats>

type Asked = 'operation' | 'orderId' | 'key' | 'amountMinor' | 'currency' | 'sentAt'
type Told = 'payment' | 'refund'
type AskedForSeats = 'operation' | 'customerId' | 'eventId' | 'key' | 'seatIds' | 'tierId' | 'quantity' | OfSeats
type OfSeats = 'holdId' | 'bookingId' | 'sentAt'
type ToldOfSeats = 'hold' | 'booking' | 'failedCheckout'

const unanswered: Answered = {
  endedAt: 0,
  inFlightMs: 0,
  outcome: 'info',
  status: 0,
  code: null,
  replayed: false,
  instance: null,
  bodySha256: null,
  location: null,
}

/** Sends a client's request about an order, and records it for the auditor. Resolves with its result in words. */
export function requestPayment(
  world: World,
  asked: Pick<Attempt, 'operation' | 'key'>,
  send: () => Promise<Guarded<unknown>>,
): Promise<string> {
  const { attempts, orderId } = world
  const nothing = { payment: null, refund: null }
  const request = { ...asked, orderId, amountMinor, currency: 'EUR', sentAt: Date.now() }
  return record(attempts, { ...request, ...unanswered, ...nothing }, send, (body) =>
    asked.operation === 'cancel' ? nothing : { payment: body as Attempt['payment'], refund: null },
  )
}

/** As above, for a request about the two seats of the schedule. */
export function requestSeats(
  world: World,
  asked: Pick<SeatAttempt, 'operation' | 'key' | 'customerId' | 'seatIds' | 'holdId'>,
  send: () => Promise<Guarded<unknown>>,
): Promise<string> {
  const { seatAttempts, eventId } = world
  const nothing = { hold: null, booking: null, failedCheckout: null }
  const seats = { eventId, tierId: null, quantity: asked.seatIds.length, bookingId: null }
  return record(seatAttempts, { ...asked, ...seats, sentAt: Date.now(), ...unanswered, ...nothing }, send, (body) =>
    asked.operation === 'checkout'
      ? { ...nothing, booking: body as SeatAttempt['booking'] }
      : { ...nothing, hold: body as SeatAttempt['hold'] },
  )
}

/** It is recorded before it is sent, because its actor may die. */
async function record<Of extends Answered>(
  attempts: Of[],
  request: Of,
  send: () => Promise<Guarded<unknown>>,
  told: (body: unknown) => Partial<Of>,
): Promise<string> {
  const place = attempts.push(request) - 1
  const result = await send()
  const read = answerOf(result)
  const body = read.outcome === 'ok' && result.kind === 'answered' ? told(JSON.parse(result.answer.body)) : {}
  attempts[place] = { ...request, ...read, ...body }
  return brief(result)
}

function answerOf(result: Guarded<unknown>): Answered {
  const read = { ...unanswered, endedAt: Date.now() }
  if (result.kind === 'refused') return { ...read, outcome: 'fail', code: result.refusal.code }
  if (result.kind === 'unsettled') return read
  const { status, body, location } = result.answer
  const isOk = status < 300
  return {
    ...read,
    outcome: isOk ? 'ok' : 'fail',
    status,
    code: isOk ? null : (JSON.parse(body) as { code: string }).code,
    replayed: result.replayed,
    bodySha256: createHash('sha256').update(body).digest('hex'),
    location,
  }
}

/** A hold that was there before the first request. Its customer does not know its end, because a scenario moves it. */
export function recordPreparedHold(world: World, customerId: string): void {
  const { seatAttempts, eventId, holdId, seatIds } = world
  const hold = { operation: 'hold', customerId, eventId, key: 'prepared', tierId: null, bookingId: null } as const
  const times = { sentAt: Date.now(), endedAt: Date.now() }
  const nothing = { hold: null, booking: null, failedCheckout: null }
  const asked = { ...hold, seatIds: [...seatIds], quantity: seatIds.length, holdId }
  seatAttempts.push({ ...asked, ...unanswered, ...nothing, ...times, outcome: 'ok' })
}

/** `answered 201`, `refused payment-in-progress`, `unsettled`. */
function brief(result: Guarded<unknown>): string {
  switch (result.kind) {
    case 'answered':
      return `answered ${result.answer.status}${result.replayed ? ', replayed' : ''}`
    case 'refused':
      return `refused ${result.refusal.code}`
    case 'unsettled':
      return 'unsettled'
    default:
      return result satisfies never
  }
}
