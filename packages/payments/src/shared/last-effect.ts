import type { RequestLogEntry } from '@seatbelt/safety'

/** An effect that remembers what it found last, for an owner that then cannot settle it. */
export class LastEffect<Owned, Found> {
  found: Found | null = null
  readonly #ask: (owned: Owned) => Promise<Found>

  constructor(ask: (owned: Owned) => Promise<Found>) {
    this.#ask = ask
  }

  readonly run = async (owned: Owned): Promise<Found> => {
    this.found = await this.#ask(owned)
    return this.found
  }
}

interface Seen {
  readonly kind: string
  readonly outcome?: { readonly state: string }
  readonly requestLog: readonly RequestLogEntry[]
}

/** For a person: what the gateway showed stands in the history, and the fault of ours in the log. */
export function unrecorded(seen: Seen | null) {
  const outcome = seen?.outcome?.state ?? 'the answer'
  const reason = `${outcome} could not be recorded, which the log explains`
  const unknown = { kind: 'unknown', reason, readable: true, isOrphan: false, intentId: null } as const
  return { ...unknown, requestLog: seen?.requestLog ?? [] }
}
