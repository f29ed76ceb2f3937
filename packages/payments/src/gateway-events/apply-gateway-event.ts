import {
  type Database,
  type Payment as PaymentRow,
  Prisma,
  type Refund as RefundRow,
  TransactionConflict,
  type Tx,
} from '@seatbelt/database'
import { isContention, orderLockName } from '@seatbelt/safety'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { paymentColumns, refundColumns } from '../shared/rows.ts'
import { applyIntentEvent, judgeIntentEvent } from './apply-intent-event.ts'
import { applyRefundEvent, judgeRefundEvent } from './apply-refund-event.ts'
import type { GatewayEvent, Verdict } from './gateway-event.ts'

/**
 * `applied`: it settled something. `repeated`: it had been applied before. `noted`: recovery looks at once, or nothing was
 * left to do. `ignored`: it is about nothing of ours. `unknown`: it names something of ours that we do not have, for
 * reconciliation to find. `contended`: the order's lock was not had, nothing is recorded, it must be delivered again.
 */
export type EventResult = 'applied' | 'repeated' | 'noted' | 'ignored' | 'unknown' | 'contended'

/**
 * Takes up what the gateway tells.
 *
 * An event says what was true when it was made, and events come in any order. So only what it proves for good is applied,
 * by the settling that all owners use. Everything else is a hint, upon which recovery looks for itself: it costs one
 * statement, and waits for nobody's lock.
 *
 * Guarantees: an event is applied once, in the transaction of its effect; whoever works on the payment loses its
 * generation, and finds what is recorded when it comes to settle. What contradicts something final changes nothing and is
 * reported as a fault. The account is the one of our row, never the one that the event names.
 * Fails with: database faults; then nothing is recorded, unless the fault says that it may be. Deliver it again.
 */
export async function applyGatewayEvent(deps: PaymentDeps, event: GatewayEvent): Promise<EventResult> {
  const { database } = deps
  const { isApplied, concerned } = await read(database, event)
  if (isApplied) return 'repeated'
  if (concerned === null) return ignore(database, event)

  const verdict = judge(concerned, event)
  if (verdict.kind === 'evidence') return applyUnderLock(deps, event, concerned)
  if (verdict.kind === 'contradicts') report(deps, concerned, verdict.why)
  await takeHint(database, event, concerned)
  return 'noted'
}

type Concerned =
  | { readonly kind: 'payment'; readonly row: PaymentRow }
  | { readonly kind: 'refund'; readonly row: RefundRow }

interface Known {
  readonly isApplied: boolean
  readonly concerned: Concerned | null
}

/**
 * Was it applied before, and what is it about? By the gateway's id where we have stored it, else by what we wrote on it, and
 * then only within one account. One statement, because a gateway delivers in bursts.
 */
async function read(database: Database, { id, subject }: GatewayEvent): Promise<Known> {
  const isApplied = Prisma.sql`EXISTS (SELECT FROM gateway_events WHERE id = ${id} AND result = 'applied') AS "isApplied"`
  if (subject.kind === 'other') {
    const seen = await readRow(database, Prisma.sql`SELECT ${isApplied}, NULL AS id`)
    return { isApplied: seen.isApplied, concerned: null }
  }
  const { accountId, paymentId, refundId } = subject.named
  if (subject.kind === 'refund') {
    const isStored = Prisma.sql`gateway_refund_id = ${subject.gatewayRefundId}`
    const row = await readRow<RefundRow>(
      database,
      Prisma.sql`SELECT ${isApplied}, ${refundColumns} FROM (SELECT) AS once LEFT JOIN refunds
                     ON ${isStored} OR (account_id = ${accountId}::uuid AND id = ${refundId}::uuid)
                  ORDER BY ${isStored} DESC NULLS LAST LIMIT 1`,
    )
    return { isApplied: row.isApplied, concerned: row.id === null ? null : { kind: 'refund', row } }
  }
  const isStored = Prisma.sql`gateway_intent_id = ${subject.intentId}`
  const row = await readRow<PaymentRow>(
    database,
    Prisma.sql`SELECT ${isApplied}, ${paymentColumns} FROM (SELECT) AS once LEFT JOIN payments
                   ON ${isStored} OR (account_id = ${accountId}::uuid AND id = ${paymentId}::uuid)
                ORDER BY ${isStored} DESC NULLS LAST LIMIT 1`,
  )
  return { isApplied: row.isApplied, concerned: row.id === null ? null : { kind: 'payment', row } }
}

type Found<Row> = { readonly isApplied: boolean } & (Row | { readonly id: null })

async function readRow<Row = never>(database: Database, statement: Prisma.Sql): Promise<Found<Row>> {
  const [row] = await database.statement((client) => client.$queryRaw<Found<Row>[]>(statement))
  if (!row) throw new Error('a join that always has a row has none')
  return row
}

function judge(concerned: Concerned, event: GatewayEvent): Verdict {
  return concerned.kind === 'payment' ? judgeIntentEvent(concerned.row, event) : judgeRefundEvent(concerned.row, event)
}

/** Judged again under the lock: what was read before it may have changed, and never changes back. */
async function applyUnderLock(deps: PaymentDeps, event: GatewayEvent, found: Concerned): Promise<EventResult> {
  const { layers } = deps
  try {
    const { result, verdict } = await layers.transaction((tx) =>
      layers.advisoryLock(tx, orderLockName(found.row), async () => {
        const concerned = await readAgain(tx, found)
        const verdict = judge(concerned, event)
        if (verdict.kind === 'evidence') return { verdict, result: await applyOnce(deps, tx, event, concerned) }
        const isNew = await record(tx, event, 'noted', concerned)
        return { verdict, result: isNew ? ('noted' as const) : ('repeated' as const) }
      }),
    )
    // Not within, where it would be told again with each repetition of the transaction.
    if (verdict.kind === 'contradicts') report(deps, found, verdict.why)
    return result
  } catch (fault) {
    if (isContention(fault)) return 'contended'
    throw fault
  }
}

async function readAgain(tx: Tx, { kind, row: { id } }: Concerned): Promise<Concerned> {
  return kind === 'payment'
    ? { kind, row: await tx.payment.findUniqueOrThrow({ where: { id } }) }
    : { kind, row: await tx.refund.findUniqueOrThrow({ where: { id } }) }
}

async function applyOnce(deps: PaymentDeps, tx: Tx, event: GatewayEvent, concerned: Concerned): Promise<'applied'> {
  // The row's primary key is the event: of two copies that came this far, one waits here for the other and is rolled back.
  if (!(await record(tx, event, 'applied', concerned)))
    throw new TransactionConflict(`event ${event.id} was applied by a copy of it`)
  if (concerned.kind === 'payment') await applyIntentEvent(deps, tx, concerned.row, event)
  else await applyRefundEvent(deps, tx, concerned.row, event)
  return 'applied'
}

/** Two sides say different things about money. Nobody waits for an answer here, so a person must be told. */
function report({ layers }: PaymentDeps, { row }: Concerned, why: string): void {
  layers.reportFault(new Error(why), orderLockName(row))
}

/** False: it is recorded as applied. What was only noted or ignored may be judged again. */
async function record(
  client: Tx,
  event: GatewayEvent,
  result: 'applied' | 'noted' | 'ignored',
  concerned: Concerned | null,
): Promise<boolean> {
  return (await client.$executeRaw(insertEvent(event, result, concerned))) === 1
}

function insertEvent({ id, type }: GatewayEvent, result: string, concerned: Concerned | null): Prisma.Sql {
  const paymentId = concerned?.kind === 'payment' ? concerned.row.id : null
  const refundId = concerned?.kind === 'refund' ? concerned.row.id : null
  return Prisma.sql`
    INSERT INTO gateway_events (id, type, payment_id, refund_id, result)
    VALUES (${id}, ${type}, ${paymentId}::uuid, ${refundId}::uuid, ${result})
    ON CONFLICT (id) DO UPDATE
       SET payment_id = excluded.payment_id, refund_id = excluded.refund_id, result = excluded.result
     WHERE gateway_events.result <> 'applied'`
}

/**
 * Has recovery look at once, and an owner who gives up leave no pause. One statement, and without the lock.
 *
 * A row that is hinted and due already is left alone: whoever takes it up looks later than now. So a storm of hints does not
 * stand in a queue for the row before the settle that everybody waits for.
 */
async function takeHint(database: Database, event: GatewayEvent, concerned: Concerned): Promise<void> {
  const paymentId = concerned.kind === 'payment' ? concerned.row.id : null
  const refundId = concerned.kind === 'refund' ? concerned.row.id : null
  // A charge tells of its refunds, and not of which.
  const refundsOf = event.subject.kind === 'charge' ? paymentId : null
  await database.statement(
    (client) => client.$executeRaw`
    WITH hinted_payment AS (
      UPDATE payments SET look_at = clock_timestamp(), hinted = true
       WHERE id = ${paymentId}::uuid AND state IN ('processing', 'capturing', 'voiding', 'needs_review')
         AND NOT (hinted AND look_at <= clock_timestamp())),
    hinted_refunds AS (
      UPDATE refunds SET look_at = clock_timestamp(), hinted = true
       WHERE (id = ${refundId}::uuid OR payment_id = ${refundsOf}::uuid) AND state IN ('processing', 'pending', 'needs_review')
         AND NOT (hinted AND look_at <= clock_timestamp()))
    ${insertEvent(event, 'noted', concerned)}`,
  )
}

async function ignore(database: Database, event: GatewayEvent): Promise<EventResult> {
  await database.statement((client) => record(client, event, 'ignored', null))
  const { subject } = event
  if (subject.kind === 'other') return 'ignored'
  return subject.named.paymentId === null && subject.named.refundId === null ? 'ignored' : 'unknown'
}
