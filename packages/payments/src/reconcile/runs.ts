import { type Sql, sql, type Tx } from '@seatbelt/database'
import type { Difference } from '@seatbelt/domain'
import type { PaymentPolicy } from '../shared/payment-deps.ts'
import { defaultWindowMs, type ReconcileDeps } from './reconcile-deps.ts'

/** In this order: repairs begin after everything was read. */
export const stages = ['charges', 'refunds', 'disputes', 'our-payments', 'our-refunds', 'act', 'done'] as const

export type Stage = (typeof stages)[number]
export type ReadingStage = Exclude<Stage, 'act' | 'done'>

export interface Run {
  readonly id: string
  readonly mode: 'report' | 'act'
  readonly windowFrom: Date
  readonly windowTo: Date
  readonly stage: Stage
  readonly cursor: string | null
  readonly generation: number
}

export interface RunRequest {
  /** `report` changes nothing, neither at the gateway nor in our books. */
  readonly mode: 'report' | 'act'
  /** Null: a week before the end. */
  readonly from: Date | null
  /** Null: the latest moment that can be judged. Later ones are not judged in any case. */
  readonly to: Date | null
}

/** A page that was read, and where the next one begins. */
export interface StagePage {
  readonly findings: readonly Finding[]
  /** The ids that the gateway's lists showed. */
  readonly sighted?: readonly string[]
  readonly counted: number
  readonly leftOpen?: number
  /** Null: this was the last page of the stage. */
  readonly next: string | null
}

export interface Finding {
  readonly difference: Difference
  readonly accountId: string | null
  readonly orderId: string | null
  readonly paymentId: string | null
  readonly refundId: string | null
  readonly gatewayIntentId: string | null
  readonly gatewayChargeId: string | null
  readonly gatewayRefundId: string | null
  readonly gatewayDisputeId?: string
  readonly currency: string
}

/**
 * How long a process may be silent before another continues its run.
 *
 * Each committed page and repair renews the lease, and so does each request to the gateway after a minute. The longest
 * silence is the effect of one repair: it lasts no longer than its own lease, and begins at most one request after a
 * renewal.
 */
export function runLeaseMs({ leaseMs }: Pick<PaymentPolicy, 'leaseMs'>): number {
  return Math.max(5 * 60_000, 2 * leaseMs)
}

/** A person's typing error must not read the gateway's whole past. */
const longestWindowMs = 400 * 24 * 3_600_000

export type Begun =
  | { readonly kind: 'begun'; readonly run: Run }
  | { readonly kind: 'busy'; readonly by: string }
  /** Nothing in the window can be judged yet, or the window is empty or too long. */
  | { readonly kind: 'empty-window' }

/**
 * Takes the one unfinished run, or begins one.
 *
 * Guarantees: one process at a time works on one run. Taking a run raises its generation, so that a process that was
 * paused loses at its next page. An unfinished run of another mode or window is given up, not continued.
 *
 * A claim on the row and not a session lock, because a run lasts as long as the gateway has pages: a pinned connection
 * would have to outlive them, and would be no fence.
 */
export function beginRun(deps: ReconcileDeps, request: RunRequest): Promise<Begun> {
  const { database, runtime, by } = deps.payments
  return database.transaction(async (tx) => {
    const [open] = await tx.read<OpenRun & { by: string; isAlive: boolean }>(sql`
      SELECT *, COALESCE(leased_until > clock_timestamp(), false) AS is_alive,
             started_at > clock_timestamp() - interval '1 day' AS is_of_today
        FROM reconciliation_runs WHERE finished_at IS NULL FOR UPDATE`)
    if (open?.isAlive) return { kind: 'busy', by: open.by }
    if (open && isAskedFor(open, request)) return { kind: 'begun', run: await takeOver(tx, deps, open.id) }
    if (open)
      tx.write(sql`
        UPDATE reconciliation_runs SET finished_at = clock_timestamp(), leased_until = NULL WHERE id = ${open.id}::uuid`)

    const window = await windowOf(tx, deps, request)
    if (!window) return { kind: 'empty-window' }
    const [run] = await tx.writeReturning<Run>(sql`
      INSERT INTO reconciliation_runs (id, mode, window_from, window_to, by, leased_until)
      VALUES (${runtime.newId()}::uuid, ${request.mode}, ${window.from}, ${window.to}, ${by}, ${leaseEnd(deps)})
      ON CONFLICT DO NOTHING RETURNING *`)
    return run ? { kind: 'begun', run } : { kind: 'busy', by: 'another process' }
  })
}

/** As it is from now on. */
export function leaseEnd({ payments }: Pick<ReconcileDeps, 'payments'>): Sql {
  return sql`clock_timestamp() + make_interval(secs => ${runLeaseMs(payments.policy) / 1000}::float8)`
}

type OpenRun = Run & { readonly isOfToday: boolean }

/** A request without an end is about today, so it does not continue a run that broke off last week. */
function isAskedFor(open: OpenRun, { mode, from, to }: RunRequest): boolean {
  const begins = from === null || from.getTime() === open.windowFrom.getTime()
  const ends = to === null ? open.isOfToday : to.getTime() === open.windowTo.getTime()
  return open.mode === mode && begins && ends
}

async function takeOver(tx: Tx, deps: ReconcileDeps, runId: string): Promise<Run> {
  const [run] = await tx.writeReturning<Run>(sql`
    UPDATE reconciliation_runs SET generation = generation + 1, by = ${deps.payments.by}, leased_until = ${leaseEnd(deps)}
     WHERE id = ${runId}::uuid RETURNING *`)
  if (!run) throw new Error(`the run ${runId} was locked and is gone`)
  return run
}

/** By the database's clock, which wrote the times that the window is compared with. */
async function windowOf(
  tx: Tx,
  { judgedAfterMs }: ReconcileDeps,
  { from, to }: RunRequest,
): Promise<{ readonly from: Date; readonly to: Date } | null> {
  const [row] = await tx.read<{ latest: Date }>(sql`
    SELECT clock_timestamp() - make_interval(secs => ${judgedAfterMs / 1000}::float8) AS latest`)
  if (!row) throw new Error('the database did not tell the time')
  const end = to !== null && to < row.latest ? to : row.latest
  const begin = from ?? new Date(end.getTime() - defaultWindowMs)
  const lengthMs = end.getTime() - begin.getTime()
  return lengthMs > 0 && lengthMs <= longestWindowMs ? { from: begin, to: end } : null
}

/** The counter of the run to which a page of this stage adds. */
const counters: Readonly<Record<ReadingStage, Sql>> = {
  charges: sql`charges_seen`,
  refunds: sql`refunds_seen`,
  disputes: sql`disputes_seen`,
  'our-payments': sql`payments_read`,
  'our-refunds': sql`refunds_read`,
}

/**
 * Records a page and the place of the next one in one commit, so that a run that is stopped anywhere neither repeats a
 * page nor leaves one out. Null: another process has the run.
 */
export function commitPage(deps: ReconcileDeps, run: Run, page: StagePage): Promise<Run | null> {
  const { findings, sighted = [], counted, leftOpen = 0, next } = page
  if (run.stage === 'act' || run.stage === 'done') throw new Error(`nothing is read in the stage ${run.stage}`)
  const counter = counters[run.stage]
  const stage = next === null ? stageAfter(run) : run.stage
  return deps.payments.database.transaction(async (tx) => {
    const [committed] = await tx.writeReturning<Run>(sql`
      UPDATE reconciliation_runs
         SET stage = ${stage}, cursor = ${next}, ${counter} = ${counter} + ${counted}, left_open = left_open + ${leftOpen},
             leased_until = ${leaseEnd(deps)}
       WHERE ${stillOurs(run)} RETURNING *`)
    if (!committed) return null
    tx.write(sql`
      INSERT INTO reconciliation_sightings (run_id, gateway_id)
      SELECT ${run.id}::uuid, id FROM unnest(${sighted}::text[]) AS seen (id) ON CONFLICT DO NOTHING`)
    for (const finding of findings) insertFinding(tx, deps, run, finding)
    return committed
  })
}

function stageAfter({ stage }: Run): Stage {
  return stages[stages.indexOf(stage) + 1] ?? 'done'
}

function insertFinding(tx: Tx, { payments }: ReconcileDeps, { id: runId }: Run, finding: Finding): void {
  const { kind, action, gatewayMinor, booksMinor, detail } = finding.difference
  tx.write(sql`
    INSERT INTO reconciliation_findings (id, run_id, kind, action, detail, account_id, order_id, payment_id, refund_id,
                                         gateway_intent_id, gateway_charge_id, gateway_refund_id, gateway_dispute_id,
                                         currency, gateway_amount_minor, books_amount_minor)
    VALUES (${payments.runtime.newId()}::uuid, ${runId}::uuid, ${kind}, ${action}, ${detail}, ${finding.accountId}::uuid,
            ${finding.orderId}::uuid, ${finding.paymentId}::uuid, ${finding.refundId}::uuid, ${finding.gatewayIntentId},
            ${finding.gatewayChargeId}, ${finding.gatewayRefundId}, ${finding.gatewayDisputeId ?? null}, ${finding.currency},
            ${gatewayMinor}, ${booksMinor})`)
}

/** Another process has the run. */
export class RunLost extends Error {}

export async function renewLease(deps: ReconcileDeps, run: Run): Promise<void> {
  const renewed = await deps.payments.database.query(sql`
    UPDATE reconciliation_runs SET leased_until = ${leaseEnd(deps)} WHERE ${stillOurs(run)} RETURNING 1`)
  if (renewed.length === 0) throw new RunLost(`another process goes on with the run ${run.id}`)
}

/** Ends the lease of a run that cannot continue now, so that the next process need not wait for it. */
export async function letGo({ payments }: ReconcileDeps, run: Run): Promise<void> {
  await payments.database.query(sql`UPDATE reconciliation_runs SET leased_until = NULL WHERE ${stillOurs(run)}`)
}

/** False: another process has the run. The sightings have no use any more. */
export async function finishRun({ payments }: ReconcileDeps, run: Run): Promise<boolean> {
  const finished = await payments.database.query(sql`
    UPDATE reconciliation_runs SET stage = 'done', cursor = NULL, finished_at = clock_timestamp(), leased_until = NULL
     WHERE ${stillOurs(run)} RETURNING 1`)
  while ((await payments.database.query(forgetSightings)).length > 0);
  return finished.length === 1
}

/** Of all runs that have ended or were given up. In batches, each well within a statement's time-out. */
const forgetSightings = sql`
  WITH forgotten AS (
    DELETE FROM reconciliation_sightings WHERE (run_id, gateway_id) IN (
      SELECT run_id, gateway_id FROM reconciliation_sightings
       WHERE run_id IN (SELECT id FROM reconciliation_runs WHERE finished_at IS NOT NULL) LIMIT 10000)
    RETURNING 1)
  SELECT 1 FROM forgotten LIMIT 1`

export function stillOurs({ id, generation }: Run): Sql {
  return sql`id = ${id}::uuid AND generation = ${generation} AND finished_at IS NULL`
}
