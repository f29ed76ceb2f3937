import exec from 'k6/execution'
import { type Answer, isDone, isReplay } from './client.ts'
import { checkoutDuration, holdLost, holdWon, seatSoldAt, seatsSold } from './metrics.ts'
import { recordSeatAttempt, toSeatAttempt } from './seat-attempts.ts'
import { isTaken, type SeatRequest } from './seats-client.ts'

/** When a request was under way, in milliseconds since 1970 on k6's clock. */
export interface UnderWay {
  readonly sentAt: number
  readonly endedAt: number
}

/** Notes what a client asked about seats and what it was told: for the figures, and for the auditor. */
export function recordSeats(request: SeatRequest, answer: Answer, { sentAt, endedAt }: UnderWay): void {
  const { api: _api, path: _path, body: _body, ...intent } = request
  recordSeatAttempt(toSeatAttempt(intent, answer, sentAt, endedAt))
  noteFigures(request, answer)
}

/** A copy of a request is no further hold and no further sale. */
function noteFigures({ operation }: SeatRequest, answer: Answer): void {
  const { duration } = answer.timings
  if (operation === 'hold' && isTaken(answer)) holdLost.add(duration)
  if (!isDone(answer) || isReplay(answer)) return
  if (operation === 'hold') holdWon.add(duration)
  if (operation === 'checkout') checkoutDuration.add(duration)
}

/** Counts what was booked and paid for. Called once for each booking, whichever of the answers told of it. */
export function noteSale({ quantity }: { readonly quantity: number }): void {
  seatsSold.add(quantity)
  const now = exec.instance.currentTestRunDuration
  for (let seat = 0; seat < quantity; seat += 1) seatSoldAt.add(now)
}
