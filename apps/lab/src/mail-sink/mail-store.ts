import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** One message as it came over the wire. A copy of one is one more. */
export interface KeptMail {
  /** Counts from 1, in the order of arrival. */
  readonly number: number
  readonly arrivedAt: string
  /** With its angle brackets; null where there was none. */
  readonly messageId: string | null
  readonly sender: string
  readonly recipients: readonly string[]
  readonly subject: string | null
  /** Of the whole message, headers included. */
  readonly bytes: number
  /** What happened after it was kept, where something was told to happen: the sender did not hear that it was. */
  readonly fault: string | null
}

export interface MailPage {
  readonly items: readonly KeptMail[]
  /** The `after` of the following page; null: this is all there is so far. */
  readonly next: number | null
  /** The number of the oldest message that is still held. Greater than `after + 1`: some were missed. */
  readonly oldest: number
}

export interface MailStore {
  keep(mail: Omit<KeptMail, 'number' | 'arrivedAt'>): KeptMail
  /** Messages after this number, the oldest first. */
  read(after: number, limit: number): MailPage
  readonly count: number
}

/** A message takes some 500 bytes here: 50 MB at most. The demo sends a few thousand. */
const defaultLimit = 100_000

/**
 * Holds what arrived. Written to the file before the sender is told anything, so that it can testify also after it was killed;
 * read from memory, where the oldest go when there are too many.
 */
export function createMailStore(file: string, limit = defaultLimit): MailStore {
  mkdirSync(dirname(file), { recursive: true })
  const held = readKept(file).slice(-limit)
  let count = held.at(-1)?.number ?? 0
  return {
    keep(mail) {
      const kept = { number: count + 1, arrivedAt: new Date().toISOString(), ...mail }
      appendFileSync(file, `${JSON.stringify(kept)}\n`)
      count = kept.number
      held.push(kept)
      if (held.length > limit) held.shift()
      return kept
    },
    read(after, pageSize) {
      const oldest = held[0]?.number ?? count + 1
      const start = Math.max(0, after + 1 - oldest)
      const items = held.slice(start, start + pageSize)
      const last = items.at(-1)?.number ?? after
      return { items, next: last < count ? last : null, oldest }
    },
    get count() {
      return count
    },
  }
}

/** What an earlier process kept. A last line without its end was never confirmed to anybody, and is cut off. */
function readKept(file: string): KeptMail[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  if (whole.length < text.length) writeFileSync(file, whole)
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as KeptMail)
}
