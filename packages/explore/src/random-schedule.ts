import type { FaultKind } from './contract.ts'
import type { Decide } from './run-schedule.ts'

export interface RandomBounds {
  readonly actors: readonly string[]
  /** How often an actor falls behind all others: the depth of PCT, less one. */
  readonly changes: number
  /** Of the longest schedule so far. Changes and the fault come at one of them. */
  readonly steps: number
  /** Every second schedule has one of them. */
  readonly faults: readonly FaultKind[]
}

/**
 * Decides at random by probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010).
 *
 * The actor with the highest priority goes on. At some random steps it falls behind all others. A violation that needs
 * `changes` ordered events is found with a probability of at least 1 / (actors * steps ^ changes).
 */
export function randomDecisions(
  seed: number,
  bounds: RandomBounds,
): { readonly first: string; readonly decide: Decide } {
  const { actors, changes, steps, faults } = bounds
  const random = numbersFrom(seed)
  const stepAtRandom = () => Math.floor(random() * steps)
  const priorities = new Map(actors.map((name) => [name, 1 + random()]))
  const highest = (names: readonly string[]) =>
    names.reduce((best, name) => ((priorities.get(name) ?? 1) > (priorities.get(best) ?? 1) ? name : best))
  const changesAt = Array.from({ length: changes }, stepAtRandom).sort((one, other) => one - other)
  let faultAt = random() < 0.5 ? stepAtRandom() : Number.POSITIVE_INFINITY

  const decide: Decide = ({ at, by, options }) => {
    const names = [by, ...options.flatMap((option) => (option.kind === 'switch' ? option.to : []))]
    for (; changesAt.length > 0 && Number(changesAt[0]) <= at; changesAt.shift())
      priorities.set(highest(names), changesAt.length - changes)
    const possible = options.filter((option) => {
      if (option.kind === 'switch') return option.to === highest(names)
      return option.kind === 'victim' ? random() < 0.5 : at >= faultAt && faults.includes(option.kind)
    })
    const made = possible[Math.floor(random() * possible.length)] ?? null
    if (made && made.kind !== 'switch' && made.kind !== 'victim') faultAt = Number.POSITIVE_INFINITY
    return made
  }
  return { first: highest(actors), decide }
}

/** The same numbers for the same seed, each from 0 to 1: mulberry32. */
export function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
