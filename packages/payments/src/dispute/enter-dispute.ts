import { type Dispute as DisputeRow, type Payment as PaymentRow, sql, type Tx } from '@seatbelt/database'
import {
  type Dispute,
  type DisputeKnown,
  type DisputeSeen,
  disputeAfter,
  isDisputeNews,
  type Moved,
  type OrderPurpose,
  refundableMinor,
} from '@seatbelt/domain'
import { changedOne, type GatewayDispute } from '@seatbelt/safety'
import { enqueueMessages, type Topic } from '../messages/enqueue-messages.ts'
import { appendHistory, type HistoryEntry } from '../shared/history.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toCurrency, toDispute, toPayment } from '../shared/rows.ts'

/**
 * `entered`: our books show it now. `known`: they had it. `must-wait`: the payment is open. `contradicts`: our payment
 * took nothing, or took another currency, which was reported.
 */
export type EnteredDispute = 'entered' | 'known' | 'must-wait' | 'contradicts'

export interface DisputeToEnter {
  readonly paymentId: string
  readonly shown: GatewayDispute
  /** When the gateway showed it. */
  readonly seenAt: Date
  /** Where it was learned, for the history. */
  readonly requestLog: readonly HistoryEntry[]
}

/**
 * Enters a dispute as the gateway shows it: the dispute, the columns of its payment, a transfer for each movement of
 * money, the history, and the messages. Under the lock of the payment's order, by the process that learned of it: a
 * webhook or reconciliation.
 *
 * Guarantees: each movement of money is booked once, no matter how often and in which order the news arrive; older news
 * change no status. The claim of a refund needs the same lock, so it sees each dispute that our books have. The order
 * and the booking stay as they are: the merchant decides about them.
 * Does not guarantee: fees. The gateway's fees, those of a dispute included, are in none of our books.
 */
export async function enterDispute(
  deps: PaymentDeps,
  tx: Tx,
  { paymentId, shown, seenAt, requestLog }: DisputeToEnter,
): Promise<EnteredDispute> {
  const { payment, purpose, row } = await readDisputed(tx, paymentId, shown.id)
  if (payment.settledAt === null) return 'must-wait'
  if (payment.state !== 'succeeded' || shown.currency !== payment.currency) return contradict(deps, tx, payment, shown)
  const known = row && toKnown(row)
  const after = disputeAfter(known, asSeen(shown, seenAt))
  if (!isDisputeNews(known, after)) return 'known'

  const dispute = row ? update(tx, row, after) : insert(deps, tx, payment, shown, after)
  const moved = {
    withdrawnMinor: after.withdrawnMinor - (row?.withdrawnMinor ?? 0),
    reinstatedMinor: after.reinstatedMinor - (row?.reinstatedMinor ?? 0),
  }
  movePayment(tx, payment, moved)
  transfer(deps, tx, dispute, moved)
  note(deps, tx, payment, dispute, requestLog)
  announce(deps, tx, dispute, topicsOf(known, after, moved), row?.told ?? [])
  if (moved.reinstatedMinor > 0) {
    const disputedMinor = payment.disputedMinor + moved.withdrawnMinor - moved.reinstatedMinor
    const leftMinor = refundableMinor({ ...toPayment(payment), disputedMinor })
    const { id, accountId, orderId } = payment
    await deps.purposes[purpose].reinstated(deps, tx, { id, accountId, orderId, gatewayDisputeId: shown.id, leftMinor })
  }
  if (shown.moved === null)
    report(deps, tx, payment, `dispute ${shown.id} moved money in another currency: book it by hand`)
  return 'entered'
}

/** In the words of the domain. */
export function asSeen(shown: GatewayDispute, seenAt: Date): DisputeSeen {
  const { status: gatewayStatus, allowsRefunds, amountMinor, respondBy, moved } = shown
  return { gatewayStatus, allowsRefunds, amountMinor, respondBy, moved, seenAt }
}

export function toKnown(row: DisputeRow): DisputeKnown {
  const { gatewayStatus, withdrawnMinor, reinstatedMinor, amountMinor, respondBy, seenAt } = row
  const { state } = toDispute(row)
  return { state, gatewayStatus, withdrawnMinor, reinstatedMinor, amountMinor, respondBy, seenAt }
}

interface Disputed {
  readonly payment: PaymentRow
  readonly purpose: OrderPurpose
  /** `told`: what the merchant was told about it. Null: our books do not have it. */
  readonly row: (DisputeRow & { readonly told: readonly string[] }) | null
}

async function readDisputed(tx: Tx, paymentId: string, gatewayDisputeId: string): Promise<Disputed> {
  const [[payment], [row]] = await Promise.all([
    tx.read<PaymentRow & { readonly purpose: OrderPurpose }>(sql`
      SELECT payments.*, (SELECT purpose FROM orders WHERE id = payments.order_id)
        FROM payments WHERE id = ${paymentId}::uuid`),
    tx.read<NonNullable<Disputed['row']>>(sql`
      SELECT disputes.*,
             ARRAY(SELECT topic FROM outbox WHERE subject_id = disputes.id AND channel = 'webhook') AS told
        FROM disputes WHERE gateway_dispute_id = ${gatewayDisputeId}`),
  ])
  if (!payment) throw new Error(`payment ${paymentId} is gone`)
  return { payment, purpose: payment.purpose, row: row ?? null }
}

function insert(
  { runtime }: PaymentDeps,
  tx: Tx,
  { id: paymentId, accountId, currency }: PaymentRow,
  { id: gatewayDisputeId, reason, createdAt: openedAt }: GatewayDispute,
  { seenAt, ...after }: DisputeKnown,
): Dispute {
  const id = runtime.newId()
  tx.write(sql`
    INSERT INTO disputes (id, account_id, payment_id, gateway_dispute_id, state, gateway_status, reason, amount_minor,
                          currency, withdrawn_minor, reinstated_minor, respond_by, opened_at, seen_at)
    VALUES (${id}::uuid, ${accountId}::uuid, ${paymentId}::uuid, ${gatewayDisputeId}, ${after.state},
            ${after.gatewayStatus}, ${reason}, ${after.amountMinor}, ${currency}, ${after.withdrawnMinor},
            ${after.reinstatedMinor}, ${after.respondBy}::timestamptz, ${openedAt}::timestamptz, ${seenAt}::timestamptz)`)
  return { id, accountId, paymentId, gatewayDisputeId, reason, currency: toCurrency(currency), openedAt, ...after }
}

function update(tx: Tx, row: DisputeRow, { seenAt, ...after }: DisputeKnown): Dispute {
  tx.write(sql`
    WITH changed AS (
      UPDATE disputes
         SET state = ${after.state}, gateway_status = ${after.gatewayStatus}, amount_minor = ${after.amountMinor},
             withdrawn_minor = ${after.withdrawnMinor}, reinstated_minor = ${after.reinstatedMinor},
             respond_by = ${after.respondBy}::timestamptz, seen_at = ${seenAt}::timestamptz
       WHERE id = ${row.id}::uuid AND seen_at = ${row.seenAt}::timestamptz
         AND withdrawn_minor = ${row.withdrawnMinor} AND reinstated_minor = ${row.reinstatedMinor}
      RETURNING id)
    SELECT ${changedOne['dispute-seen']}`)
  return { ...toDispute(row), ...after }
}

/** After the dispute was written. Of several disputes, the payment shows the state that matters most. */
function movePayment(tx: Tx, payment: PaymentRow, { withdrawnMinor, reinstatedMinor }: Moved): void {
  const { id, disputedMinor } = payment
  tx.write(sql`
    WITH changed AS (
      UPDATE payments
         SET disputed_minor = ${disputedMinor + withdrawnMinor - reinstatedMinor},
             dispute_state = (
               SELECT state FROM disputes WHERE payment_id = ${id}::uuid
                ORDER BY array_position(ARRAY['open', 'inquiry', 'lost', 'won', 'closed'], state) LIMIT 1)
       WHERE id = ${id}::uuid AND state = 'succeeded' AND disputed_minor = ${disputedMinor}
      RETURNING id)
    SELECT ${changedOne['payment-disputed']}`)
}

/**
 * From what we owe the merchant to what the gateway owes us, or back. The time is that under the order's lock, so
 * that it tells whether a booking was cancelled before or after.
 */
function transfer(
  { runtime }: PaymentDeps,
  tx: Tx,
  dispute: Dispute,
  { withdrawnMinor, reinstatedMinor }: Moved,
): void {
  const { id, accountId, paymentId, currency } = dispute
  const merchant = `merchant:${accountId}`
  for (const [kind, amountMinor, debit, credit] of [
    ['dispute_withdrawal', withdrawnMinor, merchant, 'gateway'],
    ['dispute_reinstatement', reinstatedMinor, 'gateway', merchant],
  ] as const) {
    if (amountMinor === 0) continue
    tx.write(sql`
      INSERT INTO transfers (id, account_id, payment_id, dispute_id, kind, debit_account, credit_account, amount_minor, currency,
                             created_at)
      VALUES (${runtime.newId()}::uuid, ${accountId}::uuid, ${paymentId}::uuid, ${id}::uuid, ${kind}, ${debit}, ${credit},
              ${amountMinor}, ${currency}, clock_timestamp())`)
  }
}

function note(
  deps: PaymentDeps,
  tx: Tx,
  { generation }: PaymentRow,
  { accountId, paymentId, gatewayDisputeId, gatewayStatus, withdrawnMinor, reinstatedMinor }: Dispute,
  requestLog: readonly HistoryEntry[],
): void {
  const moved = `${withdrawnMinor} withdrawn, ${reinstatedMinor} reinstated`
  const entry = { event: 'disputed', detail: `${gatewayDisputeId}: ${gatewayStatus}, ${moved}` }
  appendHistory(deps, tx, { accountId, paymentId, generation, by: deps.by }, [...requestLog, entry])
}

function topicsOf(known: DisputeKnown | null, { state }: DisputeKnown, moved: Moved): readonly Topic[] {
  const hasEnded = state === 'won' || state === 'lost' || state === 'closed'
  return [
    ...(known === null ? (['dispute.opened'] as const) : []),
    ...(moved.withdrawnMinor > 0 ? (['dispute.funds_withdrawn'] as const) : []),
    ...(moved.reinstatedMinor > 0 ? (['dispute.funds_reinstated'] as const) : []),
    ...(hasEnded && known?.state !== state ? ([`dispute.${state}`] as const) : []),
  ]
}

/** To the account's webhook. After an appeal a dispute can end again as it had ended, which is published once. */
function announce(
  deps: PaymentDeps,
  tx: Tx,
  dispute: Dispute,
  topics: readonly Topic[],
  told: readonly string[],
): void {
  const { id: subjectId, accountId } = dispute
  for (const topic of topics.filter((one) => !told.includes(one)))
    enqueueMessages(deps, tx, {
      accountId,
      topic,
      subjectId,
      data: deps.renderings.disputeSeen(dispute),
      receipt: null,
    })
}

function contradict(deps: PaymentDeps, tx: Tx, payment: PaymentRow, shown: GatewayDispute): EnteredDispute {
  const took = payment.state === 'succeeded' ? `took ${payment.currency}` : `is ${payment.state}`
  report(deps, tx, payment, `it ${took}, and ${shown.id} disputes ${shown.amountMinor} ${shown.currency} of it`)
  return 'contradicts'
}

function report({ layers }: PaymentDeps, tx: Tx, payment: PaymentRow, what: string): void {
  tx.afterCommit(() => layers.reportFault(new Error(`payment ${payment.id}: ${what}`), orderLockName(payment)))
}
