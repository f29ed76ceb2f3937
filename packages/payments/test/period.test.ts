import { type IntervalUnit, intervalUnits, longestIntervals, type Schedule } from '@seatbelt/domain'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dueAt, isTimeZone, isWallTime, lastPeriodDue, wallTimeAt } from '../src/subscription/period.ts'

function schedule(anchor: string, timeZone: string, unit: IntervalUnit, count = 1): Schedule {
  return { anchor, timeZone, interval: { unit, count } }
}

function dueMoments(given: Schedule, periods: readonly number[]): string[] {
  return periods.map((n) => dueAt(given, n).toISOString().replace('.000Z', 'Z'))
}

function wallTimes(given: Schedule, periods: readonly number[]): string[] {
  return periods.map((n) => wallTimeAt(given.timeZone, dueAt(given, n)))
}

describe('the due moment of a period', () => {
  it('is the last day of a month that is too short, and the anchor’s day again in the next month', () => {
    expect(wallTimes(schedule('2026-01-31T09:00:00', 'Europe/Berlin', 'month'), [0, 1, 2, 3, 11, 13, 25])).toEqual([
      '2026-01-31T09:00:00',
      '2026-02-28T09:00:00',
      '2026-03-31T09:00:00',
      '2026-04-30T09:00:00',
      '2026-12-31T09:00:00',
      '2027-02-28T09:00:00',
      '2028-02-29T09:00:00',
    ])
  })

  it('is 28 February in the years between two 29ths', () => {
    const leapDay = schedule('2024-02-29T12:00:00', 'UTC', 'year')
    expect(dueMoments(leapDay, [0, 1, 2, 3, 4])).toEqual([
      '2024-02-29T12:00:00Z',
      '2025-02-28T12:00:00Z',
      '2026-02-28T12:00:00Z',
      '2027-02-28T12:00:00Z',
      '2028-02-29T12:00:00Z',
    ])
  })

  it('keeps its wall time in summer and in winter', () => {
    const berlin = schedule('2026-03-28T09:00:00', 'Europe/Berlin', 'day')
    expect(dueMoments(berlin, [0, 1])).toEqual(['2026-03-28T08:00:00Z', '2026-03-29T07:00:00Z'])
  })

  it('in the hour that the clock skips, is the first instant after it, and keeps its wall time on the next day', () => {
    const berlin = schedule('2026-03-28T02:30:00', 'Europe/Berlin', 'day')
    expect(wallTimes(berlin, [0, 1, 2])).toEqual(['2026-03-28T02:30:00', '2026-03-29T03:00:00', '2026-03-30T02:30:00'])
    expect(dueMoments(berlin, [1])).toEqual(['2026-03-29T01:00:00Z'])
  })

  it('in the hour that comes twice, is in the first one', () => {
    const berlin = schedule('2026-10-24T02:30:00', 'Europe/Berlin', 'day')
    expect(dueMoments(berlin, [0, 1, 2])).toEqual([
      '2026-10-24T00:30:00Z',
      '2026-10-25T00:30:00Z',
      '2026-10-26T01:30:00Z',
    ])
  })

  it('follows half an hour of summer time', () => {
    const lordHowe = schedule('2026-10-03T02:15:00', 'Australia/Lord_Howe', 'day')
    expect(wallTimes(lordHowe, [0, 1, 2])).toEqual([
      '2026-10-03T02:15:00',
      '2026-10-04T02:30:00',
      '2026-10-05T02:15:00',
    ])
  })

  it('on the day that Samoa left out, is the first instant of the next day', () => {
    const samoa = schedule('2011-12-29T10:00:00', 'Pacific/Apia', 'day')
    expect(wallTimes(samoa, [0, 1, 2])).toEqual(['2011-12-29T10:00:00', '2011-12-31T00:00:00', '2011-12-31T10:00:00'])
  })

  it('is shared by two periods only where the zone left out the time between; the later one is the last due', () => {
    const samoa = schedule('2011-12-29T00:00:00', 'Pacific/Apia', 'day')
    expect(dueAt(samoa, 1)).toEqual(dueAt(samoa, 2))
    expect(lastPeriodDue(samoa, dueAt(samoa, 1))).toBe(2)
  })
})

const zones = [
  ...[
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'America/Sao_Paulo',
    'Asia/Kolkata',
    'Asia/Tehran',
    'Africa/Casablanca',
  ],
  ...['Australia/Lord_Howe', 'Pacific/Chatham', 'Pacific/Kiritimati', 'America/St_Johns', 'Africa/Cairo'],
]

const anySchedule = fc
  .record({
    at: fc.date({ min: new Date('2012-01-01T00:00:00Z'), max: new Date('2099-12-31T23:59:59Z'), noInvalidDate: true }),
    timeZone: fc.constantFrom(...zones),
    unit: fc.constantFrom(...intervalUnits),
    count: fc.integer({ min: 1, max: 36 }),
  })
  .map(({ at, timeZone, unit, count }) =>
    schedule(at.toISOString().slice(0, 19), timeZone, unit, Math.min(count, longestIntervals[unit])),
  )
const anyPeriod = fc.integer({ min: 0, max: 600 })

describe('of any schedule', () => {
  it('its due moments strictly grow', () => {
    fc.assert(
      fc.property(anySchedule, anyPeriod, (given, n) => dueAt(given, n + 1).getTime() > dueAt(given, n).getTime()),
    )
  })

  it('each period is due at the anchor’s wall time, or at the first instant after a gap', () => {
    fc.assert(
      fc.property(anySchedule, anyPeriod, (given, n) => {
        const due = dueAt(given, n)
        const wall = wallTimeAt(given.timeZone, due)
        if (wall.slice(11) === given.anchor.slice(11)) return true
        // Just before it, the zone's clock showed a time before the anchor's: the zone skipped what lay between.
        const before = wallTimeAt(given.timeZone, new Date(due.getTime() - 1_000))
        return before.slice(11) < given.anchor.slice(11) && given.anchor.slice(11) < wall.slice(11)
      }),
    )
  })

  it('by months and years, each period is due on the anchor’s day or the last of its month: no error adds up', () => {
    fc.assert(
      fc.property(anySchedule, anyPeriod, (given, n) => {
        const { unit, count } = given.interval
        if (unit !== 'month' && unit !== 'year') return true
        const [year = 0, month = 0, day = 0] = given.anchor.slice(0, 10).split('-').map(Number)
        const months = month - 1 + n * count * (unit === 'year' ? 12 : 1)
        const lastOfMonth = new Date(Date.UTC(year, months + 1, 0)).getUTCDate()
        const expected = new Date(Date.UTC(year, months, Math.min(day, lastOfMonth))).toISOString().slice(0, 10)
        return wallTimeAt(given.timeZone, dueAt(given, n)).slice(0, 10) === expected
      }),
    )
  })

  it('the last period due at an instant is due, and the next one is not', () => {
    fc.assert(
      fc.property(anySchedule, fc.integer({ min: -2_000, max: 40_000 }), (given, hours) => {
        const at = new Date(dueAt(given, 0).getTime() + hours * 3_600_000)
        const n = lastPeriodDue(given, at)
        return dueAt(given, n + 1) > at && (n === -1 || dueAt(given, n) <= at)
      }),
    )
  })

  it('the last period due at a due moment is that period, at most a second before it the one before', () => {
    fc.assert(
      fc.property(anySchedule, anyPeriod, (given, n) => {
        const due = dueAt(given, n)
        return lastPeriodDue(given, due) === n && lastPeriodDue(given, new Date(due.getTime() - 1_000)) === n - 1
      }),
    )
  })
})

describe('a time zone', () => {
  it.each([
    'Europe/Berlin',
    'UTC',
    'Asia/Kolkata',
    'America/Argentina/Buenos_Aires',
    'America/Port-au-Prince',
    'Etc/GMT+3',
  ])('can be %s', (name) => expect(isTimeZone(name)).toBe(true))

  it('can be any that this Node.js lists', () => {
    expect(Intl.supportedValuesOf('timeZone').filter((name) => !isTimeZone(name))).toEqual([])
  })

  it.each([
    ...[
      'Foo+3',
      'GMT+3',
      '+03:00',
      '+03',
      'europe/berlin',
      'EUROPE/BERLIN',
      'utc',
      'PST',
      'BST',
      'Z',
      '',
      ' UTC',
      'UTC ',
    ],
    ...['2026-01-01T00:00Z', '2026-01-01T00:00[Europe/Berlin]', 'Europe/Atlantis', 'Etc/Unknown', 'UTC\n', '\0'],
  ])('cannot be %j', (name) => expect(isTimeZone(name)).toBe(false))
})

describe('a wall time', () => {
  it.each(['2026-01-31T09:00:00', '2024-02-29T23:59:59'])('can be %s', (text) => expect(isWallTime(text)).toBe(true))

  it.each([
    ...[
      '2026-02-29T00:00:00',
      '2026-02-30T00:00:00',
      '2026-13-01T00:00:00',
      '2026-00-10T00:00:00',
      '2026-01-01T24:00:00',
    ],
    ...['2026-01-01T23:59:60', '2026-01-01T09:00', '2026-01-01', '2026-01-01T09:00:00Z', '2026-01-01T09:00:00+01:00'],
    ...[
      '2026-01-01T09:00:00.5',
      '2026-01-01 09:00:00',
      '+002026-01-01T09:00:00',
      '2026-01-01T09:00:00[Europe/Berlin]',
      '',
    ],
  ])('cannot be %j', (text) => expect(isWallTime(text)).toBe(false))
})
