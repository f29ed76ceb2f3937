import { type Sql, sql, type Tx } from '@seatbelt/database'
import { type Call, lateFailureDays, type RecordedAnswer } from '@seatbelt/domain'
import {
  type Attempt,
  type AttemptLease,
  changedOne,
  type Guarded,
  type KeyTarget,
  keyRememberedHours,
} from '@seatbelt/safety'
import { pauseBeforeLookMs } from './pause-before-look.ts'
import { type PaymentDeps, reviewAfterMs, transactionBudgetMs } from './payment-deps.ts'

/**
 * Leased work: one implementation for payments and refunds.
 *
 * A row is open until it is settled. While it has an owner, only the owner acts on it; when its lease is over, or it
 * was given up, recovery takes it over and raises its generation. Each writer names the generation, so that a former
 * owner changes nothing any more.
 */
export interface LeasedTable {
  readonly name: Sql
  readonly guard: 'payment-generation' | 'refund-generation'
  /** The states in which an owner or recovery is at work. */
  readonly isOpen: Sql
  /** What `takeOver` returns of a row. */
  readonly columns: Sql
  /** A further change of a takeover: an authorization that was not captured in time is voided. */
  readonly onTakeover: Sql
  /** When the step began that an owner is to finish. */
  readonly stepStart: Sql
  /** Of which payment, and about which refund, the history tells; and whether a takeover is worth a line. */
  readonly historyOf: Sql
  readonly isNoted: Sql
}

export const leasedPayments: LeasedTable = {
  name: sql`payments`,
  guard: 'payment-generation',
  isOpen: sql`payments.state IN ('processing', 'capturing', 'voiding', 'needs_review')`,
  columns: sql`payments.*, goal IN ('capture', 'void') OR abandon_after > now() AS wanted,
           created_at > now() - make_interval(hours => ${keyRememberedHours}::int) AS key_is_remembered,
           (SELECT purpose FROM orders WHERE orders.id = payments.order_id) AS purpose,
           step_started_at < now() - make_interval(secs => ${reviewAfterMs / 1000}::float8) AS overdue`,
  onTakeover: sql`,
             state = CASE payments.state WHEN 'authorized' THEN 'voiding' ELSE payments.state END,
             goal = CASE payments.state WHEN 'authorized' THEN 'void' ELSE goal END,
             attempts = CASE payments.state WHEN 'authorized' THEN 0 ELSE attempts END,
             step_started_at = CASE payments.state WHEN 'authorized' THEN clock_timestamp() ELSE step_started_at END`,
  stepStart: sql`payments.step_started_at`,
  historyOf: sql`id, NULL::uuid`,
  isNoted: sql`true`,
}

export const leasedRefunds: LeasedTable = {
  name: sql`refunds`,
  guard: 'refund-generation',
  isOpen: sql`refunds.state IN ('processing', 'pending', 'needs_review')`,
  columns: sql`refunds.*, (SELECT purpose FROM orders WHERE orders.id = refunds.order_id) AS purpose,
           (SELECT COALESCE(gateway_reference, id::text) FROM orders WHERE orders.id = refunds.order_id) AS order_name,
           attempt_since > now() - make_interval(hours => ${keyRememberedHours}::int) AS key_is_remembered,
           (state = 'processing' AND created_at < now() - make_interval(secs => ${reviewAfterMs / 1000}::float8)
            OR state = 'needs_review'
            OR state = 'pending' AND created_at < now() - make_interval(days => ${lateFailureDays}::int)) AS overdue`,
  onTakeover: sql``,
  stepStart: sql`refunds.created_at`,
  historyOf: sql`payment_id, id`,
  // The bank may take so many days that nothing else could be read in between.
  isNoted: sql`payment_id IS NOT NULL AND state <> 'pending'`,
}

/** Of an open row: its owner is gone and its time has come. */
export function isDue({ isOpen }: LeasedTable): Sql {
  return sql`${isOpen} AND next_attempt_at <= now() AND (leased_until IS NULL OR leased_until < now())`
}

/** The row is open and still the attempt's. */
export function isOwnedBy({ name, isOpen }: LeasedTable, { id, generation }: Pick<Attempt, 'id' | 'generation'>): Sql {
  return sql`${name}.id = ${id}::uuid AND ${name}.generation = ${generation} AND ${isOpen}`
}

/**
 * So many takeovers of a step leave a line of history. Later ones are counted in `attempts`, unless the former owner
 * died: a gateway that is silent for weeks must not fill a table from which nothing is ever deleted.
 */
const mostNotedTakeovers = 10

/**
 * Takes one row over: chooses it, raises its generation, leases it, and writes the line of history, in one statement.
 *
 * One row at a time, so that none waits in a queue of its owner while its lease runs. MATERIALIZED, because a subquery
 * that locks must not run twice; NO KEY UPDATE, because rows that refer to the row must not hide it. `next_attempt_at`
 * moves on, so that a row whose recovery fails each time stands behind the others. Null: no such row is due.
 */
export async function takeOver<Row extends object>(
  { database, policy, by }: PaymentDeps,
  { name, columns, onTakeover, historyOf, isNoted }: LeasedTable,
  which: Sql,
  owner: string,
): Promise<Row | null> {
  const [row] = await database.query<Row>(sql`
    WITH due AS MATERIALIZED (
      SELECT id, leased_until IS NOT NULL AS has_lost_owner
        FROM ${name} WHERE ${which} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    taken AS (
      UPDATE ${name}
         SET generation = generation + 1, owner = ${owner}::uuid, next_attempt_at = clock_timestamp(),
             wake_requested = false,
             leased_until = clock_timestamp() + make_interval(secs => ${policy.leaseMs / 1000}::float8) ${onTakeover}
        FROM due WHERE ${name}.id = due.id RETURNING ${name}.*),
    noted AS (
      INSERT INTO payment_events (account_id, payment_id, refund_id, event, by, generation)
      SELECT account_id, ${historyOf}, 'taken-over', ${by}, generation FROM taken JOIN due USING (id)
       WHERE ${isNoted} AND (has_lost_owner OR attempts < ${mostNotedTakeovers}))
    SELECT ${columns} FROM taken AS ${name}`)
  return row ?? null
}

/** Must be called before the statement that writes the lease, so that the owner's view ends before the database's. */
export function startLease({ runtime, policy }: Pick<PaymentDeps, 'runtime' | 'policy'>): AttemptLease {
  const endsAtMs = runtime.monotonicMs() + policy.leaseMs
  return {
    allowsRequest: () => runtime.monotonicMs() + policy.gatewayDeadlineMs + transactionBudgetMs <= endsAtMs,
  }
}

/** Takes a row from its owner for evidence that came by another way. The new generation has no owner. */
export function depose(tx: Tx, table: LeasedTable, read: Pick<Attempt, 'id' | 'generation'>): number {
  tx.write(sql`
    WITH changed AS (
      UPDATE ${table.name} SET generation = generation + 1, leased_until = NULL, owner = NULL
       WHERE ${isOwnedBy(table, read)} RETURNING id)
    SELECT ${changedOne[table.guard]}`)
  return read.generation + 1
}

/** For evidence that came by another way: the commit that applies it deposes the owner. */
export const noOwner = {
  owner: '00000000-0000-0000-0000-000000000000',
  lease: { allowsRequest: () => false },
  isFirstOwner: false,
}

/** How an attempt that learned nothing leaves its row. */
export interface Abandonment {
  /** How often recovery looked before, which spaces its looks. */
  readonly attempts: number
  readonly waitsFor: 'gateway' | 'bank' | 'person'
  readonly needsReview: boolean
}

/**
 * Ends the ownership without an outcome: recovery takes the row after a pause, or at once if an event came meanwhile.
 */
export function giveUp(
  { runtime }: Pick<PaymentDeps, 'runtime'>,
  tx: Tx,
  table: LeasedTable,
  attempt: Attempt,
  { attempts, waitsFor, needsReview }: Abandonment,
): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE ${table.name}
         SET leased_until = NULL, owner = NULL, attempts = attempts + 1, wake_requested = false,
             next_attempt_at = ${nextAttemptAfter(pauseBeforeLookMs(runtime, attempts, waitsFor))},
             state = CASE WHEN ${needsReview} THEN 'needs_review' ELSE ${table.name}.state END
       WHERE ${isOwnedBy(table, attempt)} RETURNING id)
    SELECT ${changedOne[table.guard]}`)
}

/** An operator learns of it from the log; the gauges of the worker show it until it has ended. */
export function reportReview({ layers }: PaymentDeps, tx: Tx, what: string, resource: string): void {
  tx.afterCommit(() => layers.reportFault(new Error(`${what} waits for a person: npm run review`), resource))
}

/** The gateway sent an event while the owner was at work: then at once. */
export function nextAttemptAfter(pauseMs: number): Sql {
  return sql`CASE WHEN wake_requested THEN clock_timestamp()
                  ELSE clock_timestamp() + make_interval(secs => ${pauseMs / 1000}::float8) END`
}

/** Makes recovery run now. An owner that gives up after this leaves no pause. */
export function requestRecovery(tx: Tx, { name }: LeasedTable, id: string): void {
  tx.write(sql`UPDATE ${name} SET next_attempt_at = clock_timestamp(), wake_requested = true WHERE id = ${id}::uuid`)
}

/**
 * Whether the attempt's claim is committed, and was not taken over since. Asked under its lock after a COMMIT without
 * an answer. It locks the row, which makes its own COMMIT wait for the standbys that the claim's COMMIT waited for.
 */
export async function wasClaimed(tx: Tx, { name }: LeasedTable, { id, generation, owner }: Attempt): Promise<boolean> {
  const rows = await tx.read(sql`
    SELECT 1 FROM ${name} WHERE id = ${id}::uuid AND generation = ${generation} AND owner = ${owner}::uuid
       FOR NO KEY UPDATE`)
  return rows.length === 1
}

/**
 * Binds the key of a request to the answer that its owner just gave, or to the target that brings it, if the commit
 * that had bound the key was lost.
 */
export async function bindAgain(
  { layers: { idempotencyKey } }: PaymentDeps,
  tx: Tx,
  call: Call | null,
  to: KeyTarget | RecordedAnswer,
): Promise<void> {
  if (call && (await idempotencyKey.find(call, tx)).kind === 'unseen') idempotencyKey.bind(tx, call, to)
}

/** The state that a former owner found when it came to settle. */
export interface LostRace<Subject> {
  readonly accountId: string
  readonly target: KeyTarget
  /** As the row stands. */
  readonly subject: Subject
  /** This very attempt settled before, and its COMMIT was not answered. */
  readonly isOwnCommit: boolean
  readonly isFirstOwner: boolean
}

/**
 * The recorded answer is the answer. The request that claimed receives it for the first time, no matter which process
 * recorded it.
 */
export async function answerAsRecorded<Subject>(
  { layers }: PaymentDeps,
  tx: Tx,
  { accountId, target, subject, isOwnCommit, isFirstOwner }: LostRace<Subject>,
): Promise<Guarded<Subject>> {
  const answer = await layers.idempotencyKey.findAnswer(tx, accountId, target)
  const replayed = !isOwnCommit && !isFirstOwner
  return answer ? { kind: 'answered', answer, replayed } : { kind: 'unsettled', subject }
}
