import type { Tx } from '@seatbelt/database'

export interface HistoryEntry {
  readonly event: string
  readonly gatewayRequestId?: string | null
  readonly detail?: string | null
  /** When it happened, by `performance.now()`; now, where it is not given. */
  readonly atMs?: number
}

/** Whose lines they are. */
export interface HistoryOwner {
  readonly paymentId: string
  /** Where the lines are about a refund of the payment; the generation is then the refund's. */
  readonly refundId?: string | null
  readonly generation: number
  readonly by: string
}

/**
 * Adds lines to a payment's history, in order, in one statement.
 *
 * The times are the database's less how long ago this process saw the event, so that histories written by several
 * processes have one clock, and a jump of an application's clock does not show in them.
 */
export async function appendHistory(
  tx: Tx,
  { paymentId, refundId = null, generation, by }: HistoryOwner,
  entries: readonly HistoryEntry[],
): Promise<void> {
  if (entries.length === 0) return
  const nowMs = performance.now()
  const agoSeconds = entries.map(({ atMs }) => (atMs === undefined ? 0 : (nowMs - atMs) / 1000))
  const events = entries.map(({ event }) => event)
  const requestIds = entries.map(({ gatewayRequestId }) => gatewayRequestId ?? null)
  const details = entries.map(({ detail }) => detail ?? null)
  await tx.$executeRaw`
    INSERT INTO payment_events (payment_id, refund_id, at, event, by, generation, gateway_request_id, detail)
    SELECT ${paymentId}::uuid, ${refundId}::uuid, clock_timestamp() - make_interval(secs => ago), event, ${by}, ${generation}, request_id, detail
      FROM unnest(${agoSeconds}::float8[], ${events}::text[], ${requestIds}::text[], ${details}::text[])
           WITH ORDINALITY AS entry (ago, event, request_id, detail, place)
     ORDER BY place`
}
