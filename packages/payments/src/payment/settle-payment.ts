import { type Payment as PaymentRow, sql, type Tx } from '@seatbelt/database'
import { type Call, type Order, type OrderState, openPaymentStates, type Payment } from '@seatbelt/domain'
import { type Continues, changedOne, type Evidence, type FinalOutcome } from '@seatbelt/safety'
import { tellPayment } from '../messages/enqueue-messages.ts'
import { moveOrder, type OrderToDecide, readOrderToDecide } from '../order/order-to-decide.ts'
import { openRefund } from '../refund/open-refund.ts'
import { appendHistory, appendLook, type HistoryEntry, type HistoryOwner, isByOperator } from '../shared/history.ts'
import {
  answerAsRecorded,
  bindAgain,
  depose,
  giveUp,
  isOwnedBy,
  leasedPayments,
  noOwner,
  reportReview,
  requestRecovery,
} from '../shared/leased-work.ts'
import type { PaymentStep, Result } from '../shared/operations.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { keyKnownUntil, recordOrphan } from '../shared/orphan.ts'
import type { PaymentDeps, PaymentEnd, SettlingPurpose } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { adoptIntent, findPaymentNamed, isAdoptable } from './adopt-intent.ts'
import { claimCaptureOrVoid, claimNextStep } from './claim-next-step.ts'
import { type OwnedPayment, type PaymentFound, toAttempt, toNextStep } from './owned-payment.ts'

type Settled = Result | Continues<OwnedPayment>

/** Writes the order anew that a claim had written whose commit was lost. Null: our books no longer allow it. */
type EnterOrder = () => Promise<OrderToDecide | null>

/**
 * Writes what came of a payment, under its order's lock and in one commit: the outcome, what becomes of the order, its
 * booking, its history, its messages, and the answer for the key that started it.
 *
 * Guarantees: exactly one settle of a payment takes effect. One that lost the race (its owner was deposed meanwhile)
 * writes what it learned into the history, makes recovery run, and returns what is recorded. Without evidence the
 * payment stays open, and recovery looks again later. An owner whose row or later step was lost with its commit enters
 * what it knows anew, or leaves an orphan. The additions of the order's purpose stand in `purposes`.
 *
 * `call`: the request that claimed the payment, whose key may be lost as well. `enterOrder`: for a claim that also
 * wrote the order.
 */
export async function settlePayment(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedPayment,
  found: PaymentFound,
  call: Call | null = null,
  enterOrder: EnterOrder | null = null,
): Promise<Settled> {
  const [reading, settling] = [readToSettle(tx, owned), deps.purposes[owned.purpose].settling(deps, tx, owned.payment)]
  // The rows of the purpose may have been lost together with the payment.
  settling.catch(() => undefined)
  const row = await reading
  if (row === null) return settleLostPayment(deps, tx, owned, found, call, enterOrder)
  const purpose = await settling
  if (!row.isOwned) return settleAsFormerOwner(deps, tx, row, purpose, owned, found, call)
  const { evidence } = found
  if (evidence.kind === 'unknown') return leavePaymentOpen(deps, tx, owned, evidence)
  if (evidence.outcome.state === 'authorized') return authorize(deps, tx, row, purpose, owned, found)
  return end(deps, tx, row, purpose, owned, { evidence, outcome: evidence.outcome })
}

interface RowToSettle extends PaymentRow {
  /** Open, and still of the attempt's generation. */
  readonly isOwned: boolean
  readonly orderVersion: number
  readonly orderState: OrderState
  readonly now: Date
}

/** Locked, so that recovery cannot take the payment over between this read and the writes. */
async function readToSettle(tx: Tx, { attempt }: OwnedPayment): Promise<RowToSettle | null> {
  const [row] = await tx.read<RowToSettle>(sql`
    SELECT payments.*, ${isOwnedBy(leasedPayments, attempt)} AS is_owned, orders.version AS order_version,
           orders.state::text AS order_state, clock_timestamp() AS now
      FROM payments JOIN orders ON orders.id = payments.order_id
     WHERE payments.id = ${attempt.id}::uuid FOR NO KEY UPDATE OF payments`)
  return row ?? null
}

/** The payment ends. */
async function end(
  deps: PaymentDeps,
  tx: Tx,
  row: RowToSettle,
  purpose: SettlingPurpose,
  owned: OwnedPayment,
  { evidence, outcome }: { readonly evidence: Extract<Evidence, { kind: 'outcome' }>; readonly outcome: FinalOutcome },
): Promise<Result> {
  const declineCode = 'declineCode' in outcome ? outcome.declineCode : null
  const declinedBy = 'declinedBy' in outcome ? outcome.declinedBy : null
  const capturedMinor = outcome.state === 'succeeded' ? outcome.capturedMinor : 0
  const ending = { state: outcome.state, capturedMinor, declineCode, declinedBy, settledAt: row.now }
  const payment: Payment = { ...owned.payment, ...ending }
  writeOutcome(tx, owned, payment, outcome, evidence)
  const ended = await purpose.ended(payment, outcome, row.withdrawnAt !== null)
  moveOrderOf(tx, row, ended.orderState)
  if (outcome.state === 'succeeded') book(deps, tx, payment)
  note(deps, tx, owned, [...evidence.requestLog, { event: 'settled', detail: detailOf(payment) }])
  tellPayment(deps, tx, payment)
  if (ended.isUnfulfilled) await refundAll(deps, tx, payment)
  if (ended.withdrawalAnswer) {
    const target = { step: 'withdraw', paymentId: payment.id } as const
    deps.layers.idempotencyKey.recordAnswer(tx, payment.accountId, target, ended.withdrawalAnswer)
  }
  return answer(deps, tx, payment, purpose, stepOf(owned), ended.answer)
}

function detailOf({ state, amountMinor, capturedMinor }: Payment): string {
  return capturedMinor > 0 && capturedMinor < amountMinor ? `${state}: ${capturedMinor} of ${amountMinor}` : state
}

/**
 * An end without a fence additionally needs that no intent is stored: then none can be confirmed any more. If the
 * commit that stored the intent was lost, the intent is stored now.
 */
function writeOutcome(
  tx: Tx,
  { attempt }: OwnedPayment,
  { settledAt, amountMinor, capturedMinor }: Payment,
  outcome: FinalOutcome,
  { fenced, intentId }: Pick<Extract<Evidence, { kind: 'outcome' }>, 'fenced' | 'intentId'>,
): void {
  const isInPart = outcome.state === 'succeeded' && capturedMinor < amountMinor
  tx.write(sql`
    WITH changed AS (
      UPDATE payments
         SET state = ${outcome.state}::payment_state, leased_until = NULL, owner = NULL,
             settled_at = ${settledAt}::timestamptz, captured_minor = ${isInPart ? capturedMinor : null},
             decline_code = ${'declineCode' in outcome ? outcome.declineCode : null},
             declined_by = ${'declinedBy' in outcome ? outcome.declinedBy : null},
             gateway_charge_id = ${outcome.state === 'succeeded' ? outcome.gatewayChargeId : null},
             gateway_intent_id = COALESCE(gateway_intent_id, ${intentId})
       WHERE ${isOwnedBy(leasedPayments, attempt)} AND (${fenced} OR gateway_intent_id IS NULL)
      RETURNING id)
    SELECT ${changedOne['payment-generation']}`)
}

/** From what the gateway owes us to what we owe the merchant. */
function book({ runtime }: PaymentDeps, tx: Tx, { id, accountId, capturedMinor, currency }: Payment): void {
  tx.write(sql`
    INSERT INTO transfers (id, account_id, payment_id, kind, debit_account, credit_account, amount_minor, currency)
    VALUES (${runtime.newId()}::uuid, ${accountId}::uuid, ${id}::uuid, 'charge', 'gateway', ${`merchant:${accountId}`},
            ${capturedMinor}, ${currency})`)
}

/** No request asked for this refund, so no key is bound to it; recovery finds it due. */
async function refundAll(deps: PaymentDeps, tx: Tx, { id: paymentId, accountId }: Payment): Promise<void> {
  const reason = 'nothing was left of what was paid for'
  const opened = await openRefund(deps, tx, { accountId, paymentId, amountMinor: null, reason, lease: null })
  if (opened.kind !== 'opened') throw new Error(`payment ${paymentId} could not be refunded`)
}

/**
 * The money is reserved. The step is over, and the order waits for the merchant; or its purpose decides in this very
 * commit, so that no authorization is ever without an owner that ends it.
 */
async function authorize(
  deps: PaymentDeps,
  tx: Tx,
  row: RowToSettle,
  purpose: SettlingPurpose,
  owned: OwnedPayment,
  { evidence, nextLease }: PaymentFound,
): Promise<Settled> {
  const payment: Payment = { ...owned.payment, state: 'authorized', authorizedAt: row.now }
  writeAuthorization(tx, owned, evidence.intentId, row.now)
  note(deps, tx, owned, [...evidence.requestLog, { event: 'settled', detail: 'authorized' }])
  const next = await purpose.authorized(payment)
  if (next !== 'await') {
    const gatewayIntentId = row.gatewayIntentId ?? evidence.intentId
    const authorized = { ...row, state: 'authorized', authorizedAt: row.now, gatewayIntentId } as const
    return claimNextStep(deps, tx, { row: authorized, owned, goal: next, nextLease })
  }
  tellPayment(deps, tx, payment)
  const outcome = { state: 'authorized' } as const
  return answer(deps, tx, payment, purpose, 'pay', (step) => deps.renderings.paymentSettled(payment, outcome, step))
}

/**
 * Card networks let an authorization lapse after 4 days and 18 hours at the earliest (Visa, without the customer
 * there); counted from the claim, which came before it. Stripe: "Place a hold on a payment method", "Authorization
 * window".
 */
const authorizationDays = 4

function writeAuthorization(tx: Tx, { attempt }: OwnedPayment, intentId: string | null, now: Date): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE payments
         SET state = 'authorized', leased_until = NULL, wake_requested = false, decline_code = NULL, declined_by = NULL,
             authorized_at = ${now}::timestamptz, gateway_intent_id = COALESCE(gateway_intent_id, ${intentId}),
             void_at = step_started_at + make_interval(days => ${authorizationDays}::int)
       WHERE ${isOwnedBy(leasedPayments, attempt)} AND goal = 'authorize'
      RETURNING id)
    SELECT ${changedOne['payment-generation']}`)
}

/** The order's version was read under the lock: it is the claim's, unless an invariant is broken. */
function moveOrderOf(tx: Tx, { orderId, orderVersion, orderState }: RowToSettle, state: OrderState): void {
  if (orderState !== 'processing') throw new Error(`order ${orderId} is ${orderState} while its payment is settled`)
  moveOrder(tx, { id: orderId, version: orderVersion } satisfies Pick<Order, 'id' | 'version'>, state)
}

/** Records what the caller of this step receives, if a caller's key started it. */
function answer(
  { layers }: PaymentDeps,
  tx: Tx,
  { id: paymentId, accountId }: Payment,
  purpose: SettlingPurpose,
  goal: PaymentStep,
  render: PaymentEnd['answer'],
): Result {
  const recorded = render(goal)
  layers.idempotencyKey.recordAnswer(tx, accountId, { step: purpose.keyStep(goal), paymentId }, recorded)
  return { kind: 'answered', answer: recorded, replayed: false }
}

function stepOf({ attempt: { goal } }: OwnedPayment): PaymentStep {
  return goal === 'capture' || goal === 'void' ? goal : 'pay'
}

/** Without evidence. After a day in which the gateway answered, the payment also waits for a person. */
export async function leavePaymentOpen(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedPayment,
  evidence: Extract<Evidence, { kind: 'unknown' }>,
): Promise<Result> {
  const { payment, attempts, isOverdue } = owned
  if (evidence.isOrphan)
    await recordOrphan(deps, tx, orphanOf(owned, evidence, 'a creation under this key was refused'))
  const needsReview = evidence.isOrphan || (isOverdue && evidence.readable)
  const waitsFor = needsReview || payment.state === 'needs_review' ? 'person' : 'gateway'
  const entersReview = needsReview && payment.state !== 'needs_review'
  giveUp(deps, tx, leasedPayments, owned.attempt, { attempts, waitsFor, needsReview })
  const look = [...evidence.requestLog, { event: 'unknown', detail: evidence.reason }]
  if (entersReview || isByOperator(evidence)) note(deps, tx, owned, look)
  else noteLook(deps, tx, owned, look)
  if (entersReview) reportReview(deps, tx, `payment ${payment.id}`, orderLockName(payment))
  return { kind: 'unsettled', subject: needsReview ? { ...payment, state: 'needs_review' } : payment }
}

/**
 * The payment is no longer as it was claimed: another owner has taken over, or this very settle was committed before
 * and its COMMIT was not answered. What was learned is never thrown away, and what is recorded is the answer.
 *
 * Whether a later step is this owner's own stands in the row: the settling commit left its owner there.
 */
async function settleAsFormerOwner(
  deps: PaymentDeps,
  tx: Tx,
  row: RowToSettle,
  purpose: SettlingPurpose,
  owned: OwnedPayment,
  { evidence, nextLease }: PaymentFound,
  call: Call | null,
): Promise<Settled> {
  const { attempt } = owned
  const isNextStep = row.generation === attempt.generation + 1 && row.owner === attempt.owner && row.settledAt === null
  if (isNextStep && nextLease)
    return { kind: 'continues', attempt: toNextStep(row, owned.purpose, { owner: attempt.owner, lease: nextLease }) }
  const isEnd = row.settledAt !== null || row.state === 'authorized'
  // A generation never falls: the commits of this owner's step were lost, and only this owner knows its outcome.
  const isLost = row.generation < attempt.generation && row.settledAt === null
  if (isLost && evidence.kind === 'outcome' && evidence.outcome.state !== 'authorized') {
    const outcome = row.authorizedAt === null ? asIfClaimed(evidence.outcome) : evidence.outcome
    const known = { outcome, intentId: evidence.intentId, requestLog: evidence.requestLog }
    const step = stepOf(owned)
    const goal = step === 'pay' ? endOf(outcome) : step
    const settled = await settleUnowned(deps, tx, { ...row, purpose: owned.purpose }, known, goal)
    if (settled.kind === 'answered') await bindAgain(deps, tx, call, settled.answer)
    return settled
  }
  const isOwnCommit = row.generation === attempt.generation && isEnd
  if (!isOwnCommit) recordLateEvidence(deps, tx, row, owned, evidence)
  return answerAsRecorded(deps, tx, {
    accountId: row.accountId,
    target: { step: purpose.keyStep(stepOf(owned)), paymentId: row.id },
    subject: toPayment(row),
    isOwnCommit,
    isFirstOwner: attempt.isFirstOwner,
  })
}

export interface UnownedEvidence {
  readonly outcome: FinalOutcome
  readonly intentId: string | null
  readonly requestLog: Evidence['requestLog']
}

/**
 * Settles an open or authorized payment by final evidence that no owner of the row brought, under its order's lock:
 * takes it from its owner, then does what that owner would have done. An owner that comes later loses by the
 * generation, and returns what is recorded. `goal`: of an authorization, the step that ends it.
 */
export function settleUnowned(
  deps: PaymentDeps,
  tx: Tx,
  row: PaymentRow & Pick<OwnedPayment, 'purpose'>,
  { outcome, intentId, requestLog }: UnownedEvidence,
  goal: 'capture' | 'void' = endOf(outcome),
): Promise<Settled> {
  const isAuthorized = row.state === 'authorized'
  const stored = toAttempt(row, { ...noOwner, wanted: true, keyIsRemembered: true })
  const { generation } = isAuthorized
    ? claimCaptureOrVoid(deps, tx, { row, goal, owner: null })
    : { generation: depose(tx, leasedPayments, row) }
  const attempt = { ...stored, generation, goal: isAuthorized ? goal : stored.goal }
  const owned = { payment: toPayment(row), purpose: row.purpose, attempt, attempts: 0, isOverdue: false }
  const evidence = { kind: 'outcome', outcome, fenced: true, intentId, requestLog } as const
  return settlePayment(deps, tx, owned, { evidence, nextLease: null })
}

function endOf({ state }: FinalOutcome): 'capture' | 'void' {
  return state === 'succeeded' ? 'capture' : 'void'
}

/**
 * Settles a payment whose row was lost with its commit.
 *
 * It enters this owner's evidence anew, if the order still waits for it or can be written anew. A payment that was
 * claimed since meets the same intent, and recovery looks at it. Otherwise money is an orphan.
 */
async function settleLostPayment(
  deps: PaymentDeps,
  tx: Tx,
  owned: OwnedPayment,
  { evidence, nextLease }: PaymentFound,
  call: Call | null,
  enterOrder: EnterOrder | null,
): Promise<Settled> {
  const { payment, attempt } = owned
  const { accountId, orderId } = payment
  const unsettled = { kind: 'unsettled', subject: payment } as const
  const repeated = await findPaymentNamed(tx, orderId, attempt.gatewayKey)
  if (repeated) {
    recordLateEvidence(deps, tx, repeated, { ...owned, payment: toPayment(repeated) }, evidence)
    return unsettled
  }
  const order = await readOrderToDecide(deps, tx, accountId, orderId)
  const found = order ?? (await enterOrder?.()) ?? null
  if (found && isAdoptable(found, payment, attempt.gatewayKey)) {
    const again = adoptIntent(deps, tx, found, { ...attempt, intentId: evidence.intentId })
    const purpose = await deps.purposes[again.purpose].settling(deps, tx, again.payment)
    const settled = await settlePayment(deps, tx, again, { evidence: evidenceAsIfClaimed(evidence), nextLease })
    const target = { step: purpose.keyStep(stepOf(again)), paymentId: payment.id }
    await bindAgain(deps, tx, call, settled.kind === 'answered' ? settled.answer : target)
    return settled
  }
  const isMoneyPossible = evidence.kind === 'unknown' ? evidence.intentId !== null : !isWithoutMoney(evidence.outcome)
  if (isMoneyPossible)
    await recordOrphan(deps, tx, orphanOf(owned, evidence, 'its row was lost, and its order is not open'))
  return unsettled
}

function isWithoutMoney({ state }: Extract<Evidence, { kind: 'outcome' }>['outcome']): boolean {
  return state === 'declined' || state === 'cancelled' || state === 'voided'
}

function evidenceAsIfClaimed(evidence: Evidence): Evidence {
  if (evidence.kind === 'unknown' || evidence.outcome.state === 'authorized') return evidence
  return { ...evidence, outcome: asIfClaimed(evidence.outcome) }
}

/** A payment whose authorization was lost is not authorized in our books, so it cannot be voided there. */
function asIfClaimed(outcome: FinalOutcome): FinalOutcome {
  if (outcome.state !== 'voided') return outcome
  const { declineCode } = outcome
  return declineCode === null ? { state: 'cancelled' } : { state: 'declined', declineCode, declinedBy: 'gateway' }
}

function orphanOf({ payment, attempt }: OwnedPayment, evidence: Evidence, why: string) {
  const { amountMinor, currency, metadata } = attempt.intentParameters
  return {
    kind: 'payment',
    accountId: payment.accountId,
    orderId: payment.orderId,
    orderReference: metadata.orderId,
    gatewayKey: attempt.gatewayKey,
    gatewayIntentId: evidence.intentId,
    gatewayRefundId: null,
    amountMinor,
    currency,
    // Of a creation that was refused, no intent is known that a repetition would meet.
    keyKnownUntil: evidence.intentId === null ? null : keyKnownUntil(payment.createdAt),
    seen: evidence.kind === 'unknown' ? evidence.reason : evidence.outcome.state,
    why,
  } as const
}

/** Writes what a deposed owner knows into the history, and makes recovery run if the payment is still open. */
function recordLateEvidence(deps: PaymentDeps, tx: Tx, row: PaymentRow, owned: OwnedPayment, evidence: Evidence): void {
  const learned = evidence.kind === 'outcome' ? evidence.outcome.state : null
  const detail = learned ?? (evidence.kind === 'unknown' ? evidence.reason : null)
  note(deps, tx, owned, [...evidence.requestLog, { event: 'superseded', detail }])
  const isOpen = openPaymentStates.some((open) => open === row.state)
  if (isOpen) requestRecovery(tx, leasedPayments, row.id)
  if (isOpen || learned === null || learned === 'authorized' || learned === row.state) return
  // Two owners read different outcomes from the gateway. Report it: one of them is wrong about money.
  const fault = new Error(`payment ${row.id} is ${row.state}, and a deposed owner saw it ${learned}`)
  tx.afterCommit(() => deps.layers.reportFault(fault, orderLockName(row)))
}

function note(deps: PaymentDeps, tx: Tx, owned: OwnedPayment, entries: readonly HistoryEntry[]): void {
  appendHistory(deps, tx, historyOf(deps, owned), entries)
}

function noteLook(deps: PaymentDeps, tx: Tx, owned: OwnedPayment, entries: readonly HistoryEntry[]): void {
  const stepStart = sql`SELECT ${leasedPayments.stepStart} FROM payments WHERE id = ${owned.payment.id}::uuid`
  appendLook(deps, tx, historyOf(deps, owned), entries, stepStart)
}

function historyOf({ by }: PaymentDeps, { payment, attempt }: OwnedPayment): HistoryOwner {
  const { accountId, id: paymentId } = payment
  return { accountId, paymentId, generation: attempt.generation, by }
}
