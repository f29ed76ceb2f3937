import { type Sql, sql, type Tx } from '@seatbelt/database'
import type { Runtime } from '@seatbelt/domain'

export interface HistoryEntry {
  readonly event: string
  readonly gatewayRequestId?: string | null
  readonly detail?: string | null
  /** For operators; no answer of ours carries it. */
  readonly gatewayMessage?: string | null
  /** When it happened, by the runtime's monotonic clock; now, where it is not given. */
  readonly atMs?: number
}

/** Whose lines they are. */
export interface HistoryOwner {
  readonly accountId: string
  readonly paymentId: string
  /** Where the lines are about a refund of the payment; the generation is then the refund's. */
  readonly refundId?: string | null
  readonly generation: number
  readonly by: string
}

/**
 * Adds lines to a payment's history, in order, in one statement.
 *
 * The times are the database's, less how long ago this process saw the event. So histories that several processes wrote
 * have one clock, and a jump of an application's clock does not show in them.
 */
export function appendHistory(deps: Clock, tx: Tx, owner: HistoryOwner, entries: readonly HistoryEntry[]): void {
  append(deps, tx, owner, entries, sql`true`)
}

/**
 * Adds the lines of a look that brought no outcome, if one of them is new since `stepStart`.
 *
 * A look that sees only what an earlier look of the step saw is counted, in the `attempts` of the row. Recovery looks
 * thousands of times a day at a payment that a silent gateway leaves open, and no line of a history is ever deleted.
 */
export function appendLook(
  deps: Clock,
  tx: Tx,
  owner: HistoryOwner,
  entries: readonly HistoryEntry[],
  stepStart: Sql,
): void {
  const { paymentId, refundId = null } = owner
  const isNew = sql`EXISTS (
       SELECT FROM unnest(${entries.map(({ event }) => event)}::text[],
                          ${entries.map(({ detail }) => detail ?? null)}::text[]) AS seen (event, detail)
        WHERE NOT EXISTS (
          SELECT FROM payment_events AS line
           WHERE line.payment_id = ${paymentId}::uuid AND line.refund_id IS NOT DISTINCT FROM ${refundId}::uuid
             AND line.event = seen.event AND line.detail IS NOT DISTINCT FROM seen.detail AND line.at >= (${stepStart})))`
  append(deps, tx, owner, entries, isNew)
}

/** Whether an operator's command looked. Its look always leaves its lines. */
export function isByOperator({ requestLog }: { readonly requestLog: readonly HistoryEntry[] }): boolean {
  return requestLog.some(({ event }) => event === 'operator')
}

interface Clock {
  readonly runtime: Pick<Runtime, 'monotonicMs'>
}

function append(
  { runtime }: Clock,
  tx: Tx,
  { accountId, paymentId, refundId = null, generation, by }: HistoryOwner,
  entries: readonly HistoryEntry[],
  condition: Sql,
): void {
  if (entries.length === 0) return
  const nowMs = runtime.monotonicMs()
  const agoSeconds = entries.map(({ atMs }) => (atMs === undefined ? 0 : (nowMs - atMs) / 1000))
  const events = entries.map(({ event }) => event)
  const requestIds = entries.map(({ gatewayRequestId }) => gatewayRequestId ?? null)
  const details = entries.map(({ detail }) => detail ?? null)
  const messages = entries.map(({ gatewayMessage }) => gatewayMessage ?? null)
  tx.write(sql`
    INSERT INTO payment_events (account_id, payment_id, refund_id, at, event, by, generation, gateway_request_id, detail,
                                gateway_message)
    SELECT ${accountId}::uuid, ${paymentId}::uuid, ${refundId}::uuid,
           clock_timestamp() - make_interval(secs => ago), event, ${by}, ${generation}::int, request_id, detail,
           message
      FROM unnest(${agoSeconds}::float8[], ${events}::text[], ${requestIds}::text[], ${details}::text[],
                  ${messages}::text[])
           WITH ORDINALITY AS entry (ago, event, request_id, detail, message, place)
     WHERE ${condition}
     ORDER BY place`)
}
