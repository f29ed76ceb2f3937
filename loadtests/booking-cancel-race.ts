/**
 * A booking is cancelled while its payment is refunded, in full and in part, and captured and voided, all at the same moment:
 * what is given back is what was acknowledged, never more than was paid, all of it where the booking was cancelled, and its seats
 * or places are free once.
 *
 * Half of the requests go to the booking API: cancellations, under one key and under others. The others go to the payments API.
 * One answer of the gateway in seven is lost after it has given the money back. Even bookings are of a seat, odd ones of places.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import type { AcknowledgedRefund } from './lib/attempts.ts'
import { countVerdict } from './lib/auditor.ts'
import { type Answer, isDone, problemCode, toEnd, toRefund } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { buildHall } from './lib/hall.ts'
import { runIteration } from './lib/iteration.ts'
import { checkCheckout, readCharges } from './lib/ledger.ts'
import { answersUnexpected, availabilityChecked, availabilityWrong, paymentsRefundedWrong } from './lib/metrics.ts'
import {
  type Booking,
  bookedBy,
  createEvent,
  type Hold,
  heldBy,
  orderOf,
  readAllSeats,
  readSettledAvailability,
  type SeatedEvent,
  toCancelBooking,
  toCheckOut,
  toHold,
  type Wish,
} from './lib/seats-client.ts'
import { noteSale } from './lib/seats-history.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, seatThresholds } from './lib/thresholds.ts'
import { type AnyRequest, fireVolley, warmConnections } from './lib/volley.ts'

const { orders: bookings, copies, concurrency } = environment
const placesEach = 2

const bookingsCancelled = new Counter('bookings_cancelled')
const refundsAcknowledged = new Counter('refunds_acknowledged')
const cancellationsRefused = new Counter('cancellations_refused')
const refundsRefused = new Counter('refunds_refused')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    booking_cancel_race: {
      executor: 'shared-iterations',
      vus: Math.min(bookings, concurrency),
      iterations: bookings,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...seatThresholds(),
    ...faultThresholds('booking-cancel-race'),
    payments_refunded_wrong: ['count==0'],
    availability_wrong: ['count==0'],
    availability_checked: ['count>0'],
    bookings_cancelled: [`count==${bookings}`],
    cancellations_refused: ['count>0'],
    // Both ways to the money must win sometimes, or the other one was never in danger.
    refunds_acknowledged: ['count>0'],
    refunds_refused: ['count>0'],
  },
}

interface Sale {
  readonly event: SeatedEvent
  readonly seatIds: readonly string[]
}

export function setup(): Sale {
  const hall = buildHall({ seats: Math.max(100, bookings), places: bookings * placesEach })
  const event = createEvent('Cancelled', hall)
  const seatIds = readAllSeats(event).map(({ id }) => id)
  breakGateway('booking-cancel-race')
  return { event, seatIds }
}

export default function bookingCancelRace(sale: Sale): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number, 'booking')
    const hold = holdFor(sale, number)
    const booking = bookFor(hold, number)
    const requests = raceFor(hold, booking, number)
    const answers = fireVolley(requests, number)
    judge(requests, answers, booking)
  })
}

/** What was cancelled is free: once, and all of it. */
export function teardown({ event }: Sale): void {
  healGateway()
  const { sections, tiers } = readSettledAvailability(event.id)
  availabilityChecked.add(1)
  const isWrong =
    sections.some(({ seats, free }) => free !== seats) || tiers.some(({ capacity, free }) => free !== capacity)
  if (isWrong) availabilityWrong.add(1)
  countVerdict('booking-cancel-race')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('booking-cancel-race', data)
}

function holdFor({ event, seatIds }: Sale, number: number): Hold {
  const wish: Wish =
    number % 2 === 0
      ? { seatIds: [String(seatIds[number])] }
      : { tierId: String(event.tiers[0]?.id), quantity: placesEach }
  const [answer] = fireVolley(
    [toHold(event.id, `customer-${number}`, `${environment.run}-hold-${number}`, wish)],
    number,
  )
  const hold = answer && heldBy(answer)
  if (!hold) throw new Error(`nothing could be held: ${answer?.status} ${answer?.body}`)
  return hold
}

function bookFor(hold: Hold, number: number): Booking {
  const [answer] = fireVolley([toCheckOut(hold, `${environment.run}-pay-${number}`)], number)
  const booking = answer && bookedBy(answer)
  if (!booking) throw new Error(`hold ${hold.id} could not be checked out: ${answer?.status} ${answer?.body}`)
  noteSale(booking)
  checkCheckout(booking.orderId, booking.amountMinor)
  return booking
}

/** Which way comes first changes from booking to booking. */
function raceFor(hold: Hold, booking: Booking, number: number): AnyRequest[] {
  const key = `${environment.run}-race-${number}`
  return Array.from({ length: copies }, (_, copy) => {
    const isCancellation = (copy % 2 === 0) === number % 4 < 2
    const turn = Math.floor(copy / 2)
    return isCancellation ? cancellation(hold, booking, key, turn) : ofMoney(booking, key, turn)
  })
}

/** Half of them are copies of one request. */
function cancellation(hold: Hold, booking: Booking, key: string, turn: number): AnyRequest {
  return toCancelBooking(hold, booking, turn % 2 === 0 ? `${key}-cancel` : `${key}-cancel-${turn}`)
}

/** A part twice under one key, all of it, and what a payment that was taken refuses. */
function ofMoney(booking: Booking, key: string, turn: number): AnyRequest {
  const [order, partMinor] = [orderOf(booking), Math.ceil(booking.amountMinor * 0.4)]
  switch (turn % 5) {
    case 0:
    case 1:
      return toRefund(order, booking.paymentId, `${key}-part`, partMinor)
    case 2:
      return toRefund(order, booking.paymentId, `${key}-all`, booking.amountMinor)
    case 3:
      return toEnd('void', order, booking.paymentId, `${key}-void`)
    default:
      return toEnd('capture', order, booking.paymentId, `${key}-capture`)
  }
}

function judge(requests: readonly AnyRequest[], answers: readonly Answer[], booking: Booking): void {
  const refunds = new Map<string, number>()
  let isCancelled = false
  requests.forEach(({ operation }, copy) => {
    const answer = answers[copy]
    if (answer === undefined) return
    if (operation === 'cancel' && isDone(answer)) isCancelled = true
    else if (operation === 'cancel') noteRefusal(answer, 'booking-cancelled', cancellationsRefused)
    else if (operation === 'refund' && isDone(answer)) {
      const { id, amountMinor } = answer.json() as unknown as AcknowledgedRefund
      refunds.set(id, amountMinor)
    } else if (operation === 'refund') noteRefusal(answer, 'refund-exceeds-payment', refundsRefused)
    else if (answer.status !== 409) answersUnexpected.add(1, { status: String(answer.status), operation })
  })
  refundsAcknowledged.add(refunds.size)
  if (isCancelled) bookingsCancelled.add(1)
  checkGivenBack(booking, [...refunds.values()], isCancelled)
}

function noteRefusal(answer: Answer, expected: string, counter: Counter): void {
  if (problemCode(answer) === expected) counter.add(1)
  else answersUnexpected.add(1, { status: String(answer.status), code: problemCode(answer) ?? 'none' })
}

/** Each acknowledged refund once; and, where the booking is cancelled, the rest of what was paid, and no more. */
function checkGivenBack(
  { orderId, amountMinor }: Booking,
  acknowledged: readonly number[],
  isCancelled: boolean,
): void {
  const given = readCharges({ id: orderId }).refunds.filter(({ status }) => status !== 'failed')
  const sum = (amounts: readonly number[]) => amounts.reduce((total, one) => total + one, 0)
  const givenMinor = sum(given.map((refund) => refund.amountMinor))
  const restMinor = isCancelled ? amountMinor - sum(acknowledged) : 0
  const isRight =
    givenMinor === sum(acknowledged) + restMinor && given.length === acknowledged.length + (restMinor > 0 ? 1 : 0)
  if (!isRight) paymentsRefundedWrong.add(1, { refunds: String(given.length) })
}
