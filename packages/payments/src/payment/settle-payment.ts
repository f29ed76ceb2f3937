import type { Payment as PaymentRow, Tx } from '@seatbelt/database'
import {
  type OrderPurpose,
  type OrderState,
  openPaymentStates,
  orderStateAfter,
  type Payment,
  type PaymentState,
} from '@seatbelt/domain'
import {
  type ClaimedPayment,
  type Continues,
  type Evidence,
  type FinalOutcome,
  type OwnLease,
  orderLockName,
  type RecordedAnswer,
  type Settled,
} from '@seatbelt/safety'
import { tellPayment } from '../messages/enqueue-messages.ts'
import { openRefund } from '../refund/open-refund.ts'
import { appendHistory } from '../shared/history.ts'
import type { PaymentStep, Result } from '../shared/operations.ts'
import { pauseBeforeLookMs } from '../shared/pause-before-look.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment, toPurpose } from '../shared/rows.ts'
import { settleInvoice } from '../subscription/settle-invoice.ts'
import type { ClaimedByOwner } from './claim-payment.ts'

export interface Settlement {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly evidence: Evidence
  /** How often recovery looked before, which spaces its looks. */
  readonly looks?: number
  /** Has the payment been open for so long that a person should look as well? */
  readonly overdue?: boolean
  /** Of an owner who goes on to what follows: begun before the first try to settle. Without it, recovery goes on. */
  readonly nextLease?: OwnLease
}

/**
 * Writes down what came of a payment, under its order's lock: the outcome, what becomes of the order, its booking, its
 * history, and the answer for the key that started it, in one commit.
 *
 * Guarantees: exactly one settle of a payment takes effect. One that lost (its owner was deposed meanwhile) writes what it
 * knows into the history, has recovery look at once, and answers what is recorded. Without evidence the payment stays
 * open and recovery looks again later.
 */
export async function settlePayment(
  deps: PaymentDeps,
  tx: Tx,
  settlement: Omit<Settlement, 'nextLease'>,
): Promise<Result> {
  const result = await settleOwnStep(deps, tx, settlement)
  if (result.kind === 'continues') throw new Error('nobody is there to continue')
  return result
}

/** The same for an owner who, where authorizing leads to capturing or voiding, does that as well. */
export async function settleOwnStep(
  deps: PaymentDeps,
  tx: Tx,
  settlement: Settlement,
): Promise<Result | Continues<ClaimedByOwner>> {
  const { claimed, evidence } = settlement
  if (evidence.kind === 'unknown') return giveUp(deps, tx, settlement, evidence)
  if (evidence.outcome.state === 'authorized') return authorize(deps, tx, settlement, evidence)

  const settled = await deps.layers.compareAndSet.settlePayment(tx, claimed, evidence.outcome, evidence.fenced)
  if (!settled) return loseTo(deps, tx, settlement)

  const { outcome } = evidence
  const declineCode = 'declineCode' in outcome ? outcome.declineCode : null
  const payment = { ...settlement.payment, state: outcome.state, declineCode, settledAt: settled.settledAt }
  const { order } = settled
  const orderState =
    order.purpose === 'invoice'
      ? await settleInvoice(deps, tx, payment, outcome)
      : orderStateAfter(outcome, order.purpose)
  await moveOrder(deps, tx, order, orderState)
  if (outcome.state === 'succeeded') await book(deps, tx, payment)
  await appendHistory(tx, line(deps, claimed), [...evidence.trail, { event: 'settled', detail: outcome.state }])
  const step = stepOf(claimed, order.purpose)
  const recorded =
    step === 'checkout'
      ? await endCheckout(deps, tx, payment, outcome)
      : deps.renderings.paymentSettled(payment, outcome, step)
  return answer(deps, tx, payment, { step, recorded })
}

async function endCheckout(
  deps: PaymentDeps,
  tx: Tx,
  payment: Payment,
  outcome: FinalOutcome,
): Promise<RecordedAnswer> {
  const { answer, paidInVain } = await deps.checkouts.ended(tx, payment, outcome)
  if (!paidInVain) return answer
  const { accountId, id: paymentId } = payment
  // Nobody asked for it, so that no key is bound to it, and whoever recovers finds it due.
  const refund = {
    accountId,
    paymentId,
    amountMinor: null,
    reason: 'nothing was left of what was paid for',
    leaseMs: null,
  }
  const opened = await openRefund(deps, tx, refund)
  if (opened.kind !== 'opened') throw new Error(`payment ${paymentId} could not be given back`)
  return answer
}

/**
 * The amount is on hold: the step is over, and the order waits for the merchant to capture it or to give it back. Of a checkout
 * that is decided in this very commit, so that nothing on hold is ever without somebody who ends it.
 */
async function authorize(
  deps: PaymentDeps,
  tx: Tx,
  settlement: Settlement,
  { trail }: Pick<Evidence, 'trail'>,
): Promise<Result | Continues<ClaimedByOwner>> {
  const { claimed } = settlement
  const authorized = await deps.layers.compareAndSet.authorizePayment(tx, claimed)
  if (!authorized) return loseTo(deps, tx, settlement)
  const outcome = { state: 'authorized' } as const
  const payment = { ...settlement.payment, ...outcome, authorizedAt: authorized.authorizedAt }
  await appendHistory(tx, line(deps, claimed), [...trail, { event: 'settled', detail: outcome.state }])
  if (authorized.purpose === 'checkout') {
    const { gatewayIntentId } = authorized
    return endAuthorization(deps, tx, settlement, { ...payment, gatewayIntentId })
  }
  const step = 'pay'
  return answer(deps, tx, payment, { step, recorded: deps.renderings.paymentSettled(payment, outcome, step) })
}

async function endAuthorization(
  deps: PaymentDeps,
  tx: Tx,
  { claimed, nextLease }: Settlement,
  payment: Payment,
): Promise<Result | Continues<ClaimedByOwner>> {
  const goal = await deps.checkouts.authorized(tx, payment)
  const leaseMs = nextLease ? deps.policy.leaseMs : null
  const next = await deps.layers.compareAndSet.endAuthorization(tx, claimed, { goal, leaseMs })
  if (!next) throw new Error(`payment ${payment.id} changed in the commit that authorized it`)
  await appendHistory(tx, line(deps, { ...claimed, ...next }), [{ event: 'claimed', detail: goal }])
  const ending = { ...payment, state: goal === 'capture' ? 'capturing' : 'voiding' } as const
  return nextLease
    ? {
        kind: 'continues',
        claimed: { payment: ending, claimed: toEnd(claimed, { ...payment, ...next }, goal), lease: nextLease },
      }
    : { kind: 'unsettled', subject: ending }
}

/** The step that follows an authorization, as the owner of both has it. */
function toEnd(
  claimed: ClaimedPayment,
  { generation, gatewayIntentId }: Pick<ClaimedPayment, 'generation' | 'gatewayIntentId'>,
  goal: 'capture' | 'void',
): ClaimedPayment {
  return { ...claimed, generation, gatewayIntentId, goal, isFirstOwner: true, wanted: true, notedDecline: null }
}

/** Records what the caller of this step is told, if a caller's key started it, and what others are. */
async function answer(
  deps: PaymentDeps,
  tx: Tx,
  payment: Payment,
  { step, recorded }: { readonly step: Step; readonly recorded: RecordedAnswer },
): Promise<Result> {
  await tellPayment(deps, tx, payment)
  await deps.layers.idempotencyKey.answerIntent(tx, payment.accountId, { step, paymentId: payment.id }, recorded)
  return { kind: 'answered', answer: recorded, replayed: false }
}

type Step = PaymentStep | 'checkout'

/** Which step's caller waits for the answer. A checkout is authorized and captured for one and the same. */
function stepOf({ goal }: ClaimedPayment, purpose: OrderPurpose): Step {
  if (purpose === 'checkout') return 'checkout'
  return goal === 'capture' || goal === 'void' ? goal : 'pay'
}

/** The order's version was read again under the lock: it is the claim's, unless an invariant is broken. */
async function moveOrder({ layers }: PaymentDeps, tx: Tx, order: Settled['order'], state: OrderState): Promise<void> {
  if (order.state !== 'processing') throw new Error(`order ${order.id} is ${order.state} while its payment is settled`)
  if (!(await layers.compareAndSet.order(tx, order, state))) throw new Error(`order ${order.id} changed under its lock`)
}

/** From what the gateway owes us to what we owe the merchant. */
async function book({ layers, newId }: PaymentDeps, tx: Tx, payment: Payment): Promise<void> {
  const { id: paymentId, accountId, amountMinor, currency } = payment
  const accounts = { debitAccount: 'gateway', creditAccount: `merchant:${accountId}` }
  const booked = await layers.insertOnce.transfer(tx, {
    ...{ id: newId(), paymentId, refundId: null, kind: 'charge', amountMinor, currency },
    ...accounts,
  })
  if (!booked) throw new Error(`payment ${paymentId} was booked before it was settled`)
}

async function giveUp(
  deps: PaymentDeps,
  tx: Tx,
  settlement: Settlement,
  evidence: Extract<Evidence, { kind: 'unknown' }>,
): Promise<Result | Continues<ClaimedByOwner>> {
  const { payment, claimed, looks = 0, overdue = false } = settlement
  const needsReview = overdue && evidence.readable
  const waitsFor = needsReview || payment.state === 'needs_review' ? 'person' : 'gateway'
  const pauseMs = pauseBeforeLookMs(looks, waitsFor)
  if (!(await deps.layers.compareAndSet.giveUp(tx, claimed, { pauseMs, needsReview })))
    return loseTo(deps, tx, settlement)
  await appendHistory(tx, line(deps, claimed), [...evidence.trail, { event: 'unknown', detail: evidence.reason }])
  return { kind: 'unsettled', subject: needsReview ? { ...payment, state: 'needs_review' } : payment }
}

/**
 * The payment is not as it was claimed: another owner has taken over, or this settle was committed before without our
 * hearing of it. What we learned is never thrown away, and what is recorded is what we answer.
 */
async function loseTo(
  deps: PaymentDeps,
  tx: Tx,
  { claimed, evidence, payment, nextLease }: Settlement,
): Promise<Result | Continues<ClaimedByOwner>> {
  const include = { order: { select: { purpose: true } } } as const
  const { order, ...row } = await tx.payment.findUniqueOrThrow({ where: { id: payment.id }, include })
  const following = nextLease && followingOwnAuthorization(row, claimed, nextLease)
  if (following) return following
  const isOurOwn = row.generation === claimed.generation && (row.settledAt !== null || row.state === 'authorized')
  if (!isOurOwn) await leaveToTheOwner(deps, tx, { payment: toPayment(row), claimed, evidence })
  const { accountId, id: paymentId } = payment
  const step = stepOf(claimed, toPurpose(order.purpose))
  const answer = await deps.layers.idempotencyKey.findAnswer(tx, accountId, { step, paymentId })
  // The request that claimed hears it for the first time, whoever wrote it down.
  const replayed = !isOurOwn && !claimed.isFirstOwner
  return answer ? { kind: 'answered', answer, replayed } : { kind: 'unsettled', subject: toPayment(row) }
}

/**
 * Our own commit authorized the payment and claimed what follows, and only its answer was lost: the next generation is in the
 * next step. Whoever had deposed us would have raised the generation once more by then.
 */
function followingOwnAuthorization(
  row: PaymentRow,
  claimed: ClaimedPayment,
  lease: OwnLease,
): Continues<ClaimedByOwner> | null {
  const { generation, goal } = row
  const isOurs = claimed.goal === 'authorize' && generation === claimed.generation + 1 && row.settledAt === null
  if (!isOurs || (goal !== 'capture' && goal !== 'void')) return null
  return { kind: 'continues', claimed: { payment: toPayment(row), claimed: toEnd(claimed, row, goal), lease } }
}

/** Writes what a deposed owner knows into the history, and has recovery look at once if the payment is still open. */
async function leaveToTheOwner(deps: PaymentDeps, tx: Tx, { payment, claimed, evidence }: Settlement): Promise<void> {
  const { id, state } = payment
  const learned = evidence.kind === 'outcome' ? evidence.outcome.state : null
  const detail = learned ?? (evidence.kind === 'unknown' ? evidence.reason : null)
  await appendHistory(tx, line(deps, claimed), [...evidence.trail, { event: 'superseded', detail }])
  if (isOpen(state)) await hint(tx, id)
  // Two owners saw the gateway say different things: one of them is wrong about money, and a person must hear of it.
  else if (learned !== null && learned !== 'authorized' && learned !== state)
    deps.layers.reportFault(
      new Error(`payment ${id} is ${state}, and a deposed owner saw it ${learned}`),
      orderLockName(payment),
    )
}

/** Hinted, so that an owner who gives up after this leaves no pause. */
async function hint(tx: Tx, paymentId: string): Promise<void> {
  await tx.$executeRaw`UPDATE payments SET look_at = clock_timestamp(), hinted = true WHERE id = ${paymentId}::uuid`
}

function isOpen(state: PaymentState): boolean {
  return openPaymentStates.some((open) => open === state)
}

function line({ by }: PaymentDeps, { id, generation }: ClaimedPayment) {
  return { paymentId: id, generation, by }
}
