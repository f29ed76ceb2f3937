import { Prisma, type Tx } from '@seatbelt/database'
import type { Difference } from '@seatbelt/domain'
import { defaultWindowMs, type ReconcileDeps } from './reconcile-deps.ts'

/** In this order. Nothing is done before all was read. */
export const stages = ['charges', 'refunds', 'our-payments', 'our-refunds', 'act', 'done'] as const

export type Stage = (typeof stages)[number]

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
  /** `report` changes nothing, neither there nor here. */
  readonly mode: 'report' | 'act'
  /** Null: a week before the end. */
  readonly from: Date | null
  /** Null: as late as can be judged. What is later than that is not judged in any case. */
  readonly to: Date | null
}

/** A page that was read: what it means, and where the next one begins. */
export interface StagePage {
  readonly kind: 'page'
  readonly findings: readonly Finding[]
  /** What the gateway's lists showed. */
  readonly sighted?: readonly string[]
  readonly counted: number
  readonly leftOpen?: number
  /** Null: this was the last one of the stage. */
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
  readonly currency: string
}

/**
 * How long a process may be silent before another goes on with its run. The longest step between two commits is a page of
 * twenty things that are asked for one by one, each taking a whole deadline (160 s), or one repair.
 */
const runLeaseMs = 5 * 60_000

/** A person's typing error must not read the gateway's whole past. */
const longestWindowMs = 400 * 24 * 3_600_000

export type Begun =
  | { readonly kind: 'begun'; readonly run: Run }
  | { readonly kind: 'busy'; readonly by: string }
  /** Nothing in the window can be judged yet, or it is none. */
  | { readonly kind: 'empty-window' }

/**
 * Takes the one unfinished run, or begins one.
 *
 * Guarantees: one process at a time works on one run: whoever takes it raises its generation, so that a process which was
 * paused loses at its next page. What is asked for is what is done: a run of another mode, or over another window, that was
 * broken off is given up, not gone on with. (A claim on the row and not a session lock: a run lasts as long as the gateway has
 * pages, a pinned connection would have to outlive them, and would fence nobody.)
 */
export function beginRun(deps: ReconcileDeps, request: RunRequest): Promise<Begun> {
  const { database, newId, by } = deps.payments
  return database.transaction(async (tx) => {
    const [open] = await tx.$queryRaw<(OpenRun & { by: string; isAlive: boolean })[]>`
      SELECT ${runColumns}, by, COALESCE(leased_until > clock_timestamp(), false) AS "isAlive",
             started_at > clock_timestamp() - interval '1 day' AS "isOfToday"
        FROM reconciliation_runs WHERE finished_at IS NULL FOR UPDATE`
    if (open?.isAlive) return { kind: 'busy', by: open.by }
    if (open && isAskedFor(open, request)) return { kind: 'begun', run: await takeOver(tx, open.id, by) }
    if (open)
      await tx.$executeRaw`
      UPDATE reconciliation_runs SET finished_at = clock_timestamp(), leased_until = NULL WHERE id = ${open.id}::uuid`

    const window = await windowOf(tx, deps, request)
    if (!window) return { kind: 'empty-window' }
    const [run] = await tx.$queryRaw<RunRow[]>`
      INSERT INTO reconciliation_runs (id, mode, window_from, window_to, by, leased_until)
      VALUES (${newId()}::uuid, ${request.mode}, ${window.from}, ${window.to}, ${by}, ${leaseEnd})
      ON CONFLICT DO NOTHING RETURNING ${runColumns}`
    return run ? { kind: 'begun', run } : { kind: 'busy', by: 'another process' }
  })
}

type RunRow = Run

const runColumns = Prisma.sql`id, mode, window_from AS "windowFrom", window_to AS "windowTo", stage, cursor, generation`
/** A step more was done. */
export const leaseEnd = Prisma.sql`clock_timestamp() + make_interval(secs => ${runLeaseMs / 1000}::float8)`

type OpenRun = Run & { readonly isOfToday: boolean }

/** Who names no end asks for what is true today: a run that was broken off last week would answer for last week. */
function isAskedFor(open: OpenRun, { mode, from, to }: RunRequest): boolean {
  const begins = from === null || from.getTime() === open.windowFrom.getTime()
  const ends = to === null ? open.isOfToday : to.getTime() === open.windowTo.getTime()
  return open.mode === mode && begins && ends
}

async function takeOver(tx: Tx, runId: string, by: string): Promise<Run> {
  const [run] = await tx.$queryRaw<RunRow[]>`
    UPDATE reconciliation_runs SET generation = generation + 1, by = ${by}, leased_until = ${leaseEnd}
     WHERE id = ${runId}::uuid RETURNING ${runColumns}`
  if (!run) throw new Error(`the run ${runId} was locked and is gone`)
  return run
}

/** By the database's clock, as everything that it is compared with. */
async function windowOf(
  tx: Tx,
  { judgedAfterMs }: ReconcileDeps,
  { from, to }: RunRequest,
): Promise<{ readonly from: Date; readonly to: Date } | null> {
  const [row] = await tx.$queryRaw<{ latest: Date }[]>`
    SELECT clock_timestamp() - make_interval(secs => ${judgedAfterMs / 1000}::float8) AS latest`
  if (!row) throw new Error('the database did not tell the time')
  const end = to !== null && to < row.latest ? to : row.latest
  const begin = from ?? new Date(end.getTime() - defaultWindowMs)
  const lengthMs = end.getTime() - begin.getTime()
  return lengthMs > 0 && lengthMs <= longestWindowMs ? { from: begin, to: end } : null
}

/** What of the run a page of this stage counts for. */
const counters: Readonly<Record<Exclude<Stage, 'act' | 'done'>, Prisma.Sql>> = {
  charges: Prisma.sql`charges_seen`,
  refunds: Prisma.sql`refunds_seen`,
  'our-payments': Prisma.sql`payments_read`,
  'our-refunds': Prisma.sql`refunds_read`,
}

/**
 * Writes down a page: what it means and where to go on, in one commit, so that a run which is stopped anywhere neither repeats
 * a page nor leaves one out. Null: another process has the run.
 */
export function commitPage(deps: ReconcileDeps, run: Run, page: StagePage): Promise<Run | null> {
  const { findings, sighted = [], counted, leftOpen = 0, next } = page
  if (run.stage === 'act' || run.stage === 'done') throw new Error(`nothing is read in the stage ${run.stage}`)
  const counter = counters[run.stage]
  const stage = next === null ? stageAfter(run) : run.stage
  return deps.payments.database.transaction(async (tx) => {
    const [committed] = await tx.$queryRaw<RunRow[]>`
      UPDATE reconciliation_runs
         SET stage = ${stage}, cursor = ${next}, ${counter} = ${counter} + ${counted}, left_open = left_open + ${leftOpen},
             leased_until = ${leaseEnd}
       WHERE ${stillOurs(run)} RETURNING ${runColumns}`
    if (!committed) return null
    await tx.$executeRaw`
      INSERT INTO reconciliation_sightings (run_id, gateway_id)
      SELECT ${run.id}::uuid, id FROM unnest(${sighted}::text[]) AS seen (id) ON CONFLICT DO NOTHING`
    await insertFindings(tx, deps, run, findings)
    return committed
  })
}

function stageAfter({ stage }: Run): Stage {
  return stages[stages.indexOf(stage) + 1] ?? 'done'
}

function insertFindings(tx: Tx, { payments }: ReconcileDeps, { id: runId }: Run, findings: readonly Finding[]) {
  return tx.reconciliationFinding.createMany({
    data: findings.map(({ difference: { kind, action, gatewayMinor, booksMinor, detail }, ...named }) => ({
      ...named,
      ...{ id: payments.newId(), runId, kind, action, detail },
      ...{ gatewayAmountMinor: gatewayMinor, booksAmountMinor: booksMinor },
    })),
  })
}

/** Lets go of a run that cannot go on now, so that whoever tries next need not wait for the lease. */
export async function letGo({ payments }: ReconcileDeps, run: Run): Promise<void> {
  await payments.database.statement(
    (client) => client.$executeRaw`UPDATE reconciliation_runs SET leased_until = NULL WHERE ${stillOurs(run)}`,
  )
}

/** False: another process has the run. What the run saw is of no use any more. */
export async function finishRun({ payments }: ReconcileDeps, run: Run): Promise<boolean> {
  const { database } = payments
  const count = await database.statement(
    (client) => client.$executeRaw`
    UPDATE reconciliation_runs SET stage = 'done', cursor = NULL, finished_at = clock_timestamp(), leased_until = NULL
     WHERE ${stillOurs(run)}`,
  )
  while ((await database.statement(forgetSightings)) > 0);
  return count === 1
}

/** Of all runs that have ended, also of those that were given up. In batches, each well within a statement's time. */
function forgetSightings(client: Tx): Promise<number> {
  return client.$executeRaw`
    DELETE FROM reconciliation_sightings WHERE (run_id, gateway_id) IN (
      SELECT run_id, gateway_id FROM reconciliation_sightings
       WHERE run_id IN (SELECT id FROM reconciliation_runs WHERE finished_at IS NOT NULL) LIMIT 10000)`
}

export function stillOurs({ id, generation }: Run): Prisma.Sql {
  return Prisma.sql`id = ${id}::uuid AND generation = ${generation} AND finished_at IS NULL`
}
