/**
 * What the simulator writes down. Everything that it knows is a fold over these facts, so that a restarted simulator
 * knows exactly what the killed one knew.
 */
export type Fact = LedgerEntry | AuthenticationAsked | KeyRecorded | KeysForgotten

/** What happened to money, or could have. These have a sequence number and are what `/_ledger` shows. */
export interface LedgerEntry {
  /** 1, 2, 3 ... without a gap. */
  readonly seq: number
  /** ISO 8601, UTC. */
  readonly at: string
  readonly type: LedgerEntryType
  readonly intentId: string
  readonly chargeId: string | null
  readonly amountMinor: number
  /** Upper case, unlike on Stripe's wire. */
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>>
  readonly idempotencyKey: string | null
  readonly requestId: string
  readonly paymentMethod: string | null
  /** Of a declined charge: what the 402 said. */
  readonly error: CardError | null
  readonly cancellationReason: string | null
}

const ledgerEntryTypes = [
  'intent.created',
  'charge.captured',
  'intent.canceled',
  'charge.declined',
  'refund.created',
] as const

export type LedgerEntryType = (typeof ledgerEntryTypes)[number]

export interface CardError {
  readonly code: string
  /** Null where Stripe's documentation says `n/a`: the code alone says why. */
  readonly declineCode: string | null
  readonly message: string
}

/** The card wants 3-D Secure and nobody asked to treat that as a decline. No money moved, so this is no ledger entry. */
export interface AuthenticationAsked {
  readonly type: 'intent.requires_action'
  readonly at: string
  readonly intentId: string
  readonly paymentMethod: string
}

/** The answer that every further request with this key will get. */
export interface KeyRecorded {
  readonly type: 'key.recorded'
  readonly at: string
  readonly key: string
  /** Of method, path and parameters. */
  readonly fingerprint: string
  readonly status: number
  readonly body: string
  readonly requestId: string
}

export interface KeysForgotten {
  readonly type: 'keys.forgotten'
  readonly at: string
}

/** A fact before the books have given it its number. */
export type FactDraft = Omit<LedgerEntry, 'seq'> | AuthenticationAsked | KeyRecorded | KeysForgotten

export function isLedgerEntry(fact: Fact): fact is LedgerEntry
export function isLedgerEntry(fact: FactDraft): fact is Omit<LedgerEntry, 'seq'>
export function isLedgerEntry(fact: FactDraft): boolean {
  return (ledgerEntryTypes as readonly string[]).includes(fact.type)
}
