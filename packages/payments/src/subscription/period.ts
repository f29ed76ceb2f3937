import type { IntervalUnit, Schedule } from '@seatbelt/domain'
import { Temporal } from 'temporal-polyfill'

/**
 * The first instant at which period `n` is due. Pure: it reads no clock.
 *
 * Period n is due at anchor + n intervals, on the calendar and the clock of the subscription's zone. It is counted from
 * the anchor and never from the period before, so that 31 January is followed by 28 February and then by 31 March. A
 * day that a month does not have is its last day. A wall time that the zone skips (a clock put forward, a day left out
 * as in Samoa on 30 December 2011) is due at the first instant after the gap; a wall time that comes twice is due the
 * first time.
 *
 * The instant grows with n; two periods share an instant only where a zone left out all that was between them. The
 * zones' rules are those of this process's ICU, through Temporal. Governments change them, so a stored due time stands
 * as stored.
 */
export function dueAt({ anchor, timeZone, interval }: Schedule, n: number): Date {
  const wall = Temporal.PlainDateTime.from(anchor).add({ [plural(interval.unit)]: n * interval.count })
  return new Date(firstInstantFrom(wall, timeZone).epochMilliseconds)
}

/**
 * The last period that is due at this instant; -1 before the anchor.
 *
 * Of two periods that share an instant it is the later one: a day that the zone left out is not charged.
 */
export function lastPeriodDue(schedule: Schedule, at: Date): number {
  const { anchor, timeZone, interval } = schedule
  const wall = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone).toPlainDateTime()
  const units = plural(interval.unit)
  const passed = Temporal.PlainDateTime.from(anchor).until(wall, { largestUnit: interval.unit })[units]
  // Wall times can be ahead of instants, and months are of different lengths: by one period at most, either way.
  let n = Math.max(-1, Math.floor(passed / interval.count) + 1)
  while (n >= 0 && dueAt(schedule, n) > at) n--
  while (dueAt(schedule, n + 1) <= at) n++
  return n
}

/**
 * Whether this is a name of the IANA database in its exact spelling, which this process knows. No offset or
 * abbreviation.
 */
export function isTimeZone(name: string): boolean {
  return (
    /^[A-Z]/.test(name) &&
    yields(name, () => Temporal.PlainDateTime.from('2026-01-01').toZonedDateTime(name).timeZoneId)
  )
}

/** Whether this is a wall time `YYYY-MM-DDTHH:mm:ss` that the calendar has. */
export function isWallTime(text: string): boolean {
  const hasItsForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d$/.test(text)
  return hasItsForm && yields(text, () => Temporal.PlainDateTime.from(text).toString())
}

/** False also where the input is refused. */
function yields(text: string, parse: () => string): boolean {
  try {
    return parse() === text
  } catch {
    return false
  }
}

/** The local time of the zone, in whole seconds. */
export function wallTimeAt(timeZone: string, at: Date): string {
  const zoned = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone)
  return zoned.toPlainDateTime().toString({ smallestUnit: 'second' })
}

function firstInstantFrom(wall: Temporal.PlainDateTime, timeZone: string): Temporal.ZonedDateTime {
  // The earlier of two. For a skipped time: what the clock would show without the change.
  const zoned = wall.toZonedDateTime(timeZone, { disambiguation: 'compatible' })
  if (zoned.toPlainDateTime().equals(wall)) return zoned
  const gap = zoned.add({ nanoseconds: 1 }).getTimeZoneTransition('previous')
  if (gap === null) throw new Error(`${timeZone} skips ${wall.toString()} without ever putting its clocks forward`)
  return gap
}

function plural(unit: IntervalUnit) {
  return `${unit}s` as const
}
