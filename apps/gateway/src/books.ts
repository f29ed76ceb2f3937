import { type Charge, chargeAfter } from './charge.ts'
import { type AttachedPaymentMethod, type Customer, customerFrom, paymentMethodFrom } from './customer.ts'
import { type Dispute, disputeAfter } from './dispute.ts'
import { eventsOf, type GatewayEvent } from './event.ts'
import {
  completeEntry,
  type Fact,
  type FactDraft,
  isLedgerEntry,
  type KeyRecorded,
  type LedgerEntry,
  type Note,
  type WebhookEndpoint,
  type WebhookOutcome,
  type WebhooksConfigured,
} from './facts.ts'
import { ledgerCorrupt, openLedgerFile } from './ledger-file.ts'
import { type IntentFact, intentAfter, type PaymentIntent } from './payment-intent.ts'
import { type Refund, refundAfter } from './refund.ts'
import { createShelf, type Shelf } from './shelf.ts'
import { createTallies, type OrderTally } from './tallies.ts'

/** What the simulator knows: the ledger on disk, and the same in memory. */
export interface Books {
  /** Writes the facts to disk, then believes them. All or none; throws when the disk refuses. */
  commit(drafts: readonly FactDraft[]): void
  /** Grouped by customer. */
  readonly intents: Reading<PaymentIntent>
  /** Grouped by intent and by customer. */
  readonly charges: Reading<Charge>
  /** Grouped by intent and by charge. */
  readonly refunds: Reading<Refund>
  /** Grouped by intent and by charge. */
  readonly disputes: Reading<Dispute>
  readonly customers: Reading<Customer>
  /** The attached ones, grouped by customer. */
  readonly paymentMethods: Reading<AttachedPaymentMethod>
  /** Grouped by type. */
  readonly events: Reading<GatewayEvent>
  /** Refunds that will change by themselves, oldest first. */
  refundsWithOutlook(): Iterable<Refund>
  findRecordedKey(key: string): KeyRecorded | undefined
  webhookEndpoint(): WebhookEndpoint
  /** What the configuration last said, whatever was said by control since. */
  configuredEndpoint(): WebhookEndpoint
  /** Happened while there was an endpoint, and neither delivered nor given up. */
  isOwed(eventId: string): boolean
  webhookCounts(): WebhookCounts
  /** The entries after a sequence number, oldest first. */
  entriesAfter(seq: number, limit: number): { readonly entries: readonly LedgerEntry[]; readonly hasMore: boolean }
  tallyOfOrder(orderId: string): OrderTally
  /** The time of the latest entry, behind which no later one may fall: lists are searched by time. */
  latestMs(): number
  /** No room for another fact. The simulator then refuses to work: a witness must not forget in order to go on. */
  isFull(): boolean
  close(): void
}

export type Reading<T extends { readonly id: string; readonly createdAt: string }> = Omit<Shelf<T>, 'put'>

export type WebhookCounts = { readonly [outcome in WebhookOutcome | 'owed']: number }

export interface BooksOptions {
  readonly ledgerFile: string
  readonly keyTtlMs: number
  readonly now: () => Date
  /** See `defaultMaxFacts`. */
  readonly maxFacts: number
}

/**
 * Ledger entries, events, recorded keys, customers and payment methods that memory may hold. A payment costs five
 * (created, captured, its event, two keys) and, as measured, 4.5 KB of heap: this is 80,000 payments in 360 MB, forty
 * demos.
 */
export const defaultMaxFacts = 400_000

const noEndpoint: WebhookEndpoint = { urls: [], secrets: [] }

export function openBooks(options: BooksOptions): Books {
  const intents = createShelf<PaymentIntent>(({ customerId }) => (customerId === null ? [] : [customerId]))
  const charges = createShelf<Charge>(({ intentId, customerId }) =>
    customerId === null ? [intentId] : [intentId, customerId],
  )
  const refunds = createShelf<Refund>(({ intentId, chargeId }) => [intentId, chargeId])
  const disputes = createShelf<Dispute>(({ intentId, chargeId }) => [intentId, chargeId])
  const customers = createShelf<Customer>()
  const paymentMethods = createShelf<AttachedPaymentMethod>(({ customerId }) => [customerId])
  const events = createShelf<GatewayEvent>(({ type }) => [type])
  const withOutlook = new Map<string, Refund>()
  const owed = new Set<string>()
  const settled = { delivered: 0, abandoned: 0, withheld: 0 }
  let endpoint = noEndpoint
  let configured = noEndpoint
  const entries: LedgerEntry[] = []
  const tallies = createTallies()
  const keys = new Map<string, KeyRecorded>()

  const file = openLedgerFile(options.ledgerFile, (fact) => believe(isLedgerEntry(fact) ? completeEntry(fact) : fact))
  forgetExpiredKeys()

  function believe(fact: Fact): void {
    if (isLedgerEntry(fact)) believeEntry(fact)
    else believeNote(fact)
  }

  function believeEntry(entry: LedgerEntry): void {
    if (entry.seq !== entries.length + 1) throw ledgerCorrupt(`entry ${entry.seq} follows entry ${entries.length}`)
    entries.push(entry)
    const refundBefore = entry.refundId === null ? undefined : refunds.find(entry.refundId)
    const named = {
      intent: changeIntent(entry),
      charge: changeCharge(entry),
      refund: changeRefund(entry),
      dispute: changeDispute(entry),
      refundBefore,
    }
    tallies.count(entry, named.intent)
    for (const event of eventsOf(entry, named)) {
      events.put(event)
      if (endpoint.urls.length > 0) owed.add(event.id)
    }
  }

  function changeIntent(fact: IntentFact): PaymentIntent {
    const intent = intentAfter(intents.find(fact.intentId), fact)
    intents.put(intent)
    return intent
  }

  function changeCharge(entry: LedgerEntry): Charge | undefined {
    if (entry.chargeId === null) return undefined
    const charge = chargeAfter(charges.find(entry.chargeId), entry)
    charges.put(charge)
    return charge
  }

  function changeRefund(entry: LedgerEntry): Refund | undefined {
    if (entry.refundId === null) return undefined
    const refund = refundAfter(refunds.find(entry.refundId), entry)
    refunds.put(refund)
    if (refund.outlook) withOutlook.set(refund.id, refund)
    else withOutlook.delete(refund.id)
    return refund
  }

  function changeDispute(entry: LedgerEntry): Dispute | undefined {
    if (entry.disputeId === null) return undefined
    const dispute = disputeAfter(disputes.find(entry.disputeId), entry)
    disputes.put(dispute)
    return dispute
  }

  function believeNote(note: Note): void {
    switch (note.type) {
      case 'key.recorded':
        // Deleted first, so that the map stays in the order of time, which `forgetExpiredKeys` needs.
        keys.delete(note.key)
        keys.set(note.key, note)
        return
      case 'keys.forgotten':
        keys.clear()
        return
      case 'intent.requires_action':
        changeIntent(note)
        return
      case 'customer.created':
        customers.put(customerFrom(note))
        return
      case 'payment_method.attached':
        paymentMethods.put(paymentMethodFrom(note))
        return
      case 'webhooks.configured':
        configureWebhooks(note)
        return
      case 'webhook.settled':
        if (owed.delete(note.eventId)) settled[note.outcome] += 1
        return
      default:
        throw ledgerCorrupt(`unknown fact ${JSON.stringify(note satisfies never)}`)
    }
  }

  function configureWebhooks(fact: WebhooksConfigured): void {
    endpoint = fact.endpoint
    if (fact.by === 'configuration') configured = fact.endpoint
    if (endpoint.urls.length === 0) owed.clear()
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
        return { ...draft, seq }
      })
      if (facts.length === 0) return
      file.append(facts)
      for (const fact of facts) believe(fact)
      forgetExpiredKeys()
    },

    intents,
    charges,
    refunds,
    disputes,
    customers,
    paymentMethods,
    events,
    refundsWithOutlook: () => withOutlook.values(),

    findRecordedKey(key) {
      const recorded = keys.get(key)
      return recorded && !isExpired(recorded) ? recorded : undefined
    },

    webhookEndpoint: () => endpoint,
    configuredEndpoint: () => configured,
    isOwed: (id) => owed.has(id),
    webhookCounts: () => ({ owed: owed.size, ...settled }),

    entriesAfter(seq, limit) {
      // Entry n stands at index n - 1: `believeEntry` saw to it.
      return { entries: entries.slice(seq, seq + limit), hasMore: entries.length > seq + limit }
    },

    tallyOfOrder: (orderId) => tallies.of(orderId),
    latestMs: () => Date.parse(entries.at(-1)?.at ?? '1970-01-01T00:00:00.000Z'),
    isFull: () => entries.length + events.size + keys.size + customers.size + paymentMethods.size >= options.maxFacts,
    close: () => file.close(),
  }
}
