import { type Fact, type FactDraft, isLedgerEntry, type KeyRecorded, type LedgerEntry } from './facts.ts'
import { ledgerCorrupt, openLedgerFile } from './ledger-file.ts'
import { intentAfter, type PaymentIntent } from './payment-intent.ts'

/** What the simulator knows: the ledger on disk, and the same in memory. */
export interface Books {
  /** Writes the facts to disk, then believes them. All or none; throws when the disk refuses. */
  commit(drafts: readonly FactDraft[]): void
  findIntent(id: string): PaymentIntent | undefined
  /** Newest first, beginning behind `startingAfter`. `hasMore` tells whether another intent of the kind follows. */
  listIntents(page: ListPage): { readonly intents: readonly PaymentIntent[]; readonly hasMore: boolean }
  findRecordedKey(key: string): KeyRecorded | undefined
  /** The entries after a sequence number, oldest first. */
  entriesAfter(seq: number, limit: number): { readonly entries: readonly LedgerEntry[]; readonly hasMore: boolean }
  tallyOfOrder(orderId: string): OrderTally
  /** No room for another fact. The simulator then refuses to work: a witness must not forget in order to go on. */
  isFull(): boolean
  close(): void
}

export interface ListPage {
  readonly limit: number
  readonly startingAfter: string | null
  readonly createdFromMs: number
  readonly createdToMs: number
}

export interface OrderTally {
  readonly captured: readonly CapturedCharge[]
  readonly intents: number
  readonly declined: number
}

export interface CapturedCharge {
  readonly chargeId: string | null
  readonly intentId: string
  readonly amountMinor: number
  readonly currency: string
  readonly at: string
}

export interface BooksOptions {
  readonly ledgerFile: string
  readonly keyTtlMs: number
  readonly now: () => Date
  /** See `defaultMaxFacts`. */
  readonly maxFacts: number
}

/**
 * Ledger entries and recorded keys that memory may hold. A payment costs four (created, captured, two keys) and, as
 * measured, 4 KB of heap: this is 100,000 payments in 400 MB, fifty demos.
 */
export const defaultMaxFacts = 400_000

export function openBooks(options: BooksOptions): Books {
  const intents: PaymentIntent[] = []
  const positions = new Map<string, number>()
  const entries: LedgerEntry[] = []
  const tallies = new Map<string, { captured: CapturedCharge[]; intents: number; declined: number }>()
  const keys = new Map<string, KeyRecorded>()

  const file = openLedgerFile(options.ledgerFile, believe)
  forgetExpiredKeys()

  function believe(fact: Fact): void {
    if (fact.type === 'key.recorded') {
      // Deleted first, so that the map stays in the order of time, which `forgetExpiredKeys` needs.
      keys.delete(fact.key)
      keys.set(fact.key, fact)
    } else if (fact.type === 'keys.forgotten') {
      keys.clear()
    } else if (isLedgerEntry(fact)) {
      if (fact.seq !== entries.length + 1) throw ledgerCorrupt(`entry ${fact.seq} follows entry ${entries.length}`)
      entries.push(fact)
      changeIntent(fact)
      count(fact)
    } else if (fact.type === 'intent.requires_action') {
      changeIntent(fact)
    } else {
      throw ledgerCorrupt(`unknown fact ${JSON.stringify(fact satisfies never)}`)
    }
  }

  function changeIntent(fact: Parameters<typeof intentAfter>[1]): void {
    const position = positions.get(fact.intentId) ?? intents.length
    intents[position] = intentAfter(intents[position], fact)
    positions.set(fact.intentId, position)
  }

  function count(entry: LedgerEntry): void {
    const orderId = entry.metadata.orderId
    if (orderId === undefined) return
    const tally = tallies.get(orderId) ?? { captured: [], intents: 0, declined: 0 }
    tallies.set(orderId, tally)
    if (entry.type === 'intent.created') tally.intents += 1
    if (entry.type === 'charge.declined') tally.declined += 1
    if (entry.type === 'charge.captured') {
      const { chargeId, intentId, amountMinor, currency, at } = entry
      tally.captured.push({ chargeId, intentId, amountMinor, currency, at })
    }
  }

  function isExpired(key: KeyRecorded): boolean {
    return options.now().getTime() - Date.parse(key.at) >= options.keyTtlMs
  }

  /** Oldest first, so that it stops at the first that is still good. */
  function forgetExpiredKeys(): void {
    for (const [name, key] of keys) {
      if (!isExpired(key)) return
      keys.delete(name)
    }
  }

  return {
    commit(drafts) {
      let seq = entries.length
      const facts = drafts.map((draft): Fact => {
        if (!isLedgerEntry(draft)) return draft
        seq += 1
        return { seq, ...draft }
      })
      if (facts.length === 0) return
      file.append(facts)
      for (const fact of facts) believe(fact)
      forgetExpiredKeys()
    },

    findIntent(id) {
      const position = positions.get(id)
      return position === undefined ? undefined : intents[position]
    },

    listIntents({ limit, startingAfter, createdFromMs, createdToMs }) {
      const found: PaymentIntent[] = []
      const start = startingAfter === null ? intents.length : (positions.get(startingAfter) ?? 0)
      for (let position = start - 1; position >= 0 && found.length <= limit; position -= 1) {
        const intent = intents[position]
        if (!intent) break
        const createdMs = Date.parse(intent.createdAt)
        if (createdMs >= createdFromMs && createdMs < createdToMs) found.push(intent)
      }
      return { intents: found.slice(0, limit), hasMore: found.length > limit }
    },

    findRecordedKey(key) {
      const recorded = keys.get(key)
      return recorded && !isExpired(recorded) ? recorded : undefined
    },

    entriesAfter(seq, limit) {
      // Entry n stands at index n - 1: `believe` saw to it.
      return { entries: entries.slice(seq, seq + limit), hasMore: entries.length > seq + limit }
    },

    tallyOfOrder: (orderId) => tallies.get(orderId) ?? { captured: [], intents: 0, declined: 0 },
    isFull: () => entries.length + keys.size >= options.maxFacts,
    close: () => file.close(),
  }
}
