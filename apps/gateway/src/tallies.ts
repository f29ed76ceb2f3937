import type { LedgerEntry, RefundStatus } from './facts.ts'
import type { PaymentIntent } from './payment-intent.ts'

/**
 * The money of one order: a client that puts an `orderId` into its intents' metadata can read it by that id.
 *
 * An id with a time (UUIDv7) also finds the money where the metadata have the id without its time.
 */
export interface OrderTally {
  readonly captured: readonly CapturedCharge[]
  readonly refunds: readonly TalliedRefund[]
  readonly intents: number
  /** The console acts on an intent, which an order does not name. */
  readonly intentIds: readonly string[]
  readonly declined: number
}

export interface CapturedCharge {
  readonly chargeId: string | null
  readonly intentId: string
  readonly amountMinor: number
  readonly currency: string
  readonly at: string
}

export interface TalliedRefund {
  readonly refundId: string
  readonly chargeId: string | null
  readonly amountMinor: number
  readonly status: RefundStatus
}

export interface Tallies {
  count(entry: LedgerEntry, intent: PaymentIntent): void
  of(orderId: string): OrderTally
}

export function createTallies(): Tallies {
  const tallies = new Map<string, OrderTally>()

  return {
    count(entry, intent) {
      const { orderId } = intent.metadata
      if (orderId === undefined) return
      const name = withoutTime(orderId)
      tallies.set(name, tallyAfter(tallies.get(name) ?? nothing, entry))
    },
    of: (orderId) => tallies.get(withoutTime(orderId)) ?? nothing,
  }
}

/** The 22 characters behind the time of a UUIDv7. */
export function withoutTime(id: string): string {
  return id.slice(-22)
}

const nothing: OrderTally = { captured: [], refunds: [], intents: 0, intentIds: [], declined: 0 }

function tallyAfter(tally: OrderTally, entry: LedgerEntry): OrderTally {
  const { chargeId, refundId, intentId, amountMinor, currency, at, refundStatus } = entry
  if (entry.type === 'intent.created')
    return { ...tally, intents: tally.intents + 1, intentIds: [...tally.intentIds, intentId] }
  if (entry.type === 'charge.declined') return { ...tally, declined: tally.declined + 1 }
  if (entry.type === 'charge.captured') {
    return { ...tally, captured: [...tally.captured, { chargeId, intentId, amountMinor, currency, at }] }
  }
  if (refundId === null || refundStatus === null) return tally
  const others = tally.refunds.filter((refund) => refund.refundId !== refundId)
  return { ...tally, refunds: [...others, { refundId, chargeId, amountMinor, status: refundStatus }] }
}
