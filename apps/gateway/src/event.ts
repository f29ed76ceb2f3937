import type { Charge } from './charge.ts'
import type { Dispute } from './dispute.ts'
import type { LedgerEntry } from './facts.ts'
import { eventId } from './new-id.ts'
import type { PaymentIntent } from './payment-intent.ts'
import type { Refund } from './refund.ts'

/** The events that the simulator tells, under Stripe's names. */
export type EventType =
  | `charge.dispute.${'created' | 'updated' | 'closed' | 'funds_withdrawn' | 'funds_reinstated'}`
  | 'charge.refunded'
  | 'payment_intent.amount_capturable_updated'
  | 'payment_intent.canceled'
  | 'payment_intent.payment_failed'
  | 'payment_intent.succeeded'
  | 'refund.created'
  | 'refund.failed'
  | 'refund.updated'

/** An event holds its subject as it was then. Subjects are replaced, never changed, so that this costs a pointer. */
export interface GatewayEvent {
  readonly id: string
  /** Of the ledger entry that it tells about: later things have higher ones. */
  readonly seq: number
  readonly createdAt: string
  readonly type: EventType
  readonly requestId: string | null
  readonly idempotencyKey: string | null
  readonly subject: EventSubject
  /** What the status was before, where the event is about a change of it. */
  readonly previousStatus: string | null
  /** The intent that it concerns, also where it tells about a charge or a refund. */
  readonly intent: PaymentIntent
}

export type EventSubject = { intent: PaymentIntent } | { charge: Charge } | { refund: Refund } | { dispute: Dispute }

/** What an entry names, as it is after the entry. */
export interface Named {
  readonly intent: PaymentIntent
  readonly charge: Charge | undefined
  readonly refund: Refund | undefined
  readonly refundBefore: Refund | undefined
  readonly dispute: Dispute | undefined
}

/** The events of one ledger entry. The same entry always gives the same events with the same ids. */
export function eventsOf(entry: LedgerEntry, named: Named): GatewayEvent[] {
  return tellings(entry, named).map(([type, subject]) => ({
    id: eventId(entry.intentId, entry.seq, type),
    seq: entry.seq,
    createdAt: entry.at,
    type,
    requestId: entry.requestId,
    idempotencyKey: entry.idempotencyKey,
    subject,
    previousStatus: named.refundBefore?.status ?? null,
    intent: named.intent,
  }))
}

function tellings(entry: LedgerEntry, { intent, charge, refund, dispute }: Named): [EventType, EventSubject][] {
  switch (entry.type) {
    case 'charge.authorized':
      return [['payment_intent.amount_capturable_updated', { intent }]]
    case 'charge.captured':
      return [['payment_intent.succeeded', { intent }]]
    case 'charge.declined':
      return [['payment_intent.payment_failed', { intent }]]
    case 'intent.canceled':
      return [['payment_intent.canceled', { intent }]]
    // An authorization that is let go is a refund to Stripe, although nothing was captured.
    case 'charge.released':
      return charge ? [['charge.refunded', { charge }]] : []
    case 'refund.created':
      return charge && refund
        ? [
            ['refund.created', { refund }],
            ['charge.refunded', { charge }],
          ]
        : []
    case 'refund.succeeded':
      return refund ? [['refund.updated', { refund }]] : []
    case 'refund.failed':
      return refund
        ? [
            ['refund.updated', { refund }],
            ['refund.failed', { refund }],
          ]
        : []
    case 'dispute.created':
    case 'dispute.updated':
    case 'dispute.closed':
    case 'dispute.funds_withdrawn':
    case 'dispute.funds_reinstated':
      return dispute ? [[`charge.${entry.type}`, { dispute }]] : []
    // Its answer has told already; a subscriber could do nothing with it but throw it away.
    case 'intent.created':
      return []
    default:
      return entry.type satisfies never
  }
}

/** Of the intent and, above it, of what is told about: what faults are aimed by. */
export function metadataOf({ intent, subject }: GatewayEvent): Readonly<Record<string, string>> {
  return 'refund' in subject ? { ...intent.metadata, ...subject.refund.metadata } : intent.metadata
}
