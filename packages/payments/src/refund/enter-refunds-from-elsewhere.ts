import { type Payment as PaymentRow, sql, type Tx } from '@seatbelt/database'
import type { OrderState, Refund } from '@seatbelt/domain'
import { type GatewayRefund, isMadeElsewhere, readRefundOutcome } from '@seatbelt/safety'
import { tellRefund } from '../messages/enqueue-messages.ts'
import { appendHistory, type HistoryEntry } from '../shared/history.ts'
import { leasedPayments, leasedRefunds } from '../shared/leased-work.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { bookRefundsFromElsewhere } from './book-refund.ts'

/**
 * `entered`: they are in our books now. `known`: there was nothing to enter. `must-wait`: the payment, or a refund of
 * ours that reserves the same money, is open. `contradicts`: our books have no room for them, which was reported.
 */
export type EnteredFromElsewhere = 'entered' | 'known' | 'must-wait' | 'contradicts'

export interface RefundsFromElsewhere {
  readonly paymentId: string
  /** As the gateway shows them. Those that we requested, and those that failed there, are left out. */
  readonly shown: readonly GatewayRefund[]
  /** Where it was learned, for the history. */
  readonly requestLog: readonly HistoryEntry[]
  /** A person decided that they are refunds, also where one was taken for the release of a partial capture. */
  readonly areRefunds?: true
}

/**
 * Enters refunds that were made at the gateway without us: the refund itself with origin `gateway`, what the payment
 * and its order become, the transfer, the history, and the messages. Under the lock of the payment's order, by the
 * process that learned of them: a webhook, a look, reconciliation.
 *
 * Guarantees: a refund is entered once, no matter who reports it and how often. Refunds never exceed the payment: while
 * a refund of ours reserves the same money, it must end first, because the gateway will refuse one of the two. What a
 * partial capture released is noted in the history and not entered.
 */
export async function enterRefundsFromElsewhere(
  deps: PaymentDeps,
  tx: Tx,
  { paymentId, shown, requestLog, areRefunds }: RefundsFromElsewhere,
): Promise<EnteredFromElsewhere> {
  const payment = await readRefundedPayment(tx, paymentId, shown)
  if (payment.settledAt === null) return 'must-wait'
  const toEnter = oldestFirst(shown.filter((refund) => isToEnter(refund, payment)))
  const release = areRefunds ? undefined : toEnter.find((refund) => isRelease(refund, payment))
  if (release && payment.releaseId === null) noteRelease(deps, tx, payment, release)
  const unknown = toEnter.filter((refund) => refund !== release)
  if (unknown.length === 0) return 'known'
  const fitting = thatFit(unknown, payment)
  if (fitting.length > 0) enter(deps, tx, payment, fitting, requestLog)
  if (fitting.length === unknown.length) return 'entered'
  return payment.hasOpenRefunds ? 'must-wait' : contradict(deps, tx, payment, unknown)
}

interface RefundedPayment extends PaymentRow {
  readonly paidMinor: number
  readonly orderVersion: number
  readonly orderState: OrderState
  readonly hasOpenRefunds: boolean
  /** The refunds of the gateway, of those shown, that our books have. */
  readonly knownIds: readonly string[]
  /** The refund that the gateway shows for the release of a partial capture. Null: it was not seen yet. */
  readonly releaseId: string | null
  readonly now: Date
}

async function readRefundedPayment(
  tx: Tx,
  paymentId: string,
  shown: readonly GatewayRefund[],
): Promise<RefundedPayment> {
  const ids = shown.map(({ id }) => id)
  const [row] = await tx.read<RefundedPayment>(sql`
    SELECT payments.*, COALESCE(captured_minor, payments.amount_minor) AS paid_minor, orders.version AS order_version,
           orders.state::text AS order_state, clock_timestamp() AS now,
           EXISTS (SELECT FROM refunds WHERE payment_id = payments.id AND ${leasedRefunds.isOpen}) AS has_open_refunds,
           ARRAY(SELECT gateway_refund_id FROM refunds WHERE gateway_refund_id = ANY (${ids}::text[])) AS known_ids,
           ${releaseOf} AS release_id
      FROM payments JOIN orders ON orders.id = payments.order_id
     WHERE payments.id = ${paymentId}::uuid`)
  if (!row) throw new Error(`payment ${paymentId} is gone`)
  return row
}

/** Stripe also shows a released authorization as a refund. A payment that took nothing has no refund to enter. */
function isToEnter(refund: GatewayRefund, { state, gatewayChargeId, currency, knownIds }: RefundedPayment): boolean {
  return (
    state === 'succeeded' &&
    isMadeElsewhere(refund) &&
    refund.chargeId === gatewayChargeId &&
    refund.currency === currency &&
    readRefundOutcome(refund).state !== 'failed' &&
    !knownIds.includes(refund.id)
  )
}

/** The gateway's clock and ours differ. A longer time takes more refunds for the release of a capture. */
const clockOffMs = 60_000

/**
 * Stripe shows what a partial capture released as a refund of that amount, which moved no money.
 *
 * The first refund of that amount, made before our books learned of the capture, is the release. Any other is a refund,
 * so that the sum is right in whatever order they are shown.
 */
function isRelease({ id, amountMinor, createdAt }: GatewayRefund, payment: RefundedPayment): boolean {
  const { capturedMinor, settledAt, releaseId } = payment
  if (releaseId !== null) return id === releaseId
  if (capturedMinor === null || settledAt === null) return false
  return amountMinor === payment.amountMinor - capturedMinor && createdAt.getTime() <= settledAt.getTime() + clockOffMs
}

const released = 'authorization-released'
/** Of a row of payments. */
export const releaseOf = sql`(
  SELECT detail FROM payment_events WHERE payment_id = payments.id AND event = ${released} ORDER BY id LIMIT 1)`

function noteRelease(deps: PaymentDeps, tx: Tx, payment: RefundedPayment, { id: detail }: GatewayRefund): void {
  const { id: paymentId, accountId, generation } = payment
  appendHistory(deps, tx, { accountId, paymentId, generation, by: deps.by }, [{ event: released, detail }])
}

/** A list shows the newest first, and its times are whole seconds. */
function oldestFirst(refunds: readonly GatewayRefund[]): GatewayRefund[] {
  return refunds.toReversed().toSorted((one, other) => one.createdAt.getTime() - other.createdAt.getTime())
}

function thatFit(
  refunds: readonly GatewayRefund[],
  { paidMinor, refundedMinor, refundPendingMinor }: RefundedPayment,
): GatewayRefund[] {
  let roomMinor = paidMinor - refundedMinor - refundPendingMinor
  return refunds.filter(({ amountMinor }) => {
    const fits = amountMinor <= roomMinor
    if (fits) roomMinor -= amountMinor
    return fits
  })
}

function enter(
  deps: PaymentDeps,
  tx: Tx,
  payment: RefundedPayment,
  shown: readonly GatewayRefund[],
  requestLog: readonly HistoryEntry[],
): void {
  const { id: paymentId, accountId, generation } = payment
  const refunds = shown.map((refund) => insertEntered(deps, tx, payment, refund))
  bookRefundsFromElsewhere(deps, tx, payment, refunds)
  appendHistory(deps, tx, { accountId, paymentId, generation, by: deps.by }, requestLog)
  refunds.forEach((refund, at) => {
    const entry = { event: 'refunded-elsewhere', detail: `${shown[at]?.id}: ${refund.state}` }
    appendHistory(deps, tx, { accountId, paymentId, refundId: refund.id, generation: 1, by: deps.by }, [entry])
    if (refund.state === 'succeeded') tellRefund(deps, tx, refund, shown[at]?.id ?? null)
  })
}

/** A refund that is pending reserves its amount, and recovery looks at it like at any other. */
function insertEntered({ runtime }: PaymentDeps, tx: Tx, row: RefundedPayment, shown: GatewayRefund): Refund {
  const { id: paymentId, accountId, orderId, currency } = toPayment(row)
  const state = readRefundOutcome(shown).state === 'succeeded' ? 'succeeded' : 'pending'
  const refund: Refund = {
    id: runtime.newId(),
    accountId,
    orderId,
    paymentId,
    origin: 'gateway',
    amountMinor: shown.amountMinor,
    currency,
    reason: null,
    state,
    failureCode: null,
    createdAt: row.now,
    settledAt: state === 'succeeded' ? row.now : null,
    reversedAt: null,
  }
  tx.write(sql`
    INSERT INTO refunds (id, account_id, order_id, payment_id, origin, amount_minor, currency, state,
                         gateway_intent_id, gateway_charge_id, gateway_refund_id, next_attempt_at, created_at, settled_at)
    VALUES (${refund.id}::uuid, ${accountId}::uuid, ${orderId}::uuid, ${paymentId}::uuid, 'gateway',
            ${refund.amountMinor}, ${currency}, ${state}::refund_state, ${row.gatewayIntentId}, ${row.gatewayChargeId},
            ${shown.id}, clock_timestamp(), ${refund.createdAt}::timestamptz, ${refund.settledAt}::timestamptz)`)
  return refund
}

/**
 * Makes recovery settle what refunds from elsewhere must wait for. An authorization is left alone: it has no owner, and
 * the event of its capture is on its way.
 */
export function requestWhatMustSettle(tx: Tx, paymentId: string): void {
  for (const [{ name, isOpen }, column] of [
    [leasedPayments, sql`id`],
    [leasedRefunds, sql`payment_id`],
  ] as const)
    tx.write(sql`
      UPDATE ${name} SET next_attempt_at = clock_timestamp(), wake_requested = true
       WHERE ${column} = ${paymentId}::uuid AND ${isOpen}`)
}

function contradict(
  { layers }: PaymentDeps,
  tx: Tx,
  payment: RefundedPayment,
  refunds: readonly GatewayRefund[],
): EnteredFromElsewhere {
  const ids = refunds.map(({ id }) => id).join(', ')
  const fault = new Error(`payment ${payment.id}: the gateway gave back more than our books have left (${ids})`)
  tx.afterCommit(() => layers.reportFault(fault, orderLockName(payment)))
  return 'contradicts'
}
