/**
 * A hall is sold out: groups of one to six come at a rising rate, whether or not those before them are served, and want seats from
 * the map, the best side by side, or standing places. Each seat is sold once and paid for once, and no place too many.
 *
 * Some walk away with what they hold, some give it back, some have cards that are declined or slow, some click twice. What lapsed is
 * bought by the stragglers, who come until everything is sold.
 *
 * How many seats were sold for a second, and how long a hold and a checkout took, is written down and not judged.
 */
import { sleep } from 'k6'
import exec from 'k6/execution'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'
import { countVerdict } from './lib/auditor.ts'
import { type Answer, problemCode } from './lib/client.ts'
import { environment } from './lib/environment.ts'
import { breakGateway, faultThresholds, healGateway } from './lib/gateway-faults.ts'
import { buildHall } from './lib/hall.ts'
import { runIteration } from './lib/iteration.ts'
import { checkCheckout } from './lib/ledger.ts'
import { saleHoldSeconds } from './lib/loads.ts'
import { answersUnexpected, availabilityChecked, availabilityWrong, seatsGivenTwice, seatsLeft } from './lib/metrics.ts'
import { findSeats } from './lib/seats-choice.ts'
import {
  type Availability,
  type Booking,
  bookedBy,
  createEvent,
  type Hold,
  heldBy,
  lookAtAvailability,
  orderIdOf,
  readSettledAvailability,
  type SeatedEvent,
  toCheckOut,
  toExtend,
  toHold,
  toRelease,
} from './lib/seats-client.ts'
import { dice, type Group, groupOf, peoplePerGroup } from './lib/seats-crowd.ts'
import { noteSale } from './lib/seats-history.ts'
import { summarize } from './lib/summary.ts'
import { commonOptions, seatThresholds } from './lib/thresholds.ts'
import { fireVolley } from './lib/volley.ts'

const { seats, places } = environment
const placesShare = places / (seats + places)

/** Two cores carry so many groups a second, with room for all that is asked beside. */
const groupsPerSecond = 20
/** One in six does not pay, so that these buy nine tenths. Stragglers buy what is left. */
const groups = Math.ceil((1.1 * (seats + places)) / peoplePerGroup)
/** The doors open, and the crowd grows for so long: nobody's first requests are his quickest. */
const longestRampSeconds = 20
const rushSeconds = Math.ceil(groups / groupsPerSecond + longestRampSeconds / 2)
const rampSeconds = Math.min(longestRampSeconds, rushSeconds - 1)
/** Groups that are there at the same time. A slow card keeps one for some seconds. */
const mostGroups = 400
const stragglers = 8
/** One look a second; a busy replica may take several for one. */
const watchers = 10
/** What was held when the rush was over has lapsed by then, and so has what a straggler held and could not pay for. */
const stragglersSeconds = 4 * saleHoldSeconds + 60 + Math.ceil((seats + places) / 100)
/** One checkout in so many is looked up at the gateway, the auditor looks at all. */
const lookedUp = 10

const holdsMade = new Counter('holds_made')
const walkedAway = new Counter('walked_away')
const cardsDeclined = new Counter('cards_declined')
const cameTooLate = new Counter('came_too_late')
const checkoutsTooLate = new Counter('checkouts_too_late')

export const options: Options = {
  ...commonOptions,
  scenarios: {
    rush: {
      executor: 'ramping-arrival-rate',
      exec: 'group',
      startRate: 1,
      timeUnit: '1s',
      stages: [
        { target: groupsPerSecond, duration: `${rampSeconds}s` },
        { target: groupsPerSecond, duration: `${rushSeconds - rampSeconds}s` },
      ],
      preAllocatedVUs: Math.min(mostGroups, Math.max(20, groups)),
      gracefulStop: '2m',
    },
    stragglers: {
      executor: 'per-vu-iterations',
      exec: 'straggler',
      vus: stragglers,
      iterations: 1,
      startTime: `${rushSeconds}s`,
      maxDuration: `${stragglersSeconds + 120}s`,
    },
    watcher: {
      executor: 'constant-arrival-rate',
      exec: 'watch',
      rate: 1,
      timeUnit: '1s',
      duration: `${rushSeconds}s`,
      preAllocatedVUs: watchers,
    },
  },
  thresholds: {
    ...seatThresholds(),
    ...faultThresholds('on-sale'),
    dropped_iterations: [`count<=${Math.ceil(groups / 20)}`],
    availability_wrong: ['count==0'],
    availability_checked: ['count>0'],
    seats_left: ['value==0'],
    holds_made: ['count>0'],
    walked_away: ['count>0'],
    cards_declined: ['count>0'],
  },
}

interface Sale {
  readonly event: SeatedEvent
}

export function setup(): Sale {
  const event = createEvent('On sale', buildHall({ seats, places }))
  breakGateway('on-sale', groups)
  return { event }
}

export function group({ event }: Sale): void {
  runIteration(() => {
    const buyers = groupOf(exec.scenario.iterationInTest, placesShare)
    const hold = findSeats(event, buyers)
    if (hold === null) {
      cameTooLate.add(1)
      return
    }
    holdsMade.add(1)
    sleep(buyers.thinksForMs / 1_000)
    decide(buyers, hold)
  })
}

/** Buys what is left or comes back, until there is nothing left to wait for. */
export function straggler({ event }: Sale): void {
  runIteration(() => {
    const deadline = Date.now() + stragglersSeconds * 1_000
    const first = stragglerNumbers + exec.vu.idInTest * stragglerNumbers
    for (let turn = 0; Date.now() < deadline; turn += 1) {
      const left = lookAtAvailability(event.id, turn)
      if (left !== null && isSoldOut(left)) return
      const buyers: Group = { ...groupOf(first + turn, placesShare), manner: 'pays' }
      const hold = left && takeSome(event, left, buyers)
      if (hold !== null) decide(buyers, hold)
      else sleep(waitsSeconds)
    }
  })
}

const waitsSeconds = 0.5
/** Groups of the rush have lower numbers. */
const stragglerNumbers = 1_000_000

export function watch({ event }: Sale): void {
  runIteration(() => {
    const seen = lookAtAvailability(event.id, exec.scenario.iterationInTest)
    if (seen !== null) checkAvailability(seen)
  })
}

export function teardown({ event }: Sale): void {
  healGateway()
  const left = readSettledAvailability(event.id)
  checkAvailability(left)
  seatsLeft.add(
    sum(left.sections.map(({ free, held }) => free + held)) + sum(left.tiers.map(({ free, held }) => free + held)),
  )
  countVerdict('on-sale')
}

export function handleSummary(data: Parameters<typeof summarize>[1]): Record<string, string> {
  return summarize('on-sale', data)
}

/** Where the availability says that something is free. The map says which seats; it may be gone by then. */
function takeSome(event: SeatedEvent, left: Availability, buyers: Group): Hold | null {
  const tier = left.tiers.find(({ free }) => free > 0)
  if (tier !== undefined && (buyers.wants === 'places' || left.sections.every(({ free }) => free === 0))) {
    const wish = { tierId: tier.id, quantity: Math.min(buyers.people, tier.free) }
    const key = `${environment.run}-hold-${buyers.number}`
    const [answer] = fireVolley([toHold(event.id, `group-${buyers.number}`, key, wish)], buyers.number)
    return answer ? heldBy(answer) : null
  }
  const open = left.sections.filter(({ free }) => free > 0)
  const section = open[Math.floor(dice(buyers.number, 7) * open.length)]
  if (section === undefined) return null
  const only = { ...event, sections: event.sections.filter(({ id }) => id === section.id), tiers: [] }
  return findSeats(only, { ...buyers, wants: 'map', people: Math.min(buyers.people, section.free) })
}

function isSoldOut({ sections, tiers }: Availability): boolean {
  return [...sections, ...tiers].every(({ free, held }) => free === 0 && held === 0)
}

/** What a group does with its seats. */
function decide({ manner, number }: Group, hold: Hold): void {
  const key = `${environment.run}-pay-${number}`
  switch (manner) {
    case 'walks-away':
      walkedAway.add(1)
      break
    case 'gives-back':
      giveBack(hold, key)
      break
    case 'has-no-card':
      for (const turn of [1, 2, 3]) if (!declined(hold, `${key}-${turn}`, number)) break
      break
    case 'has-another-card':
      if (declined(hold, `${key}-bad`, number)) pay(hold, [key], number)
      break
    case 'extends':
      if (extend(hold, key)) pay(hold, [key], number)
      break
    case 'clicks-twice':
      pay(hold, [key, key], number)
      break
    case 'has-two-windows':
      pay(hold, [key, `${key}-other`], number)
      break
    default:
      pay(hold, [key], number)
  }
}

function giveBack(hold: Hold, key: string): void {
  const [answer] = fireVolley([toRelease(hold, `${key}-release`)], 0)
  if (answer?.status !== 200) noteTooLate(answer)
}

function extend(hold: Hold, key: string): boolean {
  const [answer] = fireVolley([toExtend(hold, `${key}-extend`)], 0)
  if (answer?.status === 200) return true
  noteTooLate(answer)
  return false
}

/** False: it was not even asked for any more. */
function declined(hold: Hold, key: string, number: number): boolean {
  const [answer] = fireVolley([toCheckOut(hold, key, 'pm_card_visa_chargeDeclined')], number)
  if (answer && problemCode(answer) === 'payment-declined') {
    cardsDeclined.add(1)
    lookUp(number, orderIdOf(answer), null)
    return true
  }
  noteTooLate(answer)
  return false
}

/** One of them books, and each copy of it is told so; the others are told that it is booked. */
function pay(hold: Hold, keys: readonly string[], number: number): void {
  const answers = fireVolley(
    keys.map((key) => toCheckOut(hold, key)),
    number,
  )
  const bookings = new Map<string, Booking>()
  for (const answer of answers) {
    const booking = bookedBy(answer)
    if (booking !== null) bookings.set(booking.id, booking)
    else if (problemCode(answer) !== 'hold-booked' || keys.length === 1) noteTooLate(answer)
  }
  for (const booking of bookings.values()) {
    noteSale(booking)
    lookUp(number, booking.orderId, booking.amountMinor)
  }
  if (bookings.size > 1) seatsGivenTwice.add(bookings.size - 1)
}

function lookUp(number: number, orderId: string | null, amountMinor: number | null): void {
  if (orderId !== null && number % lookedUp === 0) checkCheckout(orderId, amountMinor)
}

const late = ['hold-expired', 'checkout-voided', 'payment-cancelled']

/** They thought, or their bank did, for longer than the hold lasts. */
function noteTooLate(answer: Answer | undefined): void {
  const code = (answer && problemCode(answer)) ?? 'none'
  if (late.includes(code)) checkoutsTooLate.add(1)
  else answersUnexpected.add(1, { status: String(answer?.status), code })
}

/** At every moment: nothing less than none, and together what there is. */
function checkAvailability({ sections, tiers }: Availability): void {
  availabilityChecked.add(1)
  const wrongSections = sections.filter(({ seats: all, free, held, booked }) => isWrong(all, free, held, booked))
  const wrongTiers = tiers.filter(({ capacity, free, held, sold }) => isWrong(capacity, free, held, sold))
  if (wrongSections.length + wrongTiers.length > 0) availabilityWrong.add(1)
}

function isWrong(all: number, free: number, held: number, gone: number): boolean {
  return free < 0 || held < 0 || gone < 0 || free + held + gone !== all
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
