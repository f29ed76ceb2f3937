import type { Tx } from '@seatbelt/database'
import type { Refund, RefundOutcome } from '@seatbelt/domain'
import type { ClaimedRefund, RefundEvidence } from '@seatbelt/safety'
import { tellRefund } from '../messages/enqueue-messages.ts'
import { appendHistory } from '../shared/history.ts'
import type { RefundResult } from '../shared/operations.ts'
import { pauseBeforeLookMs } from '../shared/pause-before-look.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { applyLateEvidence } from './apply-late-evidence.ts'
import { bookRefund } from './book-refund.ts'

export interface RefundSettlement {
  readonly refund: Refund
  readonly claimed: ClaimedRefund
  readonly evidence: RefundEvidence
  /** How often recovery looked before, which spaces its looks. */
  readonly looks?: number
  /** Has the refund been open for so long that a person should look as well? */
  readonly overdue?: boolean
}

/**
 * Writes down what came of a refund, under its order's lock: the outcome, what its payment and its order become, its
 * booking, its history, its messages and the answer for the key that started it, in one commit.
 *
 * Guarantees: exactly one settle of a refund takes effect. One that lost writes what it knows into the history, takes back
 * what was settled as succeeded if it saw it fail after that, and answers what is recorded. A refund that the bank takes its
 * time for keeps its reservation, and its caller's key is answered. Without evidence the refund stays open and recovery
 * looks again later.
 */
export async function settleRefund(deps: PaymentDeps, tx: Tx, settlement: RefundSettlement): Promise<RefundResult> {
  const { claimed, evidence } = settlement
  if (evidence.kind === 'unknown') return giveUp(deps, tx, settlement, evidence)
  const { outcome } = evidence
  if (outcome.state === 'pending') return keepPending(deps, tx, settlement, outcome)

  const settled = await deps.layers.compareAndSet.settleRefund(tx, claimed, outcome)
  if (!settled) return loseTo(deps, tx, settlement)

  const failureCode = outcome.state === 'failed' ? outcome.failureCode : null
  const refund = { ...settlement.refund, state: outcome.state, failureCode, settledAt: settled.settledAt }
  await bookRefund(deps, tx, refund)
  await writeHistory(deps, tx, settlement, { event: 'settled', detail: outcome.state })
  await tellRefund(deps, tx, refund)
  return answer(deps, tx, settlement, { refund, outcome })
}

type Pending = Extract<RefundOutcome, { state: 'pending' }>

async function keepPending(
  deps: PaymentDeps,
  tx: Tx,
  settlement: RefundSettlement,
  outcome: Pending,
): Promise<RefundResult> {
  const { claimed, refund, looks = 0 } = settlement
  const next = { gatewayRefundId: outcome.gatewayRefundId, pauseMs: pauseBeforeLookMs(looks, 'bank') }
  if (!(await deps.layers.compareAndSet.keepRefundPending(tx, claimed, next))) return loseTo(deps, tx, settlement)
  // A bank that takes days is looked at a thousand times; only what is new is worth a line.
  if (refund.state !== 'pending') await writeHistory(deps, tx, settlement, { event: 'settled', detail: outcome.state })
  return answer(deps, tx, settlement, { refund: { ...refund, state: outcome.state }, outcome })
}

/** Records what the caller is told, if a caller's key started the refund. What was told while it was pending stays. */
async function answer(
  { renderings, checkouts, layers: { idempotencyKey } }: PaymentDeps,
  tx: Tx,
  settlement: RefundSettlement,
  { refund, outcome }: { readonly refund: Refund; readonly outcome: RefundOutcome },
): Promise<RefundResult> {
  const { accountId } = refund
  const intent = { step: 'refund', refundId: refund.id } as const
  const told = settlement.refund.state === 'pending' ? await idempotencyKey.findAnswer(tx, accountId, intent) : null
  if (told) return { kind: 'answered', answer: told, replayed: true }
  const recorded = (await checkouts.refunded(tx, refund, outcome)) ?? renderings.refundSettled(refund, outcome)
  await idempotencyKey.answerIntent(tx, accountId, intent, recorded)
  return { kind: 'answered', answer: recorded, replayed: false }
}

async function giveUp(
  deps: PaymentDeps,
  tx: Tx,
  settlement: RefundSettlement,
  evidence: Extract<RefundEvidence, { kind: 'unknown' }>,
): Promise<RefundResult> {
  const { refund, claimed, looks = 0, overdue = false } = settlement
  const needsReview = overdue && evidence.readable
  const state = needsReview ? 'needs_review' : refund.state
  const next = { needsReview, pauseMs: pauseBeforeLookMs(looks, waitsFor(state)) }
  if (!(await deps.layers.compareAndSet.giveUpRefund(tx, claimed, next))) return loseTo(deps, tx, settlement)
  await writeHistory(deps, tx, settlement, { event: 'unknown', detail: evidence.reason })
  return { kind: 'unsettled', subject: { ...refund, state } }
}

function waitsFor(state: Refund['state']): 'gateway' | 'bank' | 'person' {
  if (state === 'needs_review') return 'person'
  return state === 'pending' ? 'bank' : 'gateway'
}

/**
 * The refund is not as it was claimed: another owner has taken over, or this settle was committed before without our hearing
 * of it. What we learned is never thrown away, and what is recorded is what we answer.
 */
async function loseTo(deps: PaymentDeps, tx: Tx, settlement: RefundSettlement): Promise<RefundResult> {
  const { claimed, evidence, refund } = settlement
  const row = await tx.refund.findUniqueOrThrow({ where: { id: refund.id } })
  const isOurOwn = row.generation === claimed.generation && row.settledAt !== null
  if (!isOurOwn) {
    const learned = evidence.kind === 'outcome' ? evidence.outcome.state : evidence.reason
    await writeHistory(deps, tx, settlement, { event: 'superseded', detail: learned })
    if (row.settledAt === null) await hint(tx, row.id)
    else if (evidence.kind === 'outcome')
      await applyLateEvidence(deps, tx, row, { outcome: evidence.outcome, trail: [] })
  }
  const intent = { step: 'refund', refundId: refund.id } as const
  const answer = await deps.layers.idempotencyKey.findAnswer(tx, refund.accountId, intent)
  // The request that claimed hears it for the first time, whoever wrote it down.
  const replayed = !isOurOwn && !claimed.isFirstOwner
  return answer ? { kind: 'answered', answer, replayed } : { kind: 'unsettled', subject: toRefund(row) }
}

/** Hinted, so that an owner who gives up after this leaves no pause. */
async function hint(tx: Tx, refundId: string): Promise<void> {
  await tx.$executeRaw`UPDATE refunds SET look_at = clock_timestamp(), hinted = true WHERE id = ${refundId}::uuid`
}

/** What was asked of the gateway, and what came of it, in the history of the payment. A repair belongs to no payment. */
async function writeHistory(
  { by }: PaymentDeps,
  tx: Tx,
  { refund, claimed, evidence }: RefundSettlement,
  end: { readonly event: string; readonly detail: string },
): Promise<void> {
  if (refund.paymentId === null) return
  const owner = { paymentId: refund.paymentId, refundId: refund.id, generation: claimed.generation, by }
  await appendHistory(tx, owner, [...evidence.trail, end])
}
