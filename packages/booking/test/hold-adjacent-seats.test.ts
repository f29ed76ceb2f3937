import { raceCopies, valuesOf } from '@seatbelt/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chooseRun, type Run } from '../src/hold/hold-adjacent-seats.ts'
import { type BoxOffice, brief, holdIn, openBoxOffice, type SoldEvent, type Window } from './box-office.ts'
import { type Counter, counterOf, idOf, letLapse, openStoppable } from './holding.ts'

let office: BoxOffice
let window: Window
let counter: Counter
let slow: Awaited<ReturnType<typeof openStoppable>>
beforeAll(async () => {
  office = await openBoxOffice()
  window = await office.open('api-1')
  counter = counterOf(window)
  slow = await openStoppable(office, 'slow')
})
afterAll(async () => {
  await office.closeReplicas('')
  await slow.proxy.close()
  await office.close()
})

/** Row and number of each seat, as a ticket says it. */
async function placesOf(seatIds: readonly string[]): Promise<string[]> {
  const rows = await office.sql<{ place: string }>(
    `SELECT row_name || number AS place FROM seats WHERE id = ANY ($1) ORDER BY row_position, number`,
    [seatIds],
  )
  return rows.map(({ place }) => place)
}

async function heldBy(holding: ReturnType<Counter['adjacent']>): Promise<string[]> {
  return placesOf(holdIn(await holding).seatIds)
}

const ada = { customerId: 'ada' }
const ben = { customerId: 'ben' }

describe('seats side by side', () => {
  it('are the nearest to the middle of the front row', async () => {
    const event = await office.newEvent({
      rows: [
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5, 6],
      ],
    })
    expect(await heldBy(counter.adjacent(event, 2))).toEqual(['A3', 'A4'])
    expect(await heldBy(counter.adjacent(event, 2))).toEqual(['A1', 'A2'])
    expect(await heldBy(counter.adjacent(event, 4))).toEqual(['B2', 'B3', 'B4', 'B5'])
  })

  it('are never on both sides of a missing chair, nor in two rows', async () => {
    const event = await office.newEvent({
      rows: [
        [1, 2, 4, 5],
        [1, 2, 3],
      ],
    })
    expect(await heldBy(counter.adjacent(event, 3))).toEqual(['B1', 'B2', 'B3'])
    expect(await counter.adjacent(event, 3)).toMatchObject({
      refusal: { code: 'no-adjacent-seats', sectionId: event.sectionId, quantity: 3 },
    })
  })

  it('are none of those for wheelchairs', async () => {
    const event = await office.newEvent({ rows: [[1, 2, 3, 4]] })
    await office.sql('UPDATE seats SET accessible = true WHERE section_id = $1 AND number = 2', [event.sectionId])
    expect(await heldBy(counter.adjacent(event, 2))).toEqual(['A3', 'A4'])
    expect(brief(await counter.adjacent(event, 1))).toBe('answered 201')
    expect(brief(await counter.adjacent(event, 1))).toBe('refused no-adjacent-seats')
  })

  it('may be seats whose claims lapsed', async () => {
    const event = await office.newEvent({ rows: [[1, 2, 3]] })
    await letLapse(office, idOf(await counter.seats(event, event.seatIds.slice(1, 2), ada)))
    expect(await heldBy(counter.adjacent(event, 3, ben))).toEqual(['A1', 'A2', 'A3'])
  })
})

describe('a request that finds the chosen seats taken', () => {
  it('chooses anew', async () => {
    const event = await office.newEvent({ rows: [[1, 2, 3, 4]] })
    const beforeClaim = slow.stop('INSERT INTO seat_claims')
    const holding = slow.counter.adjacent(event, 2, ada)
    await beforeClaim.reached()
    // The middle, which the other one has chosen as well: now no two are left side by side.
    expect(await heldBy(counter.adjacent(event, 1, ben))).toEqual(['A2'])
    beforeClaim.pass()
    expect(await heldBy(holding)).toEqual(['A3', 'A4'])
  })

  it('holds other seats in a crowd, as long as there are enough', async () => {
    const row = Array.from({ length: 20 }, (_, at) => at + 1)
    const event = await office.newEvent({ rows: [row, row, row, row] })
    const results = valuesOf(
      await raceCopies(12, (copy) => counter.adjacent(event, 2, { customerId: `customer-${copy}` })),
    )
    const seats = results.flatMap((result) => holdIn(result).seatIds)
    expect(new Set(seats).size).toBe(24)
  })
})

/**
 * The rule in plain words: every run of free seats of that length, the best by row, then by distance from the row's
 * middle.
 */
function bestRun(rows: readonly TestRow[], quantity: number): string[] | null {
  const runs = rows.flatMap(({ numbers, taken }, row) => {
    const [first = 0, last = 0] = [numbers[0], numbers.at(-1)]
    return numbers
      .map((start) => Array.from({ length: quantity }, (_, at) => start + at))
      .filter((run) => run.every((number) => numbers.includes(number) && !taken.includes(number)))
      .map((run) => ({ row, run, off: Math.abs((run[0] ?? 0) + (run.at(-1) ?? 0) - first - last) }))
  })
  const [best] = runs.sort((a, b) => a.row - b.row || a.off - b.off || (a.run[0] ?? 0) - (b.run[0] ?? 0))
  return best ? best.run.map((number) => `${String.fromCharCode(65 + best.row)}${number}`) : null
}

interface TestRow {
  readonly numbers: readonly number[]
  readonly taken: readonly number[]
}

describe('the choice', () => {
  it('is the best run, for every plan of seats and whatever is taken', async () => {
    const row = fc
      .uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1 })
      .map((numbers) => numbers.sort((a, b) => a - b))
      .chain((numbers) => fc.record({ numbers: fc.constant(numbers), taken: fc.subarray(numbers) }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        async (rows, quantity) => {
          const event = await office.newEvent({ rows: rows.map(({ numbers }) => numbers), capacity: null })
          await takeAll(event, rows)
          const { sectionId } = event
          const [run] = await window.replica.database.query<Run>(
            chooseRun({ sectionId, quantity, amongBest: 1, random: 0.5, recent: null }),
          )
          expect(run ? await placesOf(run.seatIds) : null).toEqual(bestRun(rows, quantity))
        },
      ),
      { numRuns: 60 },
    )
  })
})

async function takeAll(event: SoldEvent, rows: readonly TestRow[]): Promise<void> {
  const taken = rows.flatMap(({ numbers, taken }) => numbers.map((number) => taken.includes(number)))
  const seatIds = event.seatIds.filter((_, at) => taken[at])
  for (let at = 0; at < seatIds.length; at += 10) {
    expect(brief(await counter.seats(event, seatIds.slice(at, at + 10)))).toBe('answered 201')
  }
}
