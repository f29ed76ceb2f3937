import assert from 'node:assert/strict'
import type { EntryDraft, RefundOutlook, RefundStatus } from './facts.ts'

export interface Refund {
  readonly id: string
  readonly intentId: string
  readonly chargeId: string
  readonly createdAt: string
  readonly amountMinor: number
  /** Upper case. */
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>>
  readonly customerId: string | null
  readonly paymentMethod: string | null
  readonly reason: string | null
  readonly status: RefundStatus
  readonly failureReason: string | null
  /** What will become of it by itself. Null once it has, or where nothing will. */
  readonly outlook: RefundOutlook | null
}

/** The refund after a fact that names it. */
export function refundAfter(refund: Refund | undefined, fact: EntryDraft): Refund {
  if (fact.type === 'refund.created') {
    assert(!refund, `${fact.refundId} was created twice`)
    return refundCreated(fact)
  }
  assert(refund && fact.refundStatus !== null, `${fact.type} of the unknown ${fact.refundId}`)
  assert(canBecome(refund, fact.refundStatus), `${fact.type} of ${refund.id}, which is ${refund.status}`)
  return { ...refund, status: fact.refundStatus, failureReason: fact.failureReason, outlook: null }
}

/** A refund that failed has failed for good; one that succeeded can still fail, days later. */
export function canBecome(refund: Refund, status: RefundStatus): boolean {
  return refund.status === 'pending' ? status !== 'pending' : refund.status === 'succeeded' && status === 'failed'
}

function refundCreated(fact: EntryDraft): Refund {
  assert(fact.refundId !== null && fact.chargeId !== null && fact.refundStatus !== null, 'A refund without its ids')
  return {
    id: fact.refundId,
    intentId: fact.intentId,
    chargeId: fact.chargeId,
    createdAt: fact.at,
    amountMinor: fact.amountMinor,
    currency: fact.currency,
    metadata: fact.metadata,
    customerId: fact.customerId,
    paymentMethod: fact.paymentMethod,
    reason: fact.refundReason,
    status: fact.refundStatus,
    failureReason: null,
    outlook: fact.outlook,
  }
}
