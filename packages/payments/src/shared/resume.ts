import { type Sql, sql } from '@seatbelt/database'
import { inProgressRetryAfterSeconds, type RecordedAnswer } from '@seatbelt/domain'
import type { Guarded } from '@seatbelt/safety'
import type { LeasedTable } from './leased-work.ts'
import { orderLockName } from './order-lock.ts'
import type { PaymentDeps, Queryable } from './payment-deps.ts'

/** The row that an idempotency key is bound to. */
export interface Bound<Row, Subject> {
  readonly table: LeasedTable
  readonly id: string
  readonly isItsKey: Sql
  readonly toSubject: (row: Row) => Subject
  readonly recover: () => Promise<{ readonly result: Guarded<Subject> } | null>
}

/**
 * Answers a request whose key started this step before, and has no answer yet. It never claims again.
 *
 * A live owner: refused, ask again. An owner that gave up: `unsettled`, because recovery is at it. A dead owner: this
 * request recovers the row, as the worker would. Settled meanwhile: the recorded answer.
 */
export async function resume<Row, Subject extends { readonly accountId: string; readonly orderId: string }>(
  deps: PaymentDeps,
  bound: Bound<Row, Subject>,
): Promise<Guarded<Subject>> {
  const row = await readBound(deps, bound)
  if (row.recordedAnswer) return { kind: 'answered', answer: row.recordedAnswer, replayed: true }
  if (row.ownership === 'alive')
    return { kind: 'refused', refusal: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds } }
  const subject = bound.toSubject(row)
  if (row.ownership === 'gave-up') return { kind: 'unsettled', subject }
  try {
    return (await bound.recover())?.result ?? { kind: 'unsettled', subject }
  } catch (fault) {
    // The row is there, whatever failed now. The caller must not read this as "nothing happened".
    deps.layers.reportFault(fault, orderLockName(subject))
    return { kind: 'unsettled', subject }
  }
}

interface Standing {
  readonly ownership: 'alive' | 'dead' | 'gave-up'
  readonly recordedAnswer: RecordedAnswer | null
}

/** The row and the recorded answer in one statement, because every retry in a storm of them comes this way. */
async function readBound<Row, Subject>(
  { database }: Queryable,
  { table: { name }, id, isItsKey }: Bound<Row, Subject>,
): Promise<Row & Standing> {
  const [row] = await database.query<Row & Standing>(sql`
    SELECT ${name}.*,
           CASE WHEN leased_until IS NULL THEN 'gave-up' WHEN leased_until < now() THEN 'dead' ELSE 'alive' END AS ownership,
           (SELECT json_build_object('status', answer_status, 'body', answer_body, 'location', answer_location)
              FROM idempotency_keys AS key
             WHERE key.account_id = ${name}.account_id AND ${isItsKey} AND answer_status IS NOT NULL) AS recorded_answer
      FROM ${name} WHERE ${name}.id = ${id}::uuid`)
  if (!row) throw new Error('the row that a key is bound to is not there')
  return row
}
