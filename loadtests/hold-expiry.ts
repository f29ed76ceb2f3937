/**
 * Holds of a few seconds, a gateway that takes longer than that for half of the cards, and others who wait for each seat: a
 * seat whose hold lapsed goes to one of them, and one that is being paid for to nobody.
 *
 * Each seat is held by one customer, and grabbed for by rivals who ask several times a second until one of them has it or
 * somebody has booked it; whoever gets it pays. What the holder does meanwhile changes from seat to seat: nothing; extend at
 * the last moment, and then pay; pay at the last moment; pay at once with a card that is declined, after which the hold has the time
 * back that it had left, and lapses.
 */
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { setTimeout } from 'k6/timers'
import { countVerdict } from './lib/auditor.ts'
import { type Answer, callOf, isFinal, patienceMs, problemCode } from './lib/client.ts'
import { environment, replicaFor } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { buildHall } from './lib/hall.ts'
import { runIterationAsync } from './lib/iteration.ts'
import { checkCheckout } from './lib/ledger.ts'
import { shortHoldSeconds } from './lib/loads.ts'
import { answersUnexpected, copiesUnsettled, seatsGivenTwice } from './lib/metrics.ts'
import {
  type Booking,
  bookedBy,
  createEvent,
  type Hold,
  heldBy,
  isTaken,
  orderIdOf,
  readAllSeats,
  type SeatRequest,
  toCheckOut,
  toExtend,
  toHold,
} from './lib/seats-client.ts'
import { noteSale, recordSeats } from './lib/seats-history.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, seatThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders: seats, copies, concurrency } = environment

/** Together with the holder, so many want one seat. */
const rivals = copies - 1
/** Within it before a hold's end some requests come in time and some do not, on a quick machine and on a busy one. */
const lastMomentMs = 1_000
/** Between two grabs of the rivals. Longer than the cheap door remembers would be patient, and much shorter only noise. */
const grabEveryMs = 150
const repeatEveryMs = 300
/** A hold that was extended, and was then paid for at the last moment by the slowest card. */
const contestedForMs = (2 * shortHoldSeconds + 8) * 1_000

const holdsKept = new Counter('holds_kept')
const seatsTakenOver = new Counter('seats_taken_over')
const cardsDeclined = new Counter('cards_declined')
const grabsRefused = new Counter('grabs_refused')
/** Seats that were free in the end, and that none of those who wanted them got. */
const seatsHadByNobody = new Counter('seats_had_by_nobody')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    hold_expiry: {
      executor: 'shared-iterations',
      vus: Math.min(seats, concurrency),
      iterations: seats,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...seatThresholds(),
    ...faultThresholds('hold-expiry'),
    // Whoever only ever kept his seat, or only ever lost it, was never in danger.
    holds_kept: ['count>0'],
    seats_taken_over: ['count>0'],
    cards_declined: ['count>0'],
    grabs_refused: ['count>0'],
    seats_had_by_nobody: ['count==0'],
  },
}

interface Sale {
  readonly eventId: string
  readonly seatIds: readonly string[]
}

export function setup(): Sale {
  const event = createEvent('Holds that lapse', buildHall({ seats: Math.max(100, seats), places: 0 }))
  const seatIds = readAllSeats(event).map(({ id }) => id)
  breakGateway('hold-expiry')
  return { eventId: event.id, seatIds }
}

export default async function holdExpiry({ eventId, seatIds }: Sale): Promise<void> {
  await runIterationAsync(async () => {
    const number = exec.scenario.iterationInTest
    const seatId = seatIds[number]
    if (seatId === undefined) throw new Error(`there is no seat ${number}`)
    warmConnections(copies, number, 'booking')
    const wanted = { eventId, seatId, number }
    const hold = holdFirst(wanted)
    const holder: Holder = { booked: null }
    const keeping = keep(hold, number).then((booked) => {
      holder.booked = booked
    })
    const taken = await takeOver(wanted, holder)
    await keeping
    const bookings = [...(holder.booked ?? []), ...taken]
    if (bookings.length > 1) seatsGivenTwice.add(bookings.length - 1)
    if (bookings.length === 0) seatsHadByNobody.add(1)
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('hold-expiry')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('hold-expiry', data)
}

interface Holder {
  /** Null while he has no last answer. */
  booked: readonly Booking[] | null
}

interface Wanted {
  readonly eventId: string
  readonly seatId: string
  readonly number: number
}

function holdFirst({ eventId, seatId, number }: Wanted): Hold {
  const [answer] = fireVolley(
    [toHold(eventId, `holder-${number}`, `${environment.run}-hold-${number}`, { seatIds: [seatId] })],
    number,
  )
  const hold = answer && heldBy(answer)
  if (!hold) throw new Error(`seat ${number} could not be held: ${answer?.status} ${answer?.body}`)
  return hold
}

/** What the holder does. Resolves to what he booked, when he has his last answer or has lost the seat. */
async function keep(hold: Hold, number: number): Promise<Booking[]> {
  const key = `${environment.run}-keep-${number}`
  const untilMs = Date.parse(hold.expiresAt)
  switch (number % 4) {
    case 0:
      await until(untilMs)
      return []
    case 1: {
      await until(untilMs - Math.random() * lastMomentMs)
      const extended = await send(toExtend(hold, `${key}-extend`), number)
      if (extended.status !== 200) return noteLost(extended)
      return noteKept(await send(toCheckOut(hold, `${key}-pay`), number))
    }
    case 2:
      await until(untilMs - Math.random() * lastMomentMs)
      return noteKept(await send(toCheckOut(hold, `${key}-pay`), number))
    default: {
      const declined = await send(toCheckOut(hold, `${key}-declined`, 'pm_card_visa_chargeDeclined'), number)
      if (problemCode(declined) !== 'payment-declined') return noteLost(declined)
      cardsDeclined.add(1)
      checkNothingTaken(declined)
      await until(Date.now() + shortHoldSeconds * 1_000)
      return []
    }
  }
}

function noteKept(answer: Answer): Booking[] {
  const booking = bookedBy(answer)
  if (booking === null) return noteLost(answer)
  holdsKept.add(1)
  return noteBooked(booking)
}

/** He came too late, or somebody pays for him already; then nothing is taken from him. */
function noteLost(answer: Answer): Booking[] {
  checkNothingTaken(answer)
  const code = problemCode(answer) ?? 'none'
  if (!expectedOfTheLate.includes(code)) answersUnexpected.add(1, { status: String(answer.status), code })
  return []
}

const expectedOfTheLate = ['hold-expired', 'checkout-voided', 'payment-cancelled']

function checkNothingTaken(answer: Answer): void {
  const orderId = orderIdOf(answer)
  if (orderId !== null) checkCheckout(orderId, null)
}

/**
 * Rivals ask again and again, until one of them has the seat and has paid for it, or they asked once more after it was booked.
 * Returns what they booked: the seat, once at most.
 */
async function takeOver({ eventId, seatId, number }: Wanted, holder: Holder): Promise<Booking[]> {
  const deadline = Date.now() + contestedForMs
  for (let round = 0; Date.now() < deadline; round += 1) {
    const wasBooked = holder.booked !== null && holder.booked.length > 0
    const key = `${environment.run}-grab-${number}-${round}`
    const requests = Array.from({ length: rivals }, (_, rival) =>
      toHold(eventId, `rival-${number}-${rival}`, `${key}-${rival}`, { seatIds: [seatId] }),
    )
    const holds = holdsIn(fireVolley(requests, number + round))
    if (holds.length > 1) seatsGivenTwice.add(holds.length - 1)
    // At once: their holds are as short as any. Of a control, that has several, all of them pay.
    const bookings = holds.flatMap((hold) => pay(hold, number))
    seatsTakenOver.add(bookings.length)
    if (bookings.length > 0 || wasBooked) return bookings
    await until(Date.now() + grabEveryMs)
  }
  return []
}

function holdsIn(answers: readonly Answer[]): Hold[] {
  return answers.flatMap((answer) => {
    const hold = heldBy(answer)
    if (hold !== null) return [hold]
    if (isTaken(answer)) grabsRefused.add(1)
    else answersUnexpected.add(1, { status: String(answer.status), code: problemCode(answer) ?? 'none' })
    return []
  })
}

function pay(hold: Hold, number: number): Booking[] {
  const [answer] = fireVolley([toCheckOut(hold, `${environment.run}-rival-pay-${hold.id}`)], number)
  const booking = answer && bookedBy(answer)
  if (booking) return noteBooked(booking)
  return answer ? noteLost(answer) : []
}

function noteBooked(booking: Booking): Booking[] {
  noteSale(booking)
  checkCheckout(booking.orderId, booking.amountMinor)
  return [booking]
}

/** Sends while others of the same virtual user send as well, and repeats it until there is a final answer. */
async function send(request: SeatRequest, number: number): Promise<Answer> {
  const deadline = Date.now() + environment.settleWithinMs
  for (let round = 0; ; round += 1) {
    const { method, url, body, params } = callOf(request, replicaFor(number, round, 'booking'), patienceMs)
    const sentAt = Date.now()
    const answer: Answer = await http.asyncRequest(method, url, body, params)
    recordSeats(request, answer, { sentAt, endedAt: Date.now() })
    if (isFinal(answer)) return answer
    if (Date.now() > deadline) {
      copiesUnsettled.add(1)
      return answer
    }
    await until(Date.now() + repeatEveryMs)
  }
}

/** Lets whatever else this virtual user does go on meanwhile. */
function until(timeMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, timeMs - Date.now()))
  })
}
