import type { ShownStep } from './shown-steps.ts'

/** A step of a schedule that stands beside another schedule. Equal steps of the two have equal rows. */
export interface AlignedStep extends ShownStep {
  readonly row: number
  /** The other schedule has no equal step. */
  readonly isOwn: boolean
}

export interface Alignment {
  readonly sides: readonly [AlignedStep[], AlignedStep[]]
  /** An empty row, right above the first difference. Null: there is none. */
  readonly partsAt: number | null
}

/** Steps with equal keys are equal. In between, the steps that only one side has stand beside each other. */
export function alignSteps(
  ours: readonly ShownStep[],
  theirs: readonly ShownStep[],
  keyOf: (step: ShownStep) => string,
): Alignment {
  const [left, right]: [AlignedStep[], AlignedStep[]] = [[], []]
  let partsAt: number | null = null
  for (let row = 0; left.length < ours.length || right.length < theirs.length; row += 1) {
    const [our, their] = nextEqual(ours.map(keyOf), theirs.map(keyOf), left.length, right.length)
    const own = Math.max(our - left.length, their - right.length)
    const [one, other] = [ours[our], theirs[their]]
    if (partsAt === null && (own > 0 || one?.answer !== other?.answer || one?.outcome !== other?.outcome))
      partsAt = row++
    left.push(...ours.slice(left.length, our).map((step, nth) => ({ ...step, row: row + nth, isOwn: true })))
    right.push(...theirs.slice(right.length, their).map((step, nth) => ({ ...step, row: row + nth, isOwn: true })))
    row += own
    if (one) left.push({ ...one, row, isOwn: false })
    if (other) right.push({ ...other, row, isOwn: false })
  }
  return { sides: [left, right], partsAt }
}

/** The places of the next equal keys, with as few as possible left out. The ends of both: there are none. */
function nextEqual(ours: readonly string[], theirs: readonly string[], our: number, their: number): [number, number] {
  const left = [ours.length - our, theirs.length - their] as const
  for (let skipped = 0; skipped < left[0] + left[1]; skipped += 1)
    for (let ofOurs = Math.min(skipped, left[0] - 1); ofOurs >= 0; ofOurs -= 1)
      if (ours[our + ofOurs] === theirs[their + skipped - ofOurs]) return [our + ofOurs, their + skipped - ofOurs]
  return [ours.length, theirs.length]
}
