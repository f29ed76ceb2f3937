import { type Refund as RefundRow, sql, type Tx } from '@seatbelt/database'
import type { Call, Refund, RefundOutcome } from '@seatbelt/domain'
import { changedOne, type FinalRefundOutcome, type RefundEvidence } from '@seatbelt/safety'
import { tellRefund } from '../messages/enqueue-messages.ts'
import { appendHistory, appendLook, type HistoryOwner, isByOperator } from '../shared/history.ts'
import {
  answerAsRecorded,
  bindAgain,
  giveUp,
  isOwnedBy,
  leasedRefunds,
  nextAttemptAfter,
  reportReview,
  requestRecovery,
} from '../shared/leased-work.ts'
import type { RefundResult } from '../shared/operations.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { keyKnownUntil, recordOrphan } from '../shared/orphan.ts'
import { pauseBeforeLookMs } from '../shared/pause-before-look.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { adoptRefund } from './adopt-refund.ts'
import { applyLateEvidence } from './apply-late-evidence.ts'
import { bookRefund, type PaidOrder } from './book-refund.ts'
import { enterRefundsFromElsewhere } from './enter-refunds-from-elsewhere.ts'
import type { OwnedRefund } from './owned-refund.ts'
import { readRefundState } from './refundable.ts'

/**
 * Writes what came of a refund, under its order's lock and in one commit: the outcome, what its payment and its order
 * become, its booking, its history, its messages, and the answer for the key that started it.
 *
 * Guarantees: exactly one settle of a refund takes effect. One that lost the race writes what it learned into the
 * history, reverses what was settled as succeeded if it saw it fail after that, and returns what is recorded. A refund
 * that the bank takes its time for keeps its reservation, and its key is answered. Without evidence the refund stays
 * open, and recovery looks again later. Refunds of the same payment that were made at the gateway without us, and that
 * a look has shown, are entered in the same commit.
 *
 * `call`: the request that claimed the refund, whose key may be lost as well. `claimBesides`: writes anew what else the
 * claim had written, if it was lost.
 */
export async function settleRefund(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  evidence: RefundEvidence,
  call: Call | null = null,
  claimBesides: () => Promise<void> = async () => undefined,
): Promise<RefundResult> {
  const row = await readToSettle(tx, owned)
  if (row === null) return settleLostRefund(deps, tx, owned, evidence, call, claimBesides)
  if (!row.isOwned) return settleAsFormerOwner(deps, tx, row, owned, evidence)
  if (evidence.kind === 'unknown') return leaveRefundOpen(deps, tx, owned, evidence)
  const { outcome } = evidence
  if (outcome.state === 'pending') return keepPending(deps, tx, owned, evidence, outcome)
  return end(deps, tx, row, owned, evidence, outcome)
}

/** The refund ends. Its reservation is freed first, because refunds from elsewhere may have taken the same money. */
async function end(
  deps: PaymentDeps,
  tx: Tx,
  row: RowToSettle,
  owned: OwnedRefund,
  evidence: RefundEvidence,
  outcome: FinalRefundOutcome,
): Promise<RefundResult> {
  const failureCode = outcome.state === 'failed' ? outcome.failureCode : null
  const refund: Refund = { ...owned.refund, state: outcome.state, failureCode, settledAt: row.now }
  writeOutcome(tx, owned, refund, outcome)
  bookRefund(deps, tx, refund, row)
  note(deps, tx, owned, evidence, { event: 'settled', detail: outcome.state })
  tellRefund(deps, tx, refund, row.gatewayRefundId ?? outcome.gatewayRefundId)
  await enterSeen(deps, tx, owned, evidence)
  return answer(deps, tx, owned, refund, outcome)
}

/** Without a payment, what was refunded is the charge of a repair: no payment stands whose refunds could be entered. */
async function enterSeen(
  deps: PaymentDeps,
  tx: Tx,
  { refund: { paymentId } }: OwnedRefund,
  { elsewhere }: RefundEvidence,
): Promise<void> {
  if (paymentId === null || elsewhere.length === 0) return
  await enterRefundsFromElsewhere(deps, tx, { paymentId, shown: elsewhere, requestLog: [] })
}

interface RowToSettle extends RefundRow, PaidOrder {
  /** Open, and still of the attempt's generation. */
  readonly isOwned: boolean
  readonly now: Date
}

/** Locked, so that recovery cannot take the refund over between this read and the writes. A repair has no payment. */
async function readToSettle(tx: Tx, { attempt }: OwnedRefund): Promise<RowToSettle | null> {
  const [row] = await tx.read<RowToSettle>(sql`
    SELECT refunds.*, ${isOwnedBy(leasedRefunds, attempt)} AS is_owned, clock_timestamp() AS now,
           COALESCE(payments.captured_minor, payments.amount_minor) AS paid_minor, payments.refunded_minor,
           orders.version AS order_version, orders.state::text AS order_state
      FROM refunds
      JOIN orders ON orders.id = refunds.order_id
      LEFT JOIN payments ON payments.id = refunds.payment_id
     WHERE refunds.id = ${attempt.id}::uuid FOR NO KEY UPDATE OF refunds`)
  return row ?? null
}

/**
 * Settles a refund whose row was lost with its commit.
 *
 * It enters this owner's evidence anew, if the payment still has that amount. A refund that was claimed since meets the
 * gateway's refund, and recovery looks at it. Otherwise the gateway's refund is an orphan.
 */
async function settleLostRefund(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  evidence: RefundEvidence,
  call: Call | null,
  claimBesides: () => Promise<void>,
): Promise<RefundResult> {
  const { refund, attempt } = owned
  const unsettled = { kind: 'unsettled', subject: refund } as const
  const [repeated] = await tx.read<RefundRow>(sql`
    SELECT * FROM refunds WHERE payment_id = ${refund.paymentId}::uuid AND gateway_key = ${attempt.gatewayKey}`)
  if (repeated) {
    if (repeated.settledAt === null) requestRecovery(tx, leasedRefunds, repeated.id)
    return unsettled
  }
  if (evidence.kind === 'unknown' || evidence.outcome.state === 'failed') return unsettled
  const again = await adoptRefund(deps, tx, refund, attempt)
  if (again) {
    await claimBesides()
    const settled = await settleRefund(deps, tx, again, evidence)
    const target = { step: 'refund', refundId: refund.id } as const
    await bindAgain(deps, tx, call, settled.kind === 'answered' ? settled.answer : target)
    return settled
  }
  await recordOrphan(deps, tx, orphanOf(owned, evidence, 'its row was lost, and its payment has not so much left'))
  return unsettled
}

function orphanOf({ refund, attempt }: OwnedRefund, evidence: RefundEvidence, why: string) {
  const seen = evidence.kind === 'unknown' ? null : evidence.outcome
  return {
    kind: 'refund',
    accountId: refund.accountId,
    orderId: refund.orderId,
    orderReference: attempt.parameters.metadata.orderId,
    gatewayKey: attempt.gatewayKey,
    gatewayIntentId: attempt.parameters.intentId,
    gatewayRefundId: seen?.gatewayRefundId ?? null,
    amountMinor: refund.amountMinor,
    currency: refund.currency,
    keyKnownUntil: seen && keyKnownUntil(refund.createdAt),
    seen: evidence.kind === 'unknown' ? evidence.reason : evidence.outcome.state,
    why,
  } as const
}

function writeOutcome(tx: Tx, { attempt }: OwnedRefund, refund: Refund, outcome: FinalRefundOutcome): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE refunds
         SET state = ${outcome.state}::refund_state, leased_until = NULL, owner = NULL,
             settled_at = ${refund.settledAt}::timestamptz, failure_code = ${refund.failureCode},
             gateway_refund_id = COALESCE(gateway_refund_id, ${outcome.gatewayRefundId})
       WHERE ${isOwnedBy(leasedRefunds, attempt)}
      RETURNING id)
    SELECT ${changedOne['refund-generation']}`)
}

type Pending = Extract<RefundOutcome, { state: 'pending' }>

/** The bank takes its time. The step is over, the refund is not. */
async function keepPending(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  evidence: RefundEvidence,
  outcome: Pending,
): Promise<RefundResult> {
  const { attempt, refund, attempts } = owned
  tx.write(sql`
    WITH changed AS (
      UPDATE refunds
         SET state = 'pending', gateway_refund_id = ${outcome.gatewayRefundId}, leased_until = NULL, owner = NULL,
             attempts = attempts + 1, wake_requested = false,
             next_attempt_at = ${nextAttemptAfter(pauseBeforeLookMs(deps.runtime, attempts, 'bank'))}
       WHERE ${isOwnedBy(leasedRefunds, attempt)}
      RETURNING id)
    SELECT ${changedOne['refund-generation']}`)
  // A bank that takes days is looked at a thousand times; only what is new is worth a line.
  if (refund.state !== 'pending') note(deps, tx, owned, evidence, { event: 'settled', detail: 'pending' })
  await enterSeen(deps, tx, owned, evidence)
  return answer(deps, tx, owned, { ...refund, state: 'pending' }, outcome)
}

/**
 * Records what the caller receives, if a caller's key started the refund. An answer given while it was pending stays.
 * If the purpose opened another refund, recovery makes that one, and its end brings the answer.
 */
async function answer(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  refund: Refund,
  outcome: RefundOutcome,
): Promise<RefundResult> {
  const { idempotencyKey } = deps.layers
  const { accountId } = refund
  const target = { step: 'refund', refundId: refund.id } as const
  const given = owned.refund.state === 'pending' ? await idempotencyKey.findAnswer(tx, accountId, target) : null
  if (given) {
    if (outcome.state === 'failed') await deps.purposes[owned.purpose].refundLost(deps, tx, refund)
    return { kind: 'answered', answer: given, replayed: true }
  }
  const hasFailed = outcome.state === 'failed' && refund.paymentId !== null
  const left = hasFailed ? await readRefundState(tx, refund.paymentId) : null
  const ofPurpose = await deps.purposes[owned.purpose].refunded(deps, tx, refund, { outcome, left })
  if (ofPurpose !== null && 'next' in ofPurpose) {
    idempotencyKey.rebind(tx, accountId, target, { step: 'refund', refundId: ofPurpose.next.id })
    return { kind: 'unsettled', subject: ofPurpose.next }
  }
  const recorded = ofPurpose ?? deps.renderings.refundSettled(refund, outcome, left?.leftMinor ?? null)
  idempotencyKey.recordAnswer(tx, accountId, target, recorded)
  return { kind: 'answered', answer: recorded, replayed: false }
}

/** Without evidence. After a day in which the gateway answered, the refund also waits for a person. */
export async function leaveRefundOpen(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  evidence: Extract<RefundEvidence, { kind: 'unknown' }>,
): Promise<RefundResult> {
  const { refund, attempts, isOverdue } = owned
  if (evidence.isOrphan) await recordOrphan(deps, tx, orphanOf(owned, evidence, 'a request under this key was refused'))
  const needsReview = evidence.isOrphan || (isOverdue && evidence.readable)
  const entersReview = needsReview && refund.state !== 'needs_review'
  const state = needsReview ? 'needs_review' : refund.state
  giveUp(deps, tx, leasedRefunds, owned.attempt, { attempts, needsReview, waitsFor: waitsFor(state) })
  const end = { event: 'unknown', detail: evidence.reason }
  if (entersReview || isByOperator(evidence)) note(deps, tx, owned, evidence, end)
  else noteLook(deps, tx, owned, evidence, end)
  if (entersReview) reportReview(deps, tx, `refund ${refund.id}`, orderLockName(refund))
  await enterSeen(deps, tx, owned, evidence)
  return { kind: 'unsettled', subject: { ...refund, state } }
}

function waitsFor(state: Refund['state']): 'gateway' | 'bank' | 'person' {
  if (state === 'needs_review') return 'person'
  return state === 'pending' ? 'bank' : 'gateway'
}

/** The refund is no longer as it was claimed. What was learned is never thrown away; what is recorded is the answer. */
async function settleAsFormerOwner(
  deps: PaymentDeps,
  tx: Tx,
  row: RowToSettle,
  owned: OwnedRefund,
  evidence: RefundEvidence,
): Promise<RefundResult> {
  const { attempt } = owned
  const isOwnCommit = row.generation === attempt.generation && row.settledAt !== null
  if (!isOwnCommit) {
    const learned = evidence.kind === 'outcome' ? evidence.outcome.state : evidence.reason
    note(deps, tx, owned, evidence, { event: 'superseded', detail: learned })
    if (row.settledAt === null) requestRecovery(tx, leasedRefunds, row.id)
    else if (evidence.kind === 'outcome')
      await applyLateEvidence(deps, tx, row, { outcome: evidence.outcome, requestLog: [] })
    await enterSeen(deps, tx, owned, evidence)
  }
  return answerAsRecorded(deps, tx, {
    accountId: row.accountId,
    target: { step: 'refund', refundId: row.id },
    subject: toRefund(row),
    isOwnCommit,
    isFirstOwner: attempt.isFirstOwner,
  })
}

/**
 * What was asked of the gateway, and what came of it, in the history of the payment. A repair belongs to no payment.
 */
function note(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  { requestLog }: RefundEvidence,
  end: { readonly event: string; readonly detail: string },
): void {
  const owner = historyOf(deps, owned)
  if (owner) appendHistory(deps, tx, owner, [...requestLog, end])
}

function noteLook(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedRefund,
  { requestLog }: RefundEvidence,
  end: { readonly event: string; readonly detail: string },
): void {
  const owner = historyOf(deps, owned)
  const stepStart = sql`SELECT ${leasedRefunds.stepStart} FROM refunds WHERE id = ${owned.refund.id}::uuid`
  if (owner) appendLook(deps, tx, owner, [...requestLog, end], stepStart)
}

function historyOf({ by }: PaymentDeps, { refund, attempt }: OwnedRefund): HistoryOwner | null {
  const { accountId, paymentId, id: refundId } = refund
  return paymentId === null ? null : { accountId, paymentId, refundId, generation: attempt.generation, by }
}
