import type { IntervalUnit, Schedule } from '@seatbelt/domain'
import { Temporal } from 'temporal-polyfill'

/**
 * When a subscription's periods fall due. Pure: no clock is read here, the time is passed in.
 *
 * Period n is due at anchor + n intervals on the calendar and the clock of the subscription's zone: always counted from the
 * anchor and never from the period before, so that 31 January is followed by 28 February and then by 31 March. A day that a
 * month does not have is its last one. A wall time that the zone skips (a clock put forward, a day left out as in Samoa on
 * 30 December 2011) is due at the first instant after the gap; one that it has twice, the first time.
 *
 * The zones' rules are ICU's, which this process was started with, by way of Temporal. Governments change them: whoever
 * has stored a due moment goes by what is stored.
 *
 * This is the first instant at which period `n` is due. It grows with n; two periods share an instant only where a zone left
 * out all that was between them.
 */
export function dueAt({ anchor, timeZone, interval }: Schedule, n: number): Date {
  const wall = Temporal.PlainDateTime.from(anchor).add({ [plural(interval.unit)]: n * interval.count })
  return new Date(firstInstantFrom(wall, timeZone).epochMilliseconds)
}

/**
 * The last period that is due at this instant; -1 before the anchor.
 *
 * Where two periods share an instant it is the later one: a day that never was is not charged.
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

/** Is this a name of the IANA database that this process knows, in its own spelling? No offset, no abbreviation. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Z]/.test(name)) return false
  try {
    return Temporal.PlainDateTime.from('2026-01-01').toZonedDateTime(name).timeZoneId === name
  } catch {
    return false
  }
}

/** Is this a wall time `YYYY-MM-DDTHH:mm:ss` that the calendar has? */
export function isWallTime(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d$/.test(text)) return false
  try {
    return Temporal.PlainDateTime.from(text).toString() === text
  } catch {
    return false
  }
}

/** What a clock on the wall of the zone shows, in whole seconds. */
export function wallTimeAt(timeZone: string, at: Date): string {
  const zoned = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone)
  return zoned.toPlainDateTime().toString({ smallestUnit: 'second' })
}

function firstInstantFrom(wall: Temporal.PlainDateTime, timeZone: string): Temporal.ZonedDateTime {
  // The earlier of two, and for a skipped time what the clock would show had it not been put forward.
  const zoned = wall.toZonedDateTime(timeZone, { disambiguation: 'compatible' })
  if (zoned.toPlainDateTime().equals(wall)) return zoned
  const gap = zoned.add({ nanoseconds: 1 }).getTimeZoneTransition('previous')
  if (gap === null) throw new Error(`${timeZone} skips ${wall.toString()} without ever putting its clocks forward`)
  return gap
}

function plural(unit: IntervalUnit) {
  return `${unit}s` as const
}
