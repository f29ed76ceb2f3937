/**
 * Hundreds of customers want one seat at the same moment, each through another connection and with a key of their own: one has it.
 * The next moment they want it again.
 *
 * A seat is stormed four times. Twice the winner gives it back, so that it is free again; the third one pays; the fourth time
 * nobody gets it. How many of the losers PostgreSQL had to be asked about is read from the replicas' own counters.
 */
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import type { Answer } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { buildHall } from './lib/hall.ts'
import { runIteration } from './lib/iteration.ts'
import { checkCheckout } from './lib/ledger.ts'
import { answersUnexpected, seatsGivenTwice } from './lib/metrics.ts'
import {
  bookedBy,
  createEvent,
  type Hold,
  heldBy,
  isTaken,
  readAllSeats,
  type SeatRequest,
  toCheckOut,
  toHold,
  toRelease,
} from './lib/seats-client.ts'
import { noteLosersInDatabase, type Refusals, readRefusals } from './lib/seats-door.ts'
import { noteSale } from './lib/seats-history.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, seatThresholds } from './lib/thresholds.ts'
import { fireVolley, warmConnections } from './lib/volley.ts'

const { orders: seats, copies: clients } = environment

/** What becomes of the seat after each time. */
const storms = ['release', 'release', 'pay', 'gone'] as const
/** A storm that nobody won, because whoever came first failed, is repeated so often. */
const storming = 5
/** Of a control, that has more winners than one, more would only be more of the same. */
const mostPayers = 4

const stormsWon = new Counter('storms_won')
const losersRefused = new Counter('losers_refused')
const losersInDatabase = new Counter('losers_in_database')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    stampede: {
      executor: 'shared-iterations',
      // One storm at a time: each has hundreds of connections of its own.
      vus: 1,
      iterations: seats,
      maxDuration: '15m',
    },
  },
  thresholds: {
    ...seatThresholds(),
    storms_won: [`count==${seats * storms.filter((storm) => storm !== 'gone').length}`],
    losers_refused: ['count>0'],
    losers_in_database_share: ['value<0.05'],
  },
}

interface Sale {
  readonly eventId: string
  readonly seatIds: readonly string[]
  readonly refusedBefore: Refusals
}

export function setup(): Sale {
  const event = createEvent('One seat', buildHall({ seats: Math.max(100, seats), places: 0 }))
  const seatIds = readAllSeats(event).map(({ id }) => id)
  return { eventId: event.id, seatIds, refusedBefore: readRefusals() }
}

export default function stampede({ eventId, seatIds }: Sale): void {
  runIteration(() => {
    const number = exec.scenario.iterationInTest
    const seatId = seatIds[number]
    if (seatId === undefined) throw new Error(`there is no seat ${number}`)
    warmConnections(clients, number, 'booking')
    for (const [round, storm] of storms.entries()) {
      const holds = stormSeat(eventId, seatId, { name: `${number}-${round}`, isGone: storm === 'gone' })
      if (storm === 'release') for (const hold of holds) release(hold)
      if (storm === 'pay') pay(holds.slice(0, mostPayers))
    }
  })
}

export function teardown({ refusedBefore }: Sale): void {
  losersInDatabase.add(noteLosersInDatabase(refusedBefore))
  countVerdict('one-seat-stampede')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('one-seat-stampede', data)
}

/** All at once, again and again until somebody has it. Returns the holds that were had: one. */
function stormSeat(eventId: string, seatId: string, { name, isGone }: { name: string; isGone: boolean }): Hold[] {
  for (let tried = 1; ; tried += 1) {
    const requests = Array.from({ length: clients }, (_, client) =>
      toHold(eventId, `customer-${name}-${client}`, `${environment.run}-${name}-${tried}-${client}`, {
        seatIds: [seatId],
      }),
    )
    const holds = winnersOf(requests, fireVolley(requests, 0))
    if (holds.length > (isGone ? 0 : 1)) seatsGivenTwice.add(holds.length - (isGone ? 0 : 1))
    if (holds.length > 0) stormsWon.add(1)
    if (holds.length > 0 || isGone || tried === storming) return holds
  }
}

function winnersOf(requests: readonly SeatRequest[], answers: readonly Answer[]): Hold[] {
  const holds: Hold[] = []
  requests.forEach((_, client) => {
    const answer = answers[client]
    const hold = answer && heldBy(answer)
    if (hold) holds.push(hold)
    else if (answer && isTaken(answer)) losersRefused.add(1)
    else answersUnexpected.add(1, { status: String(answer?.status) })
  })
  return holds
}

function release(hold: Hold): void {
  const [answer] = fireVolley([toRelease(hold, `${environment.run}-release-${hold.id}`)], 0)
  if (answer?.status !== 200) answersUnexpected.add(1, { status: String(answer?.status) })
}

/** There is one, and it books. Of a control all do, one after the other. */
function pay(holds: readonly Hold[]): void {
  let booked = 0
  for (const hold of holds) {
    const [answer] = fireVolley([toCheckOut(hold, `${environment.run}-pay-${hold.id}`)], 0)
    const booking = answer && bookedBy(answer)
    if (!booking) {
      answersUnexpected.add(1, { status: String(answer?.status) })
      continue
    }
    booked += 1
    noteSale(booking)
    checkCheckout(booking.orderId, booking.amountMinor)
  }
  if (booked > 1) seatsGivenTwice.add(booked - 1)
}
