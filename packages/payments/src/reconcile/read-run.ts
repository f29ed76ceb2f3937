import {
  type Database,
  type ReconciliationFinding as FindingRow,
  type ReconciliationRun as RunRow,
  sql,
} from '@seatbelt/database'
import { defaultWindowMs } from './reconcile-deps.ts'

/** More than a person reads. The counts are of all. */
const mostFindings = 1_000

export interface RunWithFindings {
  readonly run: RunRow
  /** The first thousand. */
  readonly findings: readonly FindingRow[]
  readonly findingsInAll: number
  /** Those that still stand. */
  readonly standing: number
}

/** What a run found, and what was done about it. */
export function readRun(database: Database, runId: string): Promise<RunWithFindings> {
  return database.statement(async (client) => {
    const run = await client.reconciliationRun.findUniqueOrThrow({ where: { id: runId } })
    const findings = await client.reconciliationFinding.findMany({
      where: { runId },
      orderBy: { id: 'asc' },
      take: mostFindings,
    })
    const findingsInAll = await client.reconciliationFinding.count({ where: { runId } })
    const settled = await client.reconciliationFinding.count({
      where: { runId, outcome: { in: ['done', 'gone'] } },
    })
    return { run, findings, findingsInAll, standing: findingsInAll - settled }
  })
}

export interface StandingDifferences {
  /** When the last run over the last week ended that read everything; null: none has. */
  readonly finishedAt: Date | null
  readonly byKind: Readonly<Record<string, number>>
}

/**
 * The differences that the last whole run over the last week left standing. A run over a window that a person chose
 * says nothing about today.
 *
 * (What is judged ends 18 minutes before now with the usual lease, and 37 with the longest: an hour tells one that
 * reached today.)
 */
export async function readStandingDifferences(database: Database): Promise<StandingDifferences> {
  const [run] = await database.query<{ id: string; finishedAt: Date }>(sql`
    SELECT id, finished_at FROM reconciliation_runs
     WHERE stage = 'done' AND window_to > started_at - interval '1 hour'
       AND window_to - window_from >= make_interval(secs => ${defaultWindowMs / 1000}::float8)
     ORDER BY finished_at DESC LIMIT 1`)
  if (!run) return { finishedAt: null, byKind: {} }
  const rows = await database.query<{ kind: string; count: number }>(sql`
    SELECT kind, count(*)::int AS count FROM reconciliation_findings
     WHERE run_id = ${run.id}::uuid AND outcome IS DISTINCT FROM 'done' AND outcome IS DISTINCT FROM 'gone'
     GROUP BY kind`)
  return { finishedAt: run.finishedAt, byKind: Object.fromEntries(rows.map(({ kind, count }) => [kind, count])) }
}
