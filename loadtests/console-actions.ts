/**
 * A person refunds, captures and cancels at the gateway's own console, without our metadata, while events about it come
 * late, twice, out of order or wrongly signed. Each booking shows what was done, a cancellation frees its seats after
 * any refund, the rest can be refunded, and the merchant receives an event.
 *
 * Bookings differ by what is done to them (`cases`). Every sixth iteration authorizes an order instead, which the
 * console captures, in full or in part, or cancels, while the merchant captures it.
 *
 * Meanwhile subscriptions fall due, and another account tries to charge their customers: it knows their ids at the
 * gateway, which are no secrets there.
 */
import { sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { type Answer, createOrder, headers, isDone, look, problemCode, toEnd, toPay, toRefund } from './lib/client.ts'
import { environment, replicaFor } from './lib/environment.ts'
import { atConsole, intentOf } from './lib/gateway-console.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { buildHall } from './lib/hall.ts'
import { runIteration } from './lib/iteration.ts'
import { checkCheckout, readCharges } from './lib/ledger.ts'
import { billingIntervalSeconds } from './lib/loads.ts'
import { answersUnexpected, consoleHidden, paymentsRefundedWrong } from './lib/metrics.ts'
import {
  type Booking,
  bookedBy,
  createEvent,
  type Hold,
  heldBy,
  orderOf,
  readAllSeats,
  type SeatedEvent,
  toCancelBooking,
  toCheckOut,
  toHold,
} from './lib/seats-client.ts'
import { noteSale } from './lib/seats-history.ts'
import { idIn, invoicesOf, newSubscriber, toRegister, toSubscribe } from './lib/subscriptions-client.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, seatThresholds } from './lib/thresholds.ts'
import { type AnyRequest, fireVolley, warmConnections } from './lib/volley.ts'

const { orders: iterations, copies, concurrency } = environment

const consoleActions = new Counter('console_actions')
const bookingsShown = new Counter('bookings_shown')
const bookingsCancelled = new Counter('bookings_cancelled')
const authorizationsShown = new Counter('authorizations_shown')
/** Refunds of ours that the gateway refused because the console had refunded before. */
const learnedByLook = new Counter('learned_by_look')

const subscriptionsCharged = new Counter('subscriptions_charged')
/** Registrations and subscriptions that another account asked for with a customer that is not its own. */
const strangersRefused = new Counter('strangers_refused')

/** Each of them is charged once by us, and would be charged again for the other account. */
const subscribers = 6

export const options: Options = {
  ...commonOptions,
  scenarios: {
    console_actions: {
      executor: 'shared-iterations',
      vus: Math.min(iterations, concurrency),
      iterations,
      maxDuration: '15m',
    },
    subscriptions: {
      executor: 'shared-iterations',
      exec: 'subscriptionsLoad',
      vus: subscribers,
      iterations: subscribers,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...seatThresholds(),
    ...faultThresholds('console-actions'),
    console_hidden: ['count==0'],
    payments_refunded_wrong: ['count==0'],
    console_actions: ['count>0'],
    bookings_shown: ['count>0'],
    bookings_cancelled: ['count>0'],
    authorizations_shown: ['count>0'],
    learned_by_look: ['count>0'],
    subscriptions_charged: [`count==${subscribers}`],
    strangers_refused: [`count==${2 * subscribers}`],
  },
}

interface Sale {
  readonly event: SeatedEvent
  readonly seatIds: readonly string[]
  /** Their subscriptions are due. */
  readonly subscriptionIds: readonly string[]
}

export function setup(): Sale {
  const event = createEvent('At the console', buildHall({ seats: Math.max(100, iterations), places: 0 }))
  const seatIds = readAllSeats(event).map(({ id }) => id)
  tellMerchant()
  const subscriptionIds = Array.from({ length: subscribers }, (_, number) => subscribe(number))
  breakGateway('console-actions', iterations)
  return { event, seatIds, subscriptionIds }
}

export default function consoleActionsLoad(sale: Sale): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    warmConnections(copies, number, 'booking')
    if (number % 6 === 5) return endAuthorization(number)
    const hold = holdFor(sale, number)
    const booking = bookFor(hold, number)
    const act = cases[number % 6]
    act?.({ hold, booking, number, intentId: intentOf(booking.orderId) })
  })
}

/** Waits until a run has charged the subscription: then it would have charged the other account's as well. */
export function subscriptionsLoad({ subscriptionIds }: Sale): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    const boundMs = environment.settleWithinMs + 2 * billingIntervalSeconds * 1_000
    const isPaid = () => invoicesOf(String(subscriptionIds[number]), number).some(({ state }) => state === 'paid')
    if (within(boundMs, isPaid)) subscriptionsCharged.add(1)
    else throw new Error(`subscription ${subscriptionIds[number]} was not charged`)
  })
}

export function teardown(): void {
  healGateway()
  countVerdict('console-actions')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('console-actions', data)
}

interface Booked {
  readonly hold: Hold
  readonly booking: Booking
  readonly intentId: string
  readonly number: number
}

const cases: readonly ((booked: Booked) => void)[] = [
  // All of it is refunded, and the booking is cancelled at the same time.
  (booked) => {
    refundAtConsole(booked)
    cancel(booked)
  },
  // A part is refunded, and the booking is cancelled at the same time.
  (booked) => {
    refundAtConsole(booked, share(booked, 0.3))
    cancel(booked)
  },
  // Two parts are refunded, and the booking stands.
  (booked) => {
    refundAtConsole(booked, share(booked, 0.2))
    refundAtConsole(booked, share(booked, 0.25))
    checkShown(booked, share(booked, 0.2) + share(booked, 0.25))
  },
  // All of it is refunded, and the booking stands until it is cancelled later.
  (booked) => {
    refundAtConsole(booked)
    checkShown(booked, booked.booking.amountMinor)
    if (booked.number % 2 === 0) cancel(booked)
  },
  // A part is refunded at the console, and then all that is left by our API.
  (booked) => {
    const partMinor = share(booked, 0.3)
    refundAtConsole(booked, partMinor)
    refundRest(booked, partMinor)
    checkShown(booked, booked.booking.amountMinor)
  },
]

function share({ booking }: Booked, of: number): number {
  return Math.ceil(booking.amountMinor * of)
}

function refundAtConsole({ intentId }: Booked, amountMinor?: number): void {
  if (atConsole(intentId, 'refund', amountMinor)) consoleActions.add(1)
  else throw new Error(`the console could not refund ${intentId}`)
}

/** One cancellation refunds what the console has left. In the end all of it is refunded, by both together. */
function cancel({ hold, booking, number }: Booked): void {
  const key = `${environment.run}-cancel-${number}`
  const [answer] = fireVolley(
    Array.from({ length: copies }, () => toCancelBooking(hold, booking, key)),
    number,
  )
  if (answer !== undefined && isDone(answer)) {
    bookingsCancelled.add(1)
    checkGivenBack(booking)
  } else answersUnexpected.add(1, { status: String(answer?.status), code: (answer && problemCode(answer)) ?? 'none' })
}

/** Asks for everything first, as a merchant does before our books know of the console's refund. */
function refundRest({ booking, number }: Booked, atConsoleMinor: number): void {
  const order = orderOf(booking)
  const restMinor = booking.amountMinor - atConsoleMinor
  const ask = (amountMinor: number, name: string): Answer | undefined => {
    const key = `${environment.run}-rest-${number}-${name}`
    const request = toRefund(order, booking.paymentId, key, amountMinor)
    return fireVolley(
      Array.from({ length: copies }, (): AnyRequest => request),
      number,
    )[0]
  }
  const all = ask(booking.amountMinor, 'all')
  if (all !== undefined && problemCode(all) === 'refund-failed') learnedByLook.add(1)
  else if (all === undefined || problemCode(all) !== 'refund-exceeds-payment')
    answersUnexpected.add(1, { status: String(all?.status) })
  const rest = ask(restMinor, 'rest')
  if (rest === undefined || !isDone(rest)) answersUnexpected.add(1, { status: String(rest?.status) })
  checkGivenBack(booking)
}

/** An event may be late by its fault, and by the pauses between its deliveries while a refund of ours is open. */
const shownWithinMs = 20_000

function checkShown({ booking, number }: Booked, refundedMinor: number): void {
  const isShown = within(shownWithinMs, () => {
    const seen = look(`/v1/bookings/${booking.id}`, replicaFor(number, 0, 'booking')).json() as unknown as Booking
    return seen.state === 'confirmed' && seen.refundedMinor === refundedMinor
  })
  if (isShown) bookingsShown.add(1)
  else consoleHidden.add(1, { what: 'refund' })
}

/** All that was paid, and no more. */
function checkGivenBack({ orderId, amountMinor }: Booking): void {
  const given = readCharges({ id: orderId }).refunds.filter(({ status }) => status !== 'failed')
  const givenMinor = given.reduce((sum, refund) => sum + refund.amountMinor, 0)
  if (givenMinor !== amountMinor) paymentsRefundedWrong.add(1, { given: String(givenMinor) })
}

/** The console ends an authorization while the merchant captures it. The payment shows the console's end. */
function endAuthorization(number: number): void {
  const order = createOrder(number)
  const [authorized] = fireVolley(
    [toPay(order, `${environment.run}-authorize-${number}`, { operation: 'authorize' })],
    number,
  )
  if (authorized === undefined || !isDone(authorized)) throw new Error(`not authorized: ${authorized?.status}`)
  const paymentId = String(authorized.json('id'))
  const end = ends[Math.floor(number / 6) % ends.length]
  if (end === undefined) return
  const partMinor = end.share === null ? undefined : Math.ceil(order.amountMinor * end.share)
  if (atConsole(intentOf(order.id), end.action, partMinor)) consoleActions.add(1)
  fireVolley([toEnd('capture', order, paymentId, `${environment.run}-capture-${number}`)], number)
  const expected = end.action === 'cancel' ? 0 : (partMinor ?? order.amountMinor)
  const isShown = within(shownWithinMs, () => {
    const seen = look(`/v1/payments/${paymentId}`, replicaFor(number, 0))
    return seen.json('state') === end.state && seen.json('capturedMinor') === expected
  })
  if (isShown) authorizationsShown.add(1)
  else consoleHidden.add(1, { what: end.action })
}

const ends = [
  { action: 'capture', share: 0.6, state: 'succeeded' },
  { action: 'capture', share: null, state: 'succeeded' },
  { action: 'cancel', share: null, state: 'voided' },
] as const

function within(boundMs: number, isSo: () => boolean): boolean {
  const deadline = Date.now() + boundMs
  for (;;) {
    if (isSo()) return true
    if (Date.now() > deadline) return false
    sleep(0.25)
  }
}

/** The auditor reads what the merchant is to be told, so nothing has to receive it. The twin has no such endpoint. */
function tellMerchant(): void {
  const body = JSON.stringify({ url: 'https://merchant.example/hooks' })
  const answer = http.post(`${replicaFor(0, 0)}/v1/webhook-endpoint`, body, {
    headers: headers(`${environment.run}-endpoint`),
    timeout: '10s',
  })
  if (!isDone(answer)) console.log(`the merchant has no endpoint: ${answer.status}`)
}

/** Returns the subscription's id. The other account tries the same with the same customer, and must be refused. */
function subscribe(number: number): string {
  const price = { amountMinor: 500 + number, currency: 'EUR' }
  const subscriber = newSubscriber(number)
  const id = idIn(toSubscribe(subscriber, price), `subscription ${number}`)
  const { strangerApiKey: stranger } = environment
  const { gatewayCustomerId } = subscriber
  const attempts = [
    toRegister(number, { customerId: `subscriber-${number}`, gatewayCustomerId }, stranger),
    toSubscribe(subscriber, price, stranger),
  ]
  for (const answer of attempts)
    if (problemCode(answer) === 'gateway-customer-not-found') strangersRefused.add(1)
    else answersUnexpected.add(1, { status: String(answer.status), code: problemCode(answer) ?? 'none' })
  return id
}

function holdFor({ event, seatIds }: Sale, number: number): Hold {
  const wish = { seatIds: [String(seatIds[number])] }
  const request = toHold(event.id, `customer-${number}`, `${environment.run}-hold-${number}`, wish)
  const [answer] = fireVolley([request], number)
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
