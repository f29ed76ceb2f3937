import type { SeatChange } from './seat-change.ts'
import type { SeatNews } from './seat-change-log.ts'

/** The field of an entry, and what it says where changes were lost before it. */
export const entryField = 'change'
export const lossEntry = 'lost'

/** A position as Redis has it, of at most fifteen digits each, which numbers can hold. */
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

/** What cannot be read was written by another version: somebody who follows must not take it for nothing. */
export function readEntry(eventId: string, id: string, fields: readonly string[]): SeatNews {
  const text = fields[fields.indexOf(entryField) + 1] ?? lossEntry
  if (text === lossEntry) return { kind: 'reset', id }
  try {
    return { kind: 'change', id, change: { ...JSON.parse(text), eventId } }
  } catch {
    return { kind: 'reset', id }
  }
}
