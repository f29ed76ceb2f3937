/** What one group of customers wants, and how it behaves. The same number is the same group in every run. */
export interface Group {
  readonly number: number
  readonly people: number
  /** How they look for seats: on the map, by asking for the best side by side, or for places without numbers. */
  readonly wants: 'map' | 'adjacent' | 'places'
  readonly manner: Manner
  readonly thinksForMs: number
}

export type Manner =
  | 'pays'
  /** Sends the same checkout twice. */
  | 'clicks-twice'
  /** Checks out in two windows, each with a key of its own. */
  | 'has-two-windows'
  /** Needs more time, and then pays. */
  | 'extends'
  /** Its first card is declined. */
  | 'has-another-card'
  /** None of its cards is good. */
  | 'has-no-card'
  | 'gives-back'
  /** Closes the window: the seats come back when the hold lapses. */
  | 'walks-away'

/** Most people come in pairs. */
const people = [
  [0.16, 1],
  [0.58, 2],
  [0.7, 3],
  [0.9, 4],
  [0.95, 5],
  [1, 6],
] as const

/** On the average. What they buy together is some less, because some walk away. */
export const peoplePerGroup = 2.71

const manners = [
  [0.6, 'pays'],
  [0.68, 'clicks-twice'],
  [0.72, 'has-two-windows'],
  [0.75, 'extends'],
  [0.83, 'has-another-card'],
  [0.85, 'has-no-card'],
  [0.88, 'gives-back'],
  [1, 'walks-away'],
] as const

/** Of those who want numbered seats, so many look at the map. The others let themselves be given the best. */
const looksAtMap = 0.65
const shortestThoughtMs = 200
const longestThoughtMs = 2_000

/** `placesShare`: how much of what is sold has no numbers. */
export function groupOf(number: number, placesShare: number): Group {
  const wantsPlaces = dice(number, 2) < placesShare
  return {
    number,
    people: pick(people, dice(number, 1)),
    wants: wantsPlaces ? 'places' : dice(number, 3) < looksAtMap ? 'map' : 'adjacent',
    manner: pick(manners, dice(number, 4)),
    thinksForMs: shortestThoughtMs + dice(number, 5) * (longestThoughtMs - shortestThoughtMs),
  }
}

/** From 0 to 1, the same for the same two numbers. */
export function dice(number: number, which: number): number {
  let bits = Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(which + 1, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d)
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b)
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32
}

function pick<T>(of: readonly (readonly [number, T])[], at: number): T {
  const [, found] = of.find(([until]) => at < until) ?? of[of.length - 1] ?? []
  return found as T
}
