import { empty, type Sql, sql } from '@seatbelt/database'
import { createMissingIntentLayer, createMissingRefundLayer, type Gateway, readNoAnswer } from '@seatbelt/safety'
import { createIntentStore } from '../payment/owned-payment.ts'
import { recoverPayment } from '../payment/recover-payment.ts'
import { recoverRefund } from '../refund/recover-refund.ts'
import { createRefundStore } from '../refund/refund-store.ts'
import { type LeasedTable, leasedPayments, leasedRefunds } from '../shared/leased-work.ts'
import type { PaymentDeps, Queryable } from '../shared/payment-deps.ts'
import { bringForward } from './bring-forward.ts'
import { type PaymentWithoutIntent, whyMayBeCharged } from './why-may-be-charged.ts'

export type EndedByOperator =
  /** There is no row with this id. */
  | { readonly kind: 'not-found' }
  /** Nothing was looked at. */
  | { readonly kind: 'not-looked'; readonly state: string; readonly why: string }
  /** It was looked at, and what was seen is no evidence. */
  | { readonly kind: 'left'; readonly state: string; readonly saw: string }
  /** Closed, because the gateway has no such object, or with the outcome that it turned out to have. */
  | { readonly kind: 'ended'; readonly state: string; readonly code: string | null }

interface Parts {
  readonly payments: PaymentDeps
  readonly gateway: Gateway
  /** Stands in the history. */
  readonly command: string
}

/**
 * Recovery stops using a key after 23 hours, and the gateway forgets it after 24. Then no request can arrive any more.
 */
const quietHours = 24

/**
 * Closes a refund that waits for a person as failed, and frees its reservation, if the gateway does not have it.
 *
 * Guarantees: it takes the refund over as recovery does, so that no other owner asks for it meanwhile. It reads the
 * whole list of the payment's refunds, with a key that sees the payment's intent. Only a refund that is not in the list
 * fails, under the order's lock and if no evidence came in between. Its key must have been out of use for an hour, so
 * that no request for it can be on its way.
 */
export function failMissingRefund({ payments, gateway, command }: Parts, refundId: string): Promise<EndedByOperator> {
  const { database, runtime } = payments
  const look = createMissingRefundLayer({ gateway, runtime, store: createRefundStore(database) }, command)
  return closeMissing<RefundToClose>(payments, refundId, {
    table: leasedRefunds,
    columns: sql`failure_code AS code, attempt_since, gateway_intent_id`,
    whyUnproven: ({ gatewayIntentId }) => whyIntentUnseen(gateway, gatewayIntentId),
    isQuiet: sql`AND attempt_since < now() - make_interval(hours => ${quietHours}::int)`,
    whyBusy: ({ attemptSince }) =>
      `somebody is looking at it, or it was asked for less than a day ago: its key is in use since ${attemptSince.toISOString()}`,
    recover: () => recoverRefund(payments, refundId, look),
  })
}

/**
 * Closes a payment that waits for a person as cancelled, if the gateway answers 404 for its intent. Guarantees as for a
 * refund; the key must open the account in which the intent was created.
 *
 * Without a stored intent, the commit that had stored it may be lost. Then the gateway's charges are read, and one with
 * the payment's name becomes an orphan, which a person can adopt. The payment stays open if they cannot be read.
 */
export function cancelMissingPayment(
  { payments, gateway, command }: Parts,
  paymentId: string,
): Promise<EndedByOperator> {
  const { runtime } = payments
  const look = createMissingIntentLayer({ gateway, runtime, store: createIntentStore(payments) }, command)
  return closeMissing<PaymentToClose>(payments, paymentId, {
    table: leasedPayments,
    columns: sql`decline_code AS code, gateway_account, gateway_intent_id, created_at, account_id, order_id,
                 COALESCE(gateway_key, id::text) AS name`,
    whyUnproven: async (row) =>
      (await whyOtherAccount(payments, row.gatewayAccount)) ??
      (row.gatewayIntentId === null && row.state === 'needs_review' ? whyMayBeCharged(payments, gateway, row) : null),
    isQuiet: empty,
    whyBusy: () => 'somebody is looking at it',
    recover: () =>
      recoverPayment(payments, paymentId, async (_, { attempt }) => ({
        evidence: await look(attempt),
        nextLease: null,
      })),
  })
}

/** A key of another account, or of the other mode, sees none of our intents. */
async function whyOtherAccount({ gatewayAccount }: PaymentDeps, claimedIn: string | null): Promise<string | null> {
  const opened = await gatewayAccount.learn()
  if (opened === null) return 'the gateway does not tell which account the key opens'
  if (!claimedIn) return `it is not known in which account its intent was created, and the key opens ${opened}`
  return opened === claimedIn ? null : `its intent was created in ${claimedIn}, and the key opens ${opened}`
}

/** The list of an intent's refunds is evidence only from a key that sees the intent. */
async function whyIntentUnseen(gateway: Gateway, intentId: string): Promise<string | null> {
  const answer = await gateway.retrieveIntent(intentId)
  if (answer.kind === 'intent') return null
  return `the key does not see the payment intent ${intentId} (${readNoAnswer(answer).detail}): it may open another account`
}

interface Closing<Row> {
  readonly table: LeasedTable
  /** What is read of the row, beside its state. */
  readonly columns: Sql
  /** Why what the gateway does not show proves nothing, or null. */
  readonly whyUnproven: (row: Row) => Promise<string | null>
  /** No request that was sent before can still arrive at the gateway. */
  readonly isQuiet: Sql
  readonly whyBusy: (row: Row) => string
  readonly recover: () => Promise<object | null>
}

interface ClosingRow {
  readonly state: string
  readonly settledAt: Date | null
  readonly code: string | null
}

interface RefundToClose extends ClosingRow {
  readonly attemptSince: Date
  readonly gatewayIntentId: string
}

interface PaymentToClose extends ClosingRow, PaymentWithoutIntent {
  readonly gatewayAccount: string | null
  readonly gatewayIntentId: string | null
}

async function closeMissing<Row extends ClosingRow>(
  deps: PaymentDeps,
  id: string,
  closing: Closing<Row>,
): Promise<EndedByOperator> {
  const row = await readRow<Row>(deps, id, closing)
  if (!row) return { kind: 'not-found' }
  const unproven = await closing.whyUnproven(row)
  if (unproven !== null) return { kind: 'not-looked', state: row.state, why: unproven }
  if (!(await bringForward(deps, closing.table, id, closing.isQuiet))) {
    const why = row.state === 'needs_review' ? closing.whyBusy(row) : 'it does not wait for a person'
    return { kind: 'not-looked', state: row.state, why }
  }
  const recovered = await closing.recover()
  const { state, settledAt, code } = (await readRow<Row>(deps, id, closing)) ?? row
  if (settledAt !== null) return { kind: 'ended', state, code }
  if (recovered === null) return { kind: 'not-looked', state, why: 'somebody is looking at it, or the gateway is away' }
  return { kind: 'left', state, saw: await readLastLine(deps, id, closing) }
}

async function readRow<Row extends ClosingRow>(
  { database }: Queryable,
  id: string,
  { table, columns }: Pick<Closing<Row>, 'table' | 'columns'>,
): Promise<Row | null> {
  const [row] = await database.query<Row>(sql`
    SELECT state, settled_at, ${columns} FROM ${table.name} WHERE id = ${id}::uuid`)
  return row ?? null
}

/** The last line of the history says what the look saw. A repair has no payment, and so no history. */
async function readLastLine(
  { database }: Queryable,
  id: string,
  { table }: { readonly table: LeasedTable },
): Promise<string> {
  const [line] = await database.query<{ detail: string | null }>(sql`
    SELECT detail
      FROM payment_events AS line,
           (SELECT ${table.historyOf} FROM ${table.name} WHERE id = ${id}::uuid) AS subject (payment_id, refund_id)
     WHERE line.payment_id = subject.payment_id AND line.refund_id IS NOT DISTINCT FROM subject.refund_id
     ORDER BY line.id DESC LIMIT 1`)
  return line?.detail ?? 'nothing that is evidence'
}
