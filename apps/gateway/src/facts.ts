/**
 * What the simulator writes down. Everything that it knows is a fold over these facts, so that a restarted simulator
 * knows exactly what the killed one knew.
 */
export type Fact = LedgerEntry | Note

/** What is not about money, and so has no number and is not shown by `/_ledger`. */
export type Note =
  | AuthenticationAsked
  | CustomerCreated
  | PaymentMethodAttached
  | KeyRecorded
  | KeysForgotten
  | WebhooksConfigured
  | WebhookSettled

/** What happened to money, or could have. These have a sequence number and are what `/_ledger` shows. */
export interface LedgerEntry {
  /** 1, 2, 3 ... without a gap. */
  readonly seq: number
  /** ISO 8601, UTC. Never earlier than the entry before it. */
  readonly at: string
  readonly type: LedgerEntryType
  readonly intentId: string
  readonly chargeId: string | null
  readonly refundId: string | null
  readonly customerId: string | null
  /** Of what the entry says: authorized, captured, released, declined, refunded, disputed, withdrawn, reinstated. */
  readonly amountMinor: number
  /** Upper case, unlike on Stripe's wire. */
  readonly currency: string
  /** The intent's; on the three `refund` types the refund's own. A dispute has none of its own. */
  readonly metadata: Readonly<Record<string, string>>
  /** Null where the simulator did it by itself: a refund that changed later. */
  readonly idempotencyKey: string | null
  readonly requestId: string | null
  readonly paymentMethod: string | null
  readonly captureMethod: CaptureMethod | null
  /**
   * Of a declined charge what the 402 said, of an authorization that was released by a refused capture what the 400
   * said.
   */
  readonly error: CardError | null
  readonly cancellationReason: string | null
  /** Of a refund: Stripe's `reason`, its status after this entry, why it failed, and what will become of it. */
  readonly refundReason: string | null
  readonly refundStatus: RefundStatus | null
  readonly failureReason: string | null
  readonly outlook: RefundOutlook | null
  /** Of a dispute: its id, its status after this entry, and the customer's reason. */
  readonly disputeId: string | null
  readonly disputeStatus: DisputeStatus | null
  readonly disputeReason: string | null
  /** `console`: a person did it at the gateway's own console. Null: a request, or the simulator by itself. */
  readonly actor: 'console' | null
}

const ledgerEntryTypes = [
  'intent.created',
  'charge.authorized',
  'charge.captured',
  /** An authorization that ended without money: cancelled, or refused at its capture. */
  'charge.released',
  'intent.canceled',
  'charge.declined',
  'refund.created',
  'refund.succeeded',
  'refund.failed',
  /** The event of each is `charge.` and its type. Only the two about funds move money. */
  'dispute.created',
  'dispute.updated',
  'dispute.closed',
  'dispute.funds_withdrawn',
  'dispute.funds_reinstated',
] as const

export type LedgerEntryType = (typeof ledgerEntryTypes)[number]

export type CaptureMethod = 'automatic' | 'automatic_async' | 'manual'

export type DisputeStatus =
  | 'warning_needs_response'
  | 'warning_closed'
  | 'needs_response'
  | 'under_review'
  | 'won'
  | 'lost'

export type RefundStatus = 'pending' | 'succeeded' | 'failed'

/** A refund's status is not its last word: the bank's own answer comes later. */
export interface RefundOutlook {
  readonly status: 'succeeded' | 'failed'
  readonly at: string
}

export interface CardError {
  readonly code: string
  /** Null where Stripe's documentation says `n/a`: the code alone says why. */
  readonly declineCode: string | null
  readonly message: string
}

/**
 * The card wants 3-D Secure and no request asked to treat that as a decline. No money moved, so this is no ledger
 * entry.
 */
export interface AuthenticationAsked {
  readonly type: 'intent.requires_action'
  readonly at: string
  readonly intentId: string
  readonly paymentMethod: string
  /** Missing in ledgers that were written before a confirm could change it. */
  readonly captureMethod?: CaptureMethod
}

export interface CustomerCreated {
  readonly type: 'customer.created'
  readonly at: string
  readonly customerId: string
  readonly email: string | null
  readonly name: string | null
  readonly description: string | null
  readonly metadata: Readonly<Record<string, string>>
}

/** In test mode a test method stays what it is, and what is attached is a new method of the same card. */
export interface PaymentMethodAttached {
  readonly type: 'payment_method.attached'
  readonly at: string
  readonly paymentMethodId: string
  /** The test payment method that it was made of. */
  readonly card: string
  readonly customerId: string
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

/** From here on every event is owed to this endpoint. Without addresses nothing is owed any more, also not what was. */
export interface WebhooksConfigured {
  readonly type: 'webhooks.configured'
  readonly at: string
  readonly by: 'configuration' | 'control'
  readonly endpoint: WebhookEndpoint
}

export interface WebhookEndpoint {
  /** Addresses of one and the same receiver: attempts go to them in turn. None: no webhooks. */
  readonly urls: readonly string[]
  /** Each delivery is signed with all of them. More than one while secrets are being rotated. */
  readonly secrets: readonly string[]
}

/** An event is no longer owed. Recorded after the receiver's answer: a kill in between sends it again. */
export interface WebhookSettled {
  readonly type: 'webhook.settled'
  readonly at: string
  readonly eventId: string
  readonly outcome: WebhookOutcome
  readonly attempts: number
}

export type WebhookOutcome =
  | 'delivered'
  /** Every attempt failed. */
  | 'abandoned'
  /** The fault `never`. */
  | 'withheld'

/** A ledger entry before the books have given it its number. */
export type EntryDraft = Omit<LedgerEntry, 'seq'>

export type FactDraft = EntryDraft | Note

type Always = 'at' | 'type' | 'intentId' | 'amountMinor' | 'currency' | 'metadata'

/** Every entry has every field. Here only those need a name that say something. */
export function draftEntry(says: Pick<EntryDraft, Always> & Partial<EntryDraft>): EntryDraft {
  return {
    at: says.at,
    type: says.type,
    intentId: says.intentId,
    chargeId: says.chargeId ?? null,
    refundId: says.refundId ?? null,
    customerId: says.customerId ?? null,
    amountMinor: says.amountMinor,
    currency: says.currency,
    metadata: says.metadata,
    idempotencyKey: says.idempotencyKey ?? null,
    requestId: says.requestId ?? null,
    paymentMethod: says.paymentMethod ?? null,
    captureMethod: says.captureMethod ?? null,
    error: says.error ?? null,
    cancellationReason: says.cancellationReason ?? null,
    refundReason: says.refundReason ?? null,
    refundStatus: says.refundStatus ?? null,
    failureReason: says.failureReason ?? null,
    outlook: says.outlook ?? null,
    disputeId: says.disputeId ?? null,
    disputeStatus: says.disputeStatus ?? null,
    disputeReason: says.disputeReason ?? null,
    actor: says.actor ?? null,
  }
}

/**
 * An entry that was written before some field existed. Fields are added, never renamed, so this is all there is to it.
 */
export function completeEntry(entry: LedgerEntry): LedgerEntry {
  return { ...draftEntry(entry), seq: entry.seq }
}

export function isLedgerEntry(fact: Fact): fact is LedgerEntry
export function isLedgerEntry(fact: FactDraft): fact is EntryDraft
export function isLedgerEntry(fact: FactDraft): boolean {
  return (ledgerEntryTypes as readonly string[]).includes(fact.type)
}
