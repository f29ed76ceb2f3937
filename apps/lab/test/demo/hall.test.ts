import { describe, expect, it } from 'vitest'
import { buildHall, countSeats, type HallRow } from '../../../../loadtests/lib/hall.ts'

describe.each([100, 137, 400, 1_000, 10_000, 100_000])('a hall of %i seats', (seats) => {
  const { sections, tiers } = buildHall({ seats, places: 200 })
  const rows = sections.flatMap((section) => section.rows)

  it('has exactly so many, and its standing places', () => {
    expect(countSeats(sections)).toBe(seats)
    expect(tiers).toEqual([expect.objectContaining({ capacity: 200 })])
  })

  it('has no row without a chair, and none that lacks or marks a chair outside of itself', () => {
    for (const row of rows) {
      expect(countSeats([{ name: '', priceMinor: 1, rows: [row] }])).toBeGreaterThan(0)
      for (const number of [...row.missing, ...row.accessible]) {
        expect(number).toBeGreaterThanOrEqual(row.from)
        expect(number).toBeLessThanOrEqual(row.to)
      }
      expect(row.missing.filter((number) => row.accessible.includes(number))).toEqual([])
    }
  })

  it('calls no two sections the same, and no two rows of one section', () => {
    expect(new Set(sections.map(({ name }) => name)).size).toBe(sections.length)
    for (const section of sections) expect(new Set(section.rows.map(({ name }) => name)).size).toBe(section.rows.length)
  })

  it('has no row I and no row O, and prices that differ', () => {
    expect(rows.filter(({ name }) => /[IO]/.test(name))).toEqual([])
    expect(new Set(sections.map(({ priceMinor }) => priceMinor)).size).toBeGreaterThanOrEqual(3)
  })

  it('has places for wheelchairs, each with room beside it and a companion', () => {
    const accessible = rows.filter((row) => row.accessible.length > 0)
    expect(accessible).toHaveLength(2)
    for (const { accessible: places, missing } of accessible) {
      expect((places[1] ?? 0) - (places[0] ?? 0)).toBe(2)
      expect(missing).toContain((places[0] ?? 0) + 1)
    }
  })
})

it('of any size has exactly so many seats', () => {
  const sizes = Array.from({ length: 600 }, (_, index) => 100 + 5 * index)
  const wrong = sizes.filter((seats) => countSeats(buildHall({ seats, places: 0 }).sections) !== seats)
  expect(wrong).toEqual([])
})

it('rows get longer towards the back, and numbers run on from block to block', () => {
  const { sections } = buildHall({ seats: 600, places: 0 })
  const [left, centre, right] = ['Left', 'Centre', 'Right'].map(
    (side) => sections.find(({ name }) => name === `Stalls ${side}`)?.rows ?? [],
  )
  const widths = centre?.map(({ from, to }) => to - from + 1) ?? []
  expect(widths).toEqual([...widths].sort((one, other) => one - other))
  expect(widths.at(-1)).toBeGreaterThan(widths[0] ?? 0)
  const follows = (rows: readonly HallRow[] = [], others: readonly HallRow[] = []) =>
    rows.every(({ to }, index) => others[index]?.from === to + 1)
  expect([follows(left, centre), follows(centre, right)]).toEqual([true, true])
})

it('a mixing desk and pillars take chairs away', () => {
  const { sections } = buildHall({ seats: 1_000, places: 0 })
  const missingIn = (block: string) =>
    sections.find(({ name }) => name === block)?.rows.flatMap(({ name, missing }) => (missing.length > 0 ? [name] : []))
  expect(missingIn('Stalls Centre')).toEqual(['M', 'N'])
  // The last row's is the room beside a wheelchair.
  expect(missingIn('Stalls Left')).toEqual(['R', 'S'])
})

it('the same size is the same hall', () => {
  expect(buildHall({ seats: 700, places: 10 })).toEqual(buildHall({ seats: 700, places: 10 }))
})

it('one that is too small for its parts is refused', () => {
  expect(() => buildHall({ seats: 99, places: 0 })).toThrow('at least 100 seats')
})
