/** Things in the order in which they were made, found by id, listed newest first as all of Stripe's lists are. */
export interface Shelf<T extends Shelved> {
  readonly size: number
  /** Adds it, or puts it in the place of what has its id. */
  put(thing: T): void
  find(id: string): T | undefined
  at(position: number): T | undefined
  /** Takes time by the length of the page (and by the logarithm of the shelf), not by the length of the shelf. */
  page(page: Page): { readonly things: readonly T[]; readonly hasMore: boolean }
}

export interface Shelved {
  readonly id: string
  /** Never earlier than that of what was put before it. */
  readonly createdAt: string
}

export interface Page {
  readonly limit: number
  /** The id behind which the page begins. */
  readonly startingAfter: string | null
  readonly createdFromMs: number
  readonly createdToMs: number
  /** Only what stands in this group. */
  readonly group: string | null
}

/** `groupsOf` names the groups that a thing will always be in. */
export function createShelf<T extends Shelved>(groupsOf: (thing: T) => readonly string[] = () => []): Shelf<T> {
  const things: T[] = []
  const positions = new Map<string, number>()
  const groups = new Map<string, number[]>()

  function add(thing: T): void {
    const position = things.push(thing) - 1
    positions.set(thing.id, position)
    for (const name of groupsOf(thing)) {
      const group = groups.get(name)
      if (group) group.push(position)
      else groups.set(name, [position])
    }
  }

  return {
    get size() {
      return things.length
    },
    put(thing) {
      const position = positions.get(thing.id)
      if (position === undefined) add(thing)
      else things[position] = thing
    },
    find(id) {
      const position = positions.get(id)
      return position === undefined ? undefined : things[position]
    },
    at: (position) => things[position],
    page({ limit, startingAfter, createdFromMs, createdToMs, group }) {
      const members = group === null ? null : (groups.get(group) ?? [])
      const count = members ? members.length : things.length
      const positionOf = (index: number) => (members ? (members[index] ?? 0) : index)
      const createdMs = (index: number) => Date.parse(things[positionOf(index)]?.createdAt ?? '')
      const behind = startingAfter === null ? things.length : (positions.get(startingAfter) ?? 0)
      const end = Math.min(
        firstWhere(count, (index) => positionOf(index) >= behind),
        firstWhere(count, (index) => createdMs(index) >= createdToMs),
      )
      const found: T[] = []
      for (let index = end - 1; index >= 0 && found.length <= limit && createdMs(index) >= createdFromMs; index -= 1) {
        const thing = things[positionOf(index)]
        if (thing) found.push(thing)
      }
      return { things: found.slice(0, limit), hasMore: found.length > limit }
    },
  }
}

/** The lowest index below `count` for which it is true, or `count`. True once means true for all that follow. */
function firstWhere(count: number, isTrue: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isTrue(middle)) high = middle
    else low = middle + 1
  }
  return low
}
