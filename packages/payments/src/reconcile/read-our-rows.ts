import { type Sql, sql } from '@seatbelt/database'
import type { Difference } from '@seatbelt/domain'
import type { ReconcileDeps } from './reconcile-deps.ts'
import type { Finding, Run, StagePage } from './runs.ts'

/** Rows in one page. A run that is stopped asks for this many again. */
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
 * Guarantees: what it reads depends on the window and not on the history. It reads along the primary key, because an id
 * begins with the time when it was made. The few rows that were settled long after that are found by an index of their
 * own, into which an ordinary payment writes nothing.
 */
export async function readOurRows<Row extends OurRow>(
  { payments: { database } }: ReconcileDeps,
  { id: runId, cursor, windowTo }: Run,
  { table, gatewayId, from, compare, subject }: RowsToRead<Row>,
): Promise<StagePage> {
  const isInWindow = sql`state = 'succeeded' AND settled_at BETWEEN ${from} AND ${windowTo}`
  const isInRange = madeAround(from, windowTo)
  const isLate = sql`${settledLate} AND NOT (${isInRange})`
  const isNext = sql`id > ${cursor ?? noId}::uuid AND NOT EXISTS (
           SELECT FROM reconciliation_sightings WHERE run_id = ${runId}::uuid AND gateway_id = ${table}.${gatewayId})
         ORDER BY id LIMIT ${askedOneByOne}`
  const rows = await database.query<Row>(sql`
    (SELECT * FROM ${table} WHERE ${isInWindow} AND ${isInRange} AND ${isNext})
    UNION ALL
    (SELECT * FROM ${table} WHERE ${isInWindow} AND ${isLate} AND ${isNext})
    ORDER BY id LIMIT ${askedOneByOne}`)
  const findings: Finding[] = []
  for (const row of rows) {
    const difference = await compare(row)
    if (difference) findings.push({ ...row, ...subject(row), difference })
  }
  const next = rows.length === askedOneByOne ? (rows.at(-1)?.id ?? null) : null
  if (cursor !== null) return { findings, counted: 0, next }
  const [count] = await database.query<{ counted: number }>(sql`
    SELECT ((SELECT count(*) FROM ${table} WHERE ${isInWindow} AND ${isInRange})
          + (SELECT count(*) FROM ${table} WHERE ${isInWindow} AND ${isLate}))::int AS counted`)
  return { findings, counted: count?.counted ?? 0, next }
}

/** The condition of the indexes `payments_settled_late` and `refunds_settled_late`, which must be written as there. */
const settledLate = sql`settled_at - created_at > interval '7 days'`
/** The 7 days of `settledLate`. A longer time makes the range longer, a shorter one the indexes larger. */
const settledWithinMs = 7 * 24 * 3_600_000
/** How far the clock of the process that made an id may be off. With a clock further off, TLS would fail. */
const clockOffMs = 24 * 3_600_000

/** Of ids that are UUIDv7. Together with `settledLate` it finds every row that was settled in the window. */
function madeAround(from: Date, to: Date): Sql {
  const first = `${timeOfId(from.getTime() - settledWithinMs - clockOffMs)}-0000-0000-000000000000`
  const last = `${timeOfId(to.getTime() + clockOffMs)}-ffff-ffff-ffffffffffff`
  return sql`id BETWEEN ${first}::uuid AND ${last}::uuid`
}

/** The first 48 bits of a UUIDv7: milliseconds since 1970. */
function timeOfId(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}

const noId = '00000000-0000-0000-0000-000000000000'
