import { sql, type Tx } from '@seatbelt/database'
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
export function appendHistory(
  { runtime }: { readonly runtime: Pick<Runtime, 'monotonicMs'> },
  tx: Tx,
  { accountId, paymentId, refundId = null, generation, by }: HistoryOwner,
  entries: readonly HistoryEntry[],
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
     ORDER BY place`)
}
