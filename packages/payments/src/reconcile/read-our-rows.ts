import { type Sql, sql } from '@seatbelt/database'
import type { Difference } from '@seatbelt/domain'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Finding, Run, StagePage } from './runs.ts'

/** This many requests fit into the run's lease, even if each takes its whole deadline. */
const askedOneByOne = 20

/** Our rows and the findings about them share these names. */
type OurRow = Omit<Finding, 'difference' | keyof Subject> & { readonly id: string }

type Subject = Pick<Finding, 'paymentId' | 'refundId' | 'gatewayRefundId'>

interface RowsToRead<Row> {
  readonly table: Sql
  /** The column with the id by which the gateway's lists show it. */
  readonly gatewayId: Sql
  readonly from: Date
  readonly compare: (row: Row) => Promise<Difference | null>
  readonly subject: (row: Row) => Subject
}

/**
 * The other direction: a page of our rows that succeeded and that the gateway's list did not show. Each is retrieved by
 * its id, because a list proves no absence: the charge may be older than the window, or the list behind.
 *
 * It reads along the primary key. An index of its own would cost every payment a write, and this runs once a day.
 */
export async function readOurRows<Row extends OurRow>(
  { payments: { database } }: ReconcileDeps,
  { id: runId, cursor, windowTo }: Run,
  { table, gatewayId, from, compare, subject }: RowsToRead<Row>,
): Promise<StagePage> {
  const isInWindow = sql`state = 'succeeded' AND settled_at BETWEEN ${from} AND ${windowTo}`
  const rows = await database.query<Row>(sql`
    SELECT * FROM ${table}
     WHERE ${isInWindow} AND (${cursor}::uuid IS NULL OR id > ${cursor}::uuid)
       AND NOT EXISTS (
         SELECT FROM reconciliation_sightings WHERE run_id = ${runId}::uuid AND gateway_id = ${table}.${gatewayId})
     ORDER BY id LIMIT ${askedOneByOne}`)
  const findings: Finding[] = []
  for (const row of rows) {
    const difference = await compare(row)
    if (difference) findings.push({ ...row, ...subject(row), difference })
  }
  const next = rows.length === askedOneByOne ? (rows.at(-1)?.id ?? null) : null
  if (cursor !== null) return { findings, counted: 0, next }
  const [count] = await database.query<{ counted: number }>(sql`
    SELECT count(*)::int AS counted FROM ${table} WHERE ${isInWindow}`)
  return { findings, counted: count?.counted ?? 0, next }
}
