import type { SeatChange, SeatEvent } from './seat-change.ts'

/** The field of an entry, and its value where changes were lost before it. */
export const entryField = 'change'
export const lossEntry = 'lost'

/** A position as Redis writes it. Each part has at most fifteen digits, which a number can hold. */
const position = /^(\d{1,15})-(\d{1,15})$/

export function isPosition(text: string): boolean {
  return position.test(text)
}

/** Negative, zero or positive, as for sorting. */
export function comparePositions(one: string, other: string): number {
  const [oneMs = 0, oneSequence = 0] = one.split('-').map(Number)
  const [otherMs = 0, otherSequence = 0] = other.split('-').map(Number)
  return oneMs - otherMs || oneSequence - otherSequence
}

/** The event stands in the key. */
export function writeEntry({ eventId: _, ...change }: SeatChange): string {
  return JSON.stringify(change)
}

/** An entry that cannot be read was written by another version, so a follower must read the map. */
export function readEntry(eventId: string, id: string, fields: readonly string[]): SeatEvent {
  const text = fields[fields.indexOf(entryField) + 1] ?? lossEntry
  if (text === lossEntry) return { kind: 'reset', id }
  try {
    return { kind: 'change', id, change: { ...JSON.parse(text), eventId } }
  } catch {
    return { kind: 'reset', id }
  }
}
