import { type Sql, sql, TransactionConflict, type Tx } from '@seatbelt/database'
import { guardSettle, isContention, isMadeElsewhere } from '@seatbelt/safety'
import { type EnteredDispute, enterDispute } from '../dispute/enter-dispute.ts'
import {
  type EnteredFromElsewhere,
  enterRefundsFromElsewhere,
  requestWhatMustSettle,
} from '../refund/enter-refunds-from-elsewhere.ts'
import { type LeasedTable, leasedPayments, leasedRefunds } from '../shared/leased-work.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { recordOrphan } from '../shared/orphan.ts'
import type { PaymentDeps, Queryable } from '../shared/payment-deps.ts'
import { judgeIntentEvent, type PaymentOfEvent } from './apply-intent-event.ts'
import { judgeRefundEvent, type RefundOfEvent } from './apply-refund-event.ts'
import { enterLost, readLost } from './enter-lost.ts'
import { eventLog, type GatewayEvent, type Verdict } from './gateway-event.ts'

/**
 * `applied`: it settled something. `repeated`: it had been applied before. `noted`: recovery runs now, or there was
 * nothing left to do. `ignored`: it is about nothing of ours. `unknown`: it names something of ours that we do not
 * have; money is an orphan then. `contended`: the order's lock was not granted, or something else must be settled
 * first; nothing is recorded, and it must be delivered again.
 */
export type EventResult = 'applied' | 'repeated' | 'noted' | 'ignored' | 'unknown' | 'contended'

/**
 * Takes up an event of the gateway.
 *
 * An event says what was true when it was made, and events arrive in any order. So only what it proves for good is
 * applied, by the settling that all owners use. What is known already costs one read and no lock. Everything else is a
 * hint, upon which recovery looks for itself: one more statement, and no lock either.
 *
 * A refund that was made at the gateway without us, and a dispute, are entered into our books if they are of a payment
 * of ours.
 *
 * Guarantees: an event is applied once, in the transaction of its effect. The payment's owner loses its generation, and
 * returns what is recorded when it comes to settle. An event that contradicts a row changes nothing and is reported as
 * a fault; money that no row owns becomes an orphan. The account is the one of our row, never the one that the event
 * names.
 * Fails with: database errors; then nothing is recorded, unless the error says that it may be. Deliver it again.
 */
export async function applyGatewayEvent(deps: PaymentDeps, event: GatewayEvent): Promise<EventResult> {
  const { isApplied, subject } = await readSubject(deps, event)
  if (isApplied) return 'repeated'
  if (subject === null) return applyToOthers(deps, event)

  const verdict = judge(subject, event)
  if (verdict.kind === 'evidence' || (verdict.kind === 'contradicts' && verdict.orphan))
    return applyUnderLock(deps, event, subject)
  if (verdict.kind === 'contradicts') report(deps, subject, verdict.why)
  else if (!mayBeNews(subject, event)) return 'noted'
  await deps.database.query(recordHint(event, subject))
  return 'noted'
}

/** The subject of an event, as our books have it. */
type Subject = PaymentSubject | { readonly kind: 'refund'; readonly row: RefundOfEvent }

interface PaymentSubject {
  readonly kind: 'payment'
  readonly row: PaymentOfEvent & { readonly hasOpenRefunds: boolean }
}

const subjects = {
  payment: {
    table: leasedPayments,
    gatewayId: sql`payments.gateway_intent_id`,
    columns: sql`${leasedPayments.columns}, EXISTS (
      SELECT FROM refunds WHERE refunds.payment_id = payments.id AND ${leasedRefunds.isOpen}) AS has_open_refunds`,
  },
  refund: { table: leasedRefunds, gatewayId: sql`refunds.gateway_refund_id`, columns: leasedRefunds.columns },
}

/** What is recorded of a subject. */
interface EventRow {
  readonly kind: 'payment' | 'refund'
  readonly row: { readonly id: string; readonly accountId: string }
}

interface Read {
  readonly isApplied: boolean
  readonly subject: Subject | null
}

/**
 * Was it applied before, and what is it about? By the gateway's id where it is stored, else by what we wrote on the
 * object, and then only within one account. One statement, because a gateway delivers in bursts.
 */
async function readSubject(deps: Queryable, { id, subject }: GatewayEvent): Promise<Read> {
  const isApplied = sql`EXISTS (SELECT FROM gateway_events WHERE id = ${id} AND result = 'applied') AS is_applied`
  if (subject.kind === 'other' || subject.kind === 'dispute') {
    const { isApplied: wasApplied } = await readRow(deps, sql`SELECT ${isApplied}`)
    return { isApplied: wasApplied, subject: null }
  }
  const { accountId, orderId, paymentId, refundId } = subject.named
  const [kind, gatewayId, name] =
    subject.kind === 'refund'
      ? (['refund', subject.gatewayRefundId, refundId] as const)
      : (['payment', subject.intentId, paymentId] as const)
  const { table, columns, gatewayId: stored } = subjects[kind]
  const row = await readRow(
    deps,
    sql`SELECT ${isApplied}, ${columns} FROM (SELECT) AS once LEFT JOIN ${table.name}
            ON ${stored} = ${gatewayId}
            OR (${table.name}.account_id = ${accountId}::uuid AND ${table.name}.id = ${name}::uuid)
            OR (${table.name}.gateway_key = ${name} AND ${table.name}.order_id = (
                  SELECT id FROM orders
                   WHERE account_id = ${accountId}::uuid AND (gateway_reference = ${orderId} OR id = ${orderId}::uuid)))
         ORDER BY ${stored} = ${gatewayId} DESC NULLS LAST LIMIT 1`,
  )
  return { isApplied: row.isApplied, subject: row.id ? ({ kind, row } as unknown as Subject) : null }
}

async function readRow({ database }: Queryable, statement: Sql): Promise<{ isApplied: boolean; id?: string | null }> {
  const [row] = await database.query<{ isApplied: boolean }>(statement)
  if (!row) throw new Error('a join that always has a row has none')
  return row
}

function judge(subject: Subject, event: GatewayEvent): Verdict {
  return subject.kind === 'payment' ? judgeIntentEvent(subject.row, event) : judgeRefundEvent(subject.row, event)
}

/** Of a subject that is final, nothing can be looked up. A charge reports its refunds, and does not say which. */
function mayBeNews(subject: Subject, event: GatewayEvent): boolean {
  if (subject.row.settledAt === null) return true
  return subject.kind === 'payment' && event.subject.kind === 'charge' && subject.row.hasOpenRefunds
}

/** Judged again under the lock: what was read before it may have changed. Tried once: the gateway delivers it again. */
async function applyUnderLock(deps: PaymentDeps, event: GatewayEvent, found: Subject): Promise<EventResult> {
  return underOrderLock(deps, found, async (tx) => {
    const subject = await readAgain(tx, found)
    const verdict = judge(subject, event)
    if (verdict.kind === 'evidence') {
      // Of two copies that came this far, one waits at the row's primary key for the other, and then runs anew.
      if (!(await record(tx, event, 'applied', subject)))
        throw new TransactionConflict(`event ${event.id} was applied by a copy of it`)
      await verdict.settle(deps, tx)
      return 'applied'
    }
    if (verdict.kind === 'contradicts') {
      if (verdict.orphan) await recordOrphan(deps, tx, verdict.orphan)
      else tx.afterCommit(() => report(deps, subject, verdict.why))
    }
    return (await record(tx, event, 'noted', subject)) ? 'noted' : 'repeated'
  })
}

function underOrderLock(
  { layers }: PaymentDeps,
  { row }: Subject,
  settle: (tx: Tx) => Promise<EventResult>,
): Promise<EventResult> {
  const tryOnce = () => false
  return guardSettle(layers, orderLockName(row), settle, tryOnce).catch((fault: unknown) => {
    if (isContention(fault)) return 'contended'
    throw fault
  })
}

async function readAgain(tx: Tx, { kind, row: { id } }: Subject): Promise<Subject> {
  const { table, columns } = subjects[kind]
  const [row] = await tx.read(sql`
    SELECT ${columns} FROM ${table.name} WHERE ${table.name}.id = ${id}::uuid FOR NO KEY UPDATE`)
  if (!row) throw new Error(`${id} is gone`)
  return { kind, row } as Subject
}

/** Two sides say different things about money. No caller waits for an answer here, so a person must read it. */
function report({ layers }: PaymentDeps, { row }: Subject, why: string): void {
  layers.reportFault(new Error(why), orderLockName(row))
}

/** False: it is recorded as applied. What was only noted or ignored may be judged again. */
async function record(tx: Tx, event: GatewayEvent, result: 'applied' | 'noted', subject: Subject): Promise<boolean> {
  return (await tx.writeReturning(insertEvent(event, result, subject))).length === 1
}

function insertEvent({ id, type }: GatewayEvent, result: string, subject: EventRow | null): Sql {
  const paymentId = subject?.kind === 'payment' ? subject.row.id : null
  const refundId = subject?.kind === 'refund' ? subject.row.id : null
  return sql`
    INSERT INTO gateway_events (id, type, account_id, payment_id, refund_id, result)
    VALUES (${id}, ${type}, ${subject?.row.accountId ?? null}::uuid, ${paymentId}::uuid, ${refundId}::uuid, ${result})
    ON CONFLICT (id) DO UPDATE
       SET account_id = excluded.account_id, payment_id = excluded.payment_id, refund_id = excluded.refund_id,
           result = excluded.result
     WHERE gateway_events.result <> 'applied'
    RETURNING 1`
}

/**
 * Makes recovery run now, and an owner that gives up leave no pause. One statement, without the lock.
 *
 * Rows that are flagged and due already are skipped, so that a burst of events does not queue on the row lock ahead of
 * the settle.
 */
function recordHint(event: GatewayEvent, subject: Subject): Sql {
  // A charge reports its refunds, and does not say which.
  const refundsOf = event.subject.kind === 'charge' ? subject.row.id : null
  const wake = ({ name, isOpen }: LeasedTable, which: Sql) => sql`
      UPDATE ${name} SET next_attempt_at = clock_timestamp(), wake_requested = true
       WHERE ${which} AND ${isOpen} AND NOT (wake_requested AND next_attempt_at <= clock_timestamp())`
  return sql`
    WITH woken AS (${wake(subjects[subject.kind].table, sql`id = ${subject.row.id}::uuid`)}),
    woken_refunds AS (${wake(leasedRefunds, sql`payment_id = ${refundsOf}::uuid`)})
    ${insertEvent(event, 'noted', subject)}`
}

/** It is about no row of ours, unless it is a refund or a dispute that was made at the gateway without us. */
function applyToOthers(deps: PaymentDeps, event: GatewayEvent): Promise<EventResult> {
  const { subject } = event
  const requestLog = eventLog(deps, event)
  if (subject.kind === 'dispute') {
    const { shown, seenAt } = subject
    return enterUnderLock(deps, event, shown, (tx, paymentId) =>
      enterDispute(deps, tx, { paymentId, shown, seenAt, requestLog }),
    )
  }
  const shown = subject.kind === 'refund' ? subject.shown : null
  if (shown === null || !isMadeElsewhere(shown)) return takeUpUnknown(deps, event)
  return enterUnderLock(deps, event, shown, (tx, paymentId) =>
    enterRefundsFromElsewhere(deps, tx, { paymentId, shown: [shown], requestLog }),
  )
}

/**
 * Enters into the books what the gateway has of a payment of ours. While something of ours must end first, the gateway
 * delivers the event again.
 */
async function enterUnderLock(
  deps: PaymentDeps,
  event: GatewayEvent,
  { intentId }: { readonly intentId: string | null },
  enter: (tx: Tx, paymentId: string) => Promise<EnteredFromElsewhere | EnteredDispute>,
): Promise<EventResult> {
  const [row] = await deps.database.query<PaymentSubject['row']>(sql`
    SELECT ${subjects.payment.columns} FROM payments WHERE gateway_intent_id = ${intentId}`)
  if (!row) return ignore(deps, event)
  const subject: PaymentSubject = { kind: 'payment', row }
  return underOrderLock(deps, subject, async (tx) => {
    const entered = await enter(tx, row.id)
    if (entered === 'must-wait') {
      requestWhatMustSettle(tx, subject.row.id)
      return 'contended'
    }
    const result = entered === 'entered' ? 'applied' : 'noted'
    return (await record(tx, event, result, subject)) ? result : 'repeated'
  })
}

/** Enters money that our names are on into the books, or keeps it as an orphan. Everything else is ignored. */
async function takeUpUnknown(deps: PaymentDeps, event: GatewayEvent): Promise<EventResult> {
  const lost = readLost(event)
  if (lost === null) return ignore(deps, event)
  const [named] = await deps.database.query<{ orderId: string | null }>(sql`
    SELECT (SELECT id FROM orders
             WHERE account_id = accounts.id AND (gateway_reference = ${lost.named.orderId} OR id = ${lost.named.orderId}::uuid))
           AS order_id
      FROM accounts WHERE id = ${lost.named.accountId}::uuid`)
  // Another installation may share the account at the gateway.
  if (!named) return ignore(deps, event)
  const { accountId } = lost.named
  const resource = orderLockName({ accountId, orderId: named.orderId ?? lost.named.orderId })
  const tryOnce = () => false
  const enter = async (tx: Tx): Promise<EventResult> => {
    const entered = await enterLost(deps, tx, lost, named.orderId, eventLog(deps, event))
    const result = entered.kind === 'adopted' ? 'applied' : 'noted'
    await tx.writeReturning(insertEvent(event, entered.kind === 'orphan' ? 'ignored' : result, entered.subject))
    return entered.kind === 'orphan' ? 'unknown' : result
  }
  return guardSettle(deps.layers, resource, enter, tryOnce).catch((fault: unknown) => {
    if (isContention(fault)) return 'contended'
    throw fault
  })
}

async function ignore({ database }: Queryable, event: GatewayEvent): Promise<EventResult> {
  await database.query(insertEvent(event, 'ignored', null))
  const { subject } = event
  if (subject.kind === 'other' || subject.kind === 'dispute') return 'ignored'
  return subject.named.paymentId === null && subject.named.refundId === null ? 'ignored' : 'unknown'
}
