import assert from 'node:assert/strict'
import type { Charge } from './charge.ts'
import { type DisputeStatus, draftEntry, type EntryDraft, type LedgerEntryType } from './facts.ts'
import { newId } from './new-id.ts'

/** A customer asks the bank for the money of a charge back. */
export interface Dispute {
  readonly id: string
  readonly intentId: string
  readonly chargeId: string
  readonly createdAt: string
  readonly amountMinor: number
  /** Upper case. */
  readonly currency: string
  readonly reason: string
  readonly status: DisputeStatus
  /** Stripe's `balance_transactions`: negative what was withdrawn, positive what was reinstated. */
  readonly movements: readonly Movement[]
}

export interface Movement {
  readonly at: string
  readonly amountMinor: number
}

/** The dispute after a fact that names it. */
export function disputeAfter(dispute: Dispute | undefined, fact: EntryDraft): Dispute {
  const { disputeId, disputeStatus, chargeId, amountMinor, at } = fact
  assert(disputeId !== null && disputeStatus !== null && chargeId !== null, 'A dispute without its ids')
  if (fact.type === 'dispute.created') {
    assert(!dispute, `${disputeId} was created twice`)
    const { intentId, currency, disputeReason } = fact
    const reason = disputeReason ?? 'general'
    const created = { id: disputeId, intentId, chargeId, createdAt: at, amountMinor, currency, reason }
    return { ...created, status: disputeStatus, movements: [] }
  }
  assert(dispute, `${fact.type} of the unknown ${disputeId}`)
  const sign = fact.type === 'dispute.funds_withdrawn' ? -1 : 1
  const moves = fact.type === 'dispute.funds_withdrawn' || fact.type === 'dispute.funds_reinstated'
  const movements = moves ? [...dispute.movements, { at, amountMinor: sign * amountMinor }] : dispute.movements
  return { ...dispute, status: disputeStatus, movements }
}

/** What was withdrawn for it and not reinstated. */
export function withdrawnMinor({ movements }: Dispute): number {
  return -movements.reduce((sum, { amountMinor }) => sum + amountMinor, 0)
}

/** Stripe's `is_charge_refundable`. Only an inquiry, and a dispute that was won, allow a refund of the charge. */
export function allowsRefunds({ status }: Pick<Dispute, 'status'>): boolean {
  return status === 'warning_needs_response' || status === 'warning_closed' || status === 'won'
}

export interface NewDispute {
  readonly amountMinor: number
  readonly reason: string
  readonly isInquiry: boolean
}

/** A chargeback withdraws its amount at once. An inquiry withdraws nothing. */
export function openDispute(charge: Charge, { amountMinor, reason, isInquiry }: NewDispute, at: string): EntryDraft[] {
  const status = isInquiry ? 'warning_needs_response' : 'needs_response'
  const draft = draftOf({ id: newId('dp'), charge, reason, at, status })
  const created = draft('dispute.created', amountMinor)
  return isInquiry ? [created] : [created, draft('dispute.funds_withdrawn', amountMinor)]
}

/** The steps that control can take, from which status. `amountMinor`: the amount that moves. */
export const disputeSteps = {
  review: { from: ['needs_response'], facts: (draft) => [draft('dispute.updated')] },
  win: {
    from: ['needs_response', 'under_review'],
    facts: (draft, amountMinor) => [draft('dispute.funds_reinstated', amountMinor), draft('dispute.closed')],
  },
  /** The gateway says that it was won, and gives the money back later. */
  'win-unpaid': { from: ['needs_response', 'under_review'], facts: (draft) => [draft('dispute.closed')] },
  /** What is still withdrawn: after `win-unpaid`, or when an appeal was won. */
  reinstate: {
    from: ['won', 'lost'],
    facts: (draft, amountMinor) => (amountMinor === 0 ? [] : [draft('dispute.funds_reinstated', amountMinor)]),
  },
  /** In part, where an amount is given: Stripe then reinstates so much, and the status is `lost` all the same. */
  lose: {
    from: ['needs_response', 'under_review'],
    facts: (draft, amountMinor) =>
      amountMinor === 0
        ? [draft('dispute.closed')]
        : [draft('dispute.funds_reinstated', amountMinor), draft('dispute.closed')],
  },
  /** Of an inquiry: it becomes a chargeback. */
  escalate: {
    from: ['warning_needs_response'],
    facts: (draft, amountMinor) => [draft('dispute.updated'), draft('dispute.funds_withdrawn', amountMinor)],
  },
  close: { from: ['warning_needs_response'], facts: (draft) => [draft('dispute.closed')] },
} as const satisfies Record<string, Step>

interface Step {
  readonly from: readonly DisputeStatus[]
  readonly facts: (draft: Draft, amountMinor: number) => EntryDraft[]
}

export type DisputeStep = keyof typeof disputeSteps

const statusAfter: Readonly<Record<DisputeStep, DisputeStatus>> = {
  review: 'under_review',
  win: 'won',
  'win-unpaid': 'won',
  reinstate: 'won',
  lose: 'lost',
  escalate: 'needs_response',
  close: 'warning_closed',
}

/** Null: it does not allow the step. */
export function stepDispute(
  dispute: Dispute,
  charge: Charge,
  step: DisputeStep,
  reinstatedMinor: number,
  at: string,
): EntryDraft[] | null {
  const { from, facts }: Step = disputeSteps[step]
  if (!from.includes(dispute.status)) return null
  const { id, reason, amountMinor } = dispute
  const givesAllBack = step === 'win' || step === 'reinstate'
  const movedMinor = givesAllBack ? withdrawnMinor(dispute) : step === 'lose' ? reinstatedMinor : amountMinor
  const drafts = facts(draftOf({ id, charge, reason, at, status: statusAfter[step] }), movedMinor)
  return drafts.length === 0 ? null : drafts
}

type Draft = (type: LedgerEntryType, amountMinor?: number) => EntryDraft

interface Drafted {
  readonly id: string
  readonly charge: Charge
  readonly reason: string
  readonly status: DisputeStatus
  readonly at: string
}

function draftOf({ id, charge, reason, status, at }: Drafted): Draft {
  return (type, amountMinor = 0) =>
    draftEntry({
      at,
      type,
      intentId: charge.intentId,
      chargeId: charge.id,
      disputeId: id,
      disputeStatus: status,
      disputeReason: reason,
      customerId: charge.customerId,
      amountMinor,
      currency: charge.currency,
      metadata: charge.metadata,
      paymentMethod: charge.paymentMethod,
    })
}
