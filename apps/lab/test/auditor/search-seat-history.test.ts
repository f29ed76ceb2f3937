import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SeatOperation, searchSeatHistory } from '../../src/auditor/search-seat-history.ts'
import { isExplained } from './seat-reference.ts'

const exact = { clockErrorMs: 0 }

/** Minutes of an evening, so that a history can be read. */
const [ana, ben] = [
  { holdId: 'hold-a', customerId: 'ana' },
  { holdId: 'hold-b', customerId: 'ben' },
]

function did(
  who: typeof ana,
  kind: SeatOperation['kind'],
  [sentAt, endedAt]: readonly [number, number],
  until: number | null = null,
): SeatOperation {
  return { ...who, kind, sentAt, endedAt, isCertain: true, until }
}

/** What was not answered. */
function tried(who: typeof ana, kind: SeatOperation['kind'], sentAt: number): SeatOperation {
  return { ...did(who, kind, [sentAt, Number.POSITIVE_INFINITY]), isCertain: false }
}

describe('a history that some order explains', () => {
  it.each<[string, SeatOperation[]]>([
    ['nothing', []],
    [
      'held, paid, cancelled, and held by the next',
      [
        ...[did(ana, 'hold', [1, 2], 100), did(ana, 'checkout', [3, 9]), did(ana, 'cancel', [20, 22])],
        did(ben, 'hold', [21, 23], 120),
      ],
    ],
    ['taken over when it had lapsed', [did(ana, 'hold', [1, 2], 100), did(ben, 'hold', [100, 101], 200)]],
    ['sent before it lapsed, and answered after', [did(ana, 'hold', [1, 2], 100), did(ben, 'hold', [90, 101], 200)]],
    [
      'released, and taken by one who asked before',
      [...[did(ana, 'hold', [1, 2], 100), did(ana, 'release', [10, 20])], did(ben, 'hold', [5, 15], 110)],
    ],
    [
      'extended in time, and taken over after that',
      [...[did(ana, 'hold', [1, 2], 100), did(ana, 'extend', [99, 101], 199)], did(ben, 'hold', [199, 201], 300)],
    ],
    [
      'paid for beyond the time of the hold, because the checkout began before',
      [...[did(ana, 'hold', [1, 2], 100), did(ana, 'checkout', [99, 150])]],
    ],
    [
      'taken by the next, because a release without an answer was done',
      [...[did(ana, 'hold', [1, 2], 100), tried(ana, 'release', 10)], did(ben, 'hold', [20, 21], 120)],
    ],
    [
      'paid for, because a release without an answer was not done',
      [...[did(ana, 'hold', [1, 2], 100), tried(ana, 'release', 10)], did(ana, 'checkout', [20, 30])],
    ],
    [
      'paid for long after its time, because a checkout without an answer gave it more',
      [...[did(ana, 'hold', [1, 2], 100), tried(ana, 'checkout', 50)], did(ana, 'checkout', [140, 150])],
    ],
    [
      'cancelled, because a checkout without an answer booked it',
      [
        ...[did(ana, 'hold', [1, 2], 100), tried(ana, 'checkout', 50)],
        ...[did(ana, 'cancel', [140, 150]), did(ben, 'hold', [160, 161], 300)],
      ],
    ],
    [
      'held early by the next, because a checkout without an answer ended the hold',
      [...[did(ana, 'hold', [1, 2], 100), tried(ana, 'checkout', 20)], did(ben, 'hold', [50, 51], 300)],
    ],
    [
      'lengthened by an extension without an answer',
      [...[did(ana, 'hold', [1, 2], 100), tried(ana, 'extend', 50)], did(ana, 'checkout', [120, 130])],
    ],
    [
      'extended twice at once, where one order of the two leaves the next one time to pay, and the other does not',
      [
        ...[did(ana, 'hold', [0, 0], 2), did(ana, 'extend', [1, 4], 3), did(ana, 'extend', [1, 6], 5)],
        ...[did(ben, 'hold', [1, 9], 5), did(ben, 'checkout', [1, 9])],
      ],
    ],
  ])('%s', (_, operations) => {
    expect(searchSeatHistory(operations, exact)).toEqual({ kind: 'explained' })
  })
})

describe('a history that no order explains', () => {
  it.each<[string, SeatOperation[]]>([
    ['held by two', [did(ana, 'hold', [1, 2], 100), did(ben, 'hold', [3, 4], 100)]],
    ['held by two who asked at once', [did(ana, 'hold', [1, 5], 100), did(ben, 'hold', [2, 4], 100)]],
    ['taken over a moment before it lapsed', [did(ana, 'hold', [1, 2], 100), did(ben, 'hold', [98, 99], 200)]],
    [
      'taken over although it was extended',
      [...[did(ana, 'hold', [1, 2], 100), did(ana, 'extend', [50, 51], 150)], did(ben, 'hold', [120, 121], 200)],
    ],
    [
      'taken over while it was being paid',
      [...[did(ana, 'hold', [1, 2], 100), did(ana, 'checkout', [90, 150])], did(ben, 'hold', [110, 111], 200)],
    ],
    [
      'booked by two',
      [
        ...[did(ana, 'hold', [1, 2], 100), did(ben, 'hold', [100, 101], 200)],
        ...[did(ana, 'checkout', [50, 99]), did(ben, 'checkout', [110, 120])],
      ],
    ],
    ['booked by one whose hold had lapsed', [did(ana, 'hold', [1, 2], 100), did(ana, 'checkout', [100, 110])]],
    ['extended when it had lapsed', [did(ana, 'hold', [1, 2], 100), did(ana, 'extend', [101, 102], 200)]],
    [
      'held again after it was booked',
      [...[did(ana, 'hold', [1, 2], 10), did(ana, 'checkout', [3, 4])], did(ben, 'hold', [50, 51], 200)],
    ],
    [
      'released by one who did not have it',
      [...[did(ana, 'hold', [1, 2], 10), did(ben, 'hold', [11, 12], 100)], did(ana, 'release', [13, 14])],
    ],
    [
      'cancelled twice',
      [
        ...[did(ana, 'hold', [1, 2], 10), did(ana, 'checkout', [3, 4])],
        ...[did(ana, 'cancel', [5, 6]), did(ana, 'cancel', [7, 8])],
      ],
    ],
    ['cancelled, and never booked', [did(ana, 'hold', [1, 2], 10), did(ana, 'cancel', [5, 6])]],
    ['booked, and never held', [did(ana, 'checkout', [5, 6])]],
    [
      'held by the next before a release without an answer was even sent',
      [...[did(ana, 'hold', [1, 2], 100), tried(ana, 'release', 30)], did(ben, 'hold', [20, 21], 120)],
    ],
    [
      'booked after a checkout without an answer, and held by another all the same',
      [
        ...[did(ana, 'hold', [1, 2], 100), tried(ana, 'checkout', 20)],
        ...[did(ana, 'checkout', [30, 40]), did(ben, 'hold', [50, 51], 300)],
      ],
    ],
  ])('%s', (_, operations) => {
    expect(searchSeatHistory(operations, exact)).toMatchObject({ kind: 'unexplained' })
  })

  it('says how far it could be explained, and what cannot be', () => {
    const operations = [did(ana, 'hold', [1_000, 2_000], 100_000), did(ben, 'hold', [3_000, 4_000], 100_000)]
    expect(searchSeatHistory(operations)).toEqual({
      kind: 'unexplained',
      what: 'hold of hold-b for ben was acknowledged between 1970-01-01T00:00:03.000Z and 1970-01-01T00:00:04.000Z, when the seat was held by hold-a until 1970-01-01T00:01:40.000Z',
    })
  })
})

it('lets clocks differ by as much as it is told', () => {
  const early = [did(ana, 'hold', [1, 2], 100), did(ben, 'hold', [97, 98], 200)]
  expect(searchSeatHistory(early, { clockErrorMs: 2 }).kind).toBe('explained')
  expect(searchSeatHistory(early, { clockErrorMs: 1 }).kind).toBe('unexplained')
})

it('breaks off instead of searching for ever', () => {
  const hopeless = Array.from({ length: 40 }, (_, number) => [
    tried({ holdId: 'hold-a', customerId: 'ana' }, number % 2 === 0 ? 'checkout' : 'extend', 10),
    did({ holdId: `hold-${number}`, customerId: 'ben' }, 'hold', [10, 30], 1_000),
  ]).flat()
  expect(searchSeatHistory([did(ana, 'hold', [1, 2], 100), ...hopeless], { steps: 10_000 }).kind).toBe('unknown')
})

it('takes an ordinary history in as many steps as it has operations, however long it is', () => {
  const times = 1_000
  const storms = Array.from({ length: times }, (_, number) => {
    const who = { holdId: `hold-${number}`, customerId: 'somebody' }
    const at = number * 10
    return [did(who, 'hold', [at, at + 2], at + 1_000), did(who, 'release', [at + 5, at + 9])]
  }).flat()
  expect(searchSeatHistory(storms, { steps: 2 * times + 1 })).toEqual({ kind: 'explained' })
})

describe('against a search that tries everything', () => {
  it('says the same of any short history', () => {
    const verdicts = new Map<string, number>()
    fc.assert(
      fc.property(anyHistory, (operations) => {
        const { kind } = searchSeatHistory(operations, exact)
        verdicts.set(kind, (verdicts.get(kind) ?? 0) + 1)
        expect(kind).toBe(isExplained(operations, lastTick) ? 'explained' : 'unexplained')
      }),
      { numRuns: 3_000 },
    )
    // A property that saw only one of the two would hold of a search that always says the same.
    expect(Math.min(verdicts.get('explained') ?? 0, verdicts.get('unexplained') ?? 0)).toBeGreaterThan(300)
  })
})

/** Few ticks and few holds, so that operations meet. */
const lastTick = 8
const kinds = ['hold', 'hold', 'extend', 'release', 'checkout', 'checkout', 'cancel'] as const

const anyHistory = fc.array(
  fc
    .record({
      kind: fc.constantFrom(...kinds),
      holdId: fc.constantFrom('a', 'b', 'c'),
      sentAt: fc.nat(lastTick - 1),
      lasts: fc.nat(3),
      life: fc.integer({ min: 1, max: 5 }),
      isAnswered: fc.integer({ min: 0, max: 3 }).map((number) => number > 0),
    })
    .map(({ kind, holdId, sentAt, lasts, life, isAnswered }): SeatOperation => {
      const isCertain = kind === 'hold' || isAnswered
      return {
        ...{ kind, holdId, customerId: holdId, sentAt, isCertain },
        endedAt: isCertain ? Math.min(lastTick, sentAt + lasts) : Number.POSITIVE_INFINITY,
        until: isCertain && (kind === 'hold' || kind === 'extend') ? sentAt + life : null,
      }
    }),
  { minLength: 1, maxLength: 5 },
)
