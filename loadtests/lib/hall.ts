/**
 * A concert hall, small or large, as `POST /v1/events` takes it: stalls and balconies of three blocks each, whose rows get longer
 * towards the back, boxes at the sides, and standing places. Plain data and no import: k6 reads it here, and so does the lab.
 *
 * What makes it a hall and not `seat-1 .. seat-n`: seat numbers run across a row through all its blocks; no row is called I or O, which
 * a ticket holder takes for 1 and 0; pillars carry the balcony above, a mixing desk stands where the sound is best, and where a
 * chair is missing so is its number. A wheelchair takes the width of two chairs; beside it sits whoever came along.
 */
export interface Hall {
  readonly sections: readonly HallSection[]
  readonly tiers: readonly HallTier[]
}

export interface HallSection {
  readonly name: string
  readonly priceMinor: number
  /** From the stage backwards. */
  readonly rows: readonly HallRow[]
}

export interface HallRow {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly missing: readonly number[]
  readonly accessible: readonly number[]
}

export interface HallTier {
  readonly name: string
  readonly priceMinor: number
  readonly capacity: number
}

export interface HallSize {
  /** Exactly so many chairs, at least 100. Upstairs the last rows are as short as that takes. */
  readonly seats: number
  /** Standing places; 0: there are none. */
  readonly places: number
}

/** The same size is the same hall, chair by chair. @throws where it would have no room for its parts. */
export function buildHall({ seats, places }: HallSize): Hall {
  if (seats < fewestSeats) throw new Error(`a hall has at least ${fewestSeats} seats, not ${seats}`)
  let rows = 1
  while (countSeats(sectionsOf(rows, seats)) < seats) rows += 1
  return {
    sections: withoutLast(sectionsOf(rows, seats), seats),
    tiers: places === 0 ? [] : [{ name: 'Standing', priceMinor: 2_900, capacity: places }],
  }
}

export function countSeats(sections: readonly HallSection[]): number {
  return sum(sections.flatMap(({ rows }) => rows.map(chairsIn)))
}

const fewestSeats = 100

/** One more balcony for each of these sizes that a hall exceeds: nobody sits a hundred rows from the stage. */
const balconiesFrom = [0, 1_500, 5_000, 20_000, 40_000, 60_000]
const ordinals = ['First', 'Second', 'Third', 'Fourth', 'Fifth', 'Sixth']

/** In cents. The further up, the less, but never nothing. */
const stallsPrices: Prices = { centre: 9_900, sides: 7_900 }
const balconyPrices = (storey: number): Prices => ({
  centre: Math.max(1_900, 6_900 - 2_000 * storey),
  sides: Math.max(1_500, 5_900 - 2_000 * storey),
})
const boxPrice = 8_900
const chairsInABox = 6

interface Prices {
  readonly centre: number
  readonly sides: number
}

/** `rows` is how many the stalls have; all else follows from it, and how many balconies there are from the size. */
function sectionsOf(rows: number, seats: number): HallSection[] {
  const balconies = balconiesFrom.filter((from) => seats > from).map((_, storey) => storey)
  // Not all at the same step: what one step adds can be taken away again upstairs.
  const [more, moreUpstairs] = [third(rows), third(rows + 1)]
  return [
    ...level({ rows, side: 3 + more, centre: 6 + more, name: 'Stalls', prices: stallsPrices, upstairs: false }),
    ...['Left', 'Right'].map((side) => boxes(side, 1 + third(rows + 2))),
    ...balconies.flatMap((storey) =>
      level({
        ...{ rows: 2 + moreUpstairs, side: 5 + 2 * moreUpstairs, centre: 8 + 2 * moreUpstairs, upstairs: true },
        ...{ name: `${ordinals[storey]} Balcony`, prices: balconyPrices(storey) },
      }),
    ),
  ]
}

interface Level {
  readonly name: string
  readonly prices: Prices
  readonly rows: number
  /** Chairs in the first row of the blocks at the sides, and of the one between them. */
  readonly side: number
  readonly centre: number
  readonly upstairs: boolean
}

/** Three blocks that share their rows: the centre gets a chair more with every second row, the sides with every third. */
function level({ name, prices, rows, side, centre, upstairs }: Level): HallSection[] {
  const all = range(rows).map((index) => {
    const [atSide, between] = [side + third(index), centre + Math.floor(index / 2)]
    const [isLast, isPillar] = [index === rows - 1, index === rows - 2]
    const place = { isLast, isPillar, isDesk: !upstairs && isDeskRow(index, rows), upstairs }
    const starts = [1, 1 + atSide, 1 + atSide + between]
    return {
      left: sideRow(rowName(index), starts[0] ?? 0, atSide, { ...place, aisle: 'right' }),
      centre: centreRow(rowName(index), starts[1] ?? 0, between, place),
      right: sideRow(rowName(index), starts[2] ?? 0, atSide, { ...place, aisle: 'left' }),
    }
  })
  return [
    { name: `${name} Left`, priceMinor: prices.sides, rows: all.map(({ left }) => left) },
    { name: `${name} Centre`, priceMinor: prices.centre, rows: all.map((row) => row.centre) },
    { name: `${name} Right`, priceMinor: prices.sides, rows: all.map(({ right }) => right) },
  ]
}

interface RowPlace {
  readonly isLast: boolean
  readonly isPillar: boolean
  readonly isDesk: boolean
  readonly upstairs: boolean
}

/** Under what is above stands a pillar; behind it, downstairs, a place for a wheelchair and a companion at the aisle. */
function sideRow(
  name: string,
  from: number,
  chairs: number,
  { isLast, isPillar, upstairs, aisle }: RowPlace & { readonly aisle: 'left' | 'right' },
): HallRow {
  const to = from + chairs - 1
  if (isPillar) return { name, from, to, missing: [from + Math.floor(chairs / 2)], accessible: [] }
  if (!isLast || upstairs) return { name, from, to, missing: [], accessible: [] }
  const first = aisle === 'right' ? to - 2 : from
  return { name, from, to, missing: [first + 1], accessible: [first, first + 2] }
}

/** The mixing desk takes the middle half of its rows. */
function centreRow(name: string, from: number, chairs: number, { isDesk }: RowPlace): HallRow {
  const quarter = Math.floor(chairs / 4)
  const missing = isDesk ? range(chairs - 2 * quarter).map((index) => from + quarter + index) : []
  return { name, from, to: from + chairs - 1, missing, accessible: [] }
}

/** Two rows at two thirds of the way back, in halls that are long enough to need a desk. */
function isDeskRow(index: number, rows: number): boolean {
  const first = Math.floor((rows * 2) / 3)
  return rows >= 9 && (index === first || index === first + 1)
}

/** Each box is a row of its own, with numbers of its own. */
function boxes(side: string, count: number): HallSection {
  const rows = range(count).map((index) => ({
    ...{ name: `Box ${index + 1}`, from: 1, to: chairsInABox, missing: [], accessible: [] },
  }))
  return { name: `Boxes ${side}`, priceMinor: boxPrice, rows }
}

/** A to Z without I and O, then AA to ZZ, then AAA. */
function rowName(index: number): string {
  const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ'
  return letters.charAt(index % letters.length).repeat(1 + Math.floor(index / letters.length))
}

/** Takes the chairs that are too many away from the back, upstairs, where a block then has at most one row more than its neighbour. */
function withoutLast(sections: readonly HallSection[], seats: number): HallSection[] {
  const kept = [...sections]
  for (let tooMany = countSeats(kept) - seats; tooMany > 0; tooMany = countSeats(kept) - seats) {
    const index = deepestBlockUpstairs(kept)
    const { rows, ...section } = kept[index] as HallSection
    const last = rows[rows.length - 1] as HallRow
    const stay = chairsIn(last) - tooMany
    kept[index] = { ...section, rows: [...rows.slice(0, -1), ...(stay > 0 ? [shortened(last, stay)] : [])] }
  }
  return kept
}

function deepestBlockUpstairs(sections: readonly HallSection[]): number {
  const depths = sections.map(({ name, rows }) => (/^(Stalls|Boxes)/.test(name) ? 0 : rows.length))
  return depths.lastIndexOf(Math.max(...depths))
}

/** The row with its first so many chairs. */
function shortened(row: HallRow, chairs: number): HallRow {
  const numbers = range(row.to - row.from + 1).map((index) => row.from + index)
  const to = numbers.filter((number) => !row.missing.includes(number))[chairs - 1] ?? row.from
  const within = (number: number) => number <= to
  return { ...row, to, missing: row.missing.filter(within), accessible: row.accessible.filter(within) }
}

function chairsIn({ from, to, missing }: HallRow): number {
  return to - from + 1 - missing.length
}

function third(number: number): number {
  return Math.floor(number / 3)
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
