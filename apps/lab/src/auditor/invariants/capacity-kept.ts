import type { Evidence } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'
import type { SectionSeen, TierRow, TierSeen } from '../seat-evidence.ts'

/**
 * At the end the counters are what the rows say, and at every look in between they were within bounds. Both, because a counter
 * that two writers overwrote is within bounds and wrong, and one that was wrong for a second sold something in it.
 */
export const capacityKept: Invariant = {
  id: 'I5',
  claim:
    'at every look, sold and held together never exceeded the capacity and neither was below zero, and the counters say what the rows do',
  check: ({ seats: { books } }) => {
    const { tiers, sections, seen } = books
    const looks = [...(seen?.tiers ?? []), ...(seen?.sections ?? [])].reduce((sum, { samples }) => sum + samples, 0)
    const violations = [
      ...tiers.flatMap(countersFaults),
      ...(seen?.tiers ?? []).flatMap(faultsSeen),
      ...[...sections, ...(seen?.sections ?? []).map(asFullest)].flatMap(({ id, seats, claims }) =>
        claims > seats ? [{ subject: id, what: `${claims} claims of its ${seats} seats` }] : [],
      ),
    ]
    const checked = tiers.length + sections.length + looks
    // What was only looked at when it was over could have been anything before.
    return checked > 0 && looks === 0
      ? { checked, violations, blindBecause: 'nobody looked meanwhile' }
      : { checked, violations }
  },
}

function countersFaults({ id: subject, capacity, sold, held, soldByRows, heldByRows }: TierRow): Violation[] {
  const faults = [
    ...(sold < 0 || held < 0 || sold + held > capacity ? [`${sold} sold and ${held} held of ${capacity}`] : []),
    ...(sold === soldByRows ? [] : [`says ${sold} sold, its bookings ${soldByRows}`]),
    ...(held === heldByRows ? [] : [`says ${held} held, its holds ${heldByRows}`]),
    ...(soldByRows + heldByRows > capacity ? [`${soldByRows + heldByRows} given away of ${capacity}`] : []),
  ]
  return faults.length === 0 ? [] : [{ subject, what: faults.join('; ') }]
}

function faultsSeen({ id: subject, capacity, leastSold, leastHeld, fullest }: TierSeen): Violation[] {
  const { sold, held, at } = fullest
  const faults = [
    ...(sold + held > capacity ? [`${sold} sold and ${held} held of ${capacity} at ${at.toISOString()}`] : []),
    ...(leastSold < 0 ? [`once ${leastSold} sold`] : []),
    ...(leastHeld < 0 ? [`once ${leastHeld} held`] : []),
  ]
  return faults.length === 0 ? [] : [{ subject, what: faults.join('; ') }]
}

function asFullest({ id, seats, mostClaims }: SectionSeen) {
  return { id, seats, claims: mostClaims }
}

/** Places and seats that were given away beyond what there is, at the worst moment that anybody saw. */
export function oversold({ seats: { books } }: Pick<Evidence, 'seats'>): number {
  const excess = new Map<string, number>()
  const note = (id: string, taken: number, capacity: number) =>
    excess.set(id, Math.max(excess.get(id) ?? 0, taken - capacity))
  for (const { id, sold, held, soldByRows, heldByRows, capacity } of books.tiers) {
    note(id, Math.max(sold + held, soldByRows + heldByRows), capacity)
  }
  for (const { id, fullest, capacity } of books.seen?.tiers ?? []) note(id, fullest.sold + fullest.held, capacity)
  for (const { id, claims, seats } of books.sections) note(id, claims, seats)
  for (const { id, mostClaims, seats } of books.seen?.sections ?? []) note(id, mostClaims, seats)
  return [...excess.values()].reduce((sum, number) => sum + number, 0)
}
