import type { Tx } from '@seatbelt/database'
import { orderStateAfter, type Payment, type PaymentOutcome } from '@seatbelt/domain'
import { backoffMs } from '@seatbelt/locks'
import { type ClaimedPayment, type Evidence, orderLockName, type Settled } from '@seatbelt/safety'
import { appendHistory } from './append-history.ts'
import type { Result } from './operations.ts'
import type { PaymentDeps } from './payment-deps.ts'
import { toPayment } from './rows.ts'

export interface Settlement {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly evidence: Evidence
  /** How often recovery looked before, which spaces its looks. */
  readonly looks?: number
  /** Has the payment been open for so long that a person should look as well? */
  readonly overdue?: boolean
}

/**
 * Writes down what came of a payment, under its order's lock: the outcome, what becomes of the order, its booking, its
 * history, and the answer for the key that started it, in one commit.
 *
 * Guarantees: exactly one settle of a payment takes effect. One that lost (its owner was deposed meanwhile) writes what it
 * knows into the history, has recovery look at once, and answers what is recorded. Without evidence the payment stays
 * open and recovery looks again later.
 */
export async function settlePayment(deps: PaymentDeps, tx: Tx, settlement: Settlement): Promise<Result> {
  const { claimed, evidence } = settlement
  if (evidence.kind === 'unknown') return giveUp(deps, tx, settlement, evidence)

  const settled = await deps.layers.compareAndSet.settlePayment(tx, claimed, evidence.outcome, evidence.fenced)
  if (!settled) return loseTo(deps, tx, settlement)

  const { outcome } = evidence
  const declineCode = outcome.state === 'declined' ? outcome.declineCode : null
  const payment = { ...settlement.payment, state: outcome.state, declineCode, settledAt: settled.settledAt }
  await moveOrder(deps, tx, settled.order, outcome)
  if (outcome.state === 'succeeded') await book(deps, tx, payment)
  await appendHistory(tx, line(deps, claimed), [...evidence.trail, { event: 'settled', detail: outcome.state }])
  const answer = deps.renderings.paymentSettled(payment, outcome)
  await deps.layers.idempotencyKey.answerIntent(tx, { accountId: payment.accountId, paymentId: payment.id }, answer)
  return { kind: 'answered', answer, replayed: false }
}

/** The order's version was read again under the lock: it is the claim's, unless an invariant is broken. */
async function moveOrder(
  { layers }: PaymentDeps,
  tx: Tx,
  order: Settled['order'],
  outcome: PaymentOutcome,
): Promise<void> {
  if (order.state !== 'processing') throw new Error(`order ${order.id} is ${order.state} while its payment is settled`)
  if (!(await layers.compareAndSet.order(tx, order, orderStateAfter(outcome))))
    throw new Error(`order ${order.id} changed under its lock`)
}

/** From what the gateway owes us to what we owe the merchant. */
async function book({ layers, newId }: PaymentDeps, tx: Tx, payment: Payment): Promise<void> {
  const { id: paymentId, accountId, amountMinor, currency } = payment
  const accounts = { debitAccount: 'gateway', creditAccount: `merchant:${accountId}` }
  const booked = await layers.insertOnce.transfer(tx, {
    ...{ id: newId(), paymentId, kind: 'charge', amountMinor, currency },
    ...accounts,
  })
  if (!booked) throw new Error(`payment ${paymentId} was booked before it was settled`)
}

/** First pauses of about a second, later ones of at most 20 s, so that all is settled within a minute of the gateway's being well. */
const lookPauses = { baseMs: 1_000, maxMs: 20_000 }
/** A person is told, and no gateway is kept busy; but the evidence may still come. */
const reviewPauseMs = 3_600_000

async function giveUp(
  deps: PaymentDeps,
  tx: Tx,
  settlement: Settlement,
  evidence: Extract<Evidence, { kind: 'unknown' }>,
): Promise<Result> {
  const { payment, claimed, looks = 0, overdue = false } = settlement
  const needsReview = overdue && evidence.readable
  const pauseMs = needsReview || payment.state === 'needs_review' ? reviewPauseMs : backoffMs(looks, lookPauses)
  if (!(await deps.layers.compareAndSet.giveUp(tx, claimed, { pauseMs, needsReview })))
    return loseTo(deps, tx, settlement)
  await appendHistory(tx, line(deps, claimed), [...evidence.trail, { event: 'unknown', detail: evidence.reason }])
  return { kind: 'unsettled', payment: needsReview ? { ...payment, state: 'needs_review' } : payment }
}

/**
 * The payment is not as it was claimed: another owner has taken over, or this settle was committed before without our
 * hearing of it. What we learned is never thrown away, and what is recorded is what we answer.
 */
async function loseTo(deps: PaymentDeps, tx: Tx, { claimed, evidence, payment }: Settlement): Promise<Result> {
  const row = await tx.payment.findUniqueOrThrow({ where: { id: payment.id } })
  const isOurOwn = row.generation === claimed.generation && row.settledAt !== null
  if (!isOurOwn) await leaveToTheOwner(deps, tx, { payment: toPayment(row), claimed, evidence })
  const { accountId, id: paymentId } = payment
  const answer = await deps.layers.idempotencyKey.findAnswer(tx, { accountId, paymentId })
  return answer ? { kind: 'answered', answer, replayed: !isOurOwn } : { kind: 'unsettled', payment: toPayment(row) }
}

/** Writes what a deposed owner knows into the history, and has recovery look at once if the payment is still open. */
async function leaveToTheOwner(deps: PaymentDeps, tx: Tx, { payment, claimed, evidence }: Settlement): Promise<void> {
  const { id, state } = payment
  const learned = evidence.kind === 'outcome' ? evidence.outcome.state : null
  const detail = learned ?? (evidence.kind === 'unknown' ? evidence.reason : null)
  await appendHistory(tx, line(deps, claimed), [...evidence.trail, { event: 'superseded', detail }])
  if (state === 'processing' || state === 'needs_review')
    await tx.$executeRaw`UPDATE payments SET look_at = clock_timestamp() WHERE id = ${id}::uuid`
  // Two owners saw the gateway say different things: one of them is wrong about money, and a person must hear of it.
  else if (learned !== null && learned !== state)
    deps.layers.reportFault(
      new Error(`payment ${id} is ${state}, and a deposed owner saw it ${learned}`),
      orderLockName(payment),
    )
}

function line({ by }: PaymentDeps, { id, generation }: ClaimedPayment) {
  return { paymentId: id, generation, by }
}
