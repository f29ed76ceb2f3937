import { type Database, sql, type Tx } from '@seatbelt/database'
import { admitFence, drawFence } from '@seatbelt/locks'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/**
 * The limits of one leader: it bills what was due when the hour of its run began, until another leader draws a fence.
 */
export interface BillingTerm {
  readonly fence: bigint
  readonly dueBy: Date
}

/** The name of the leadership, in Redis and in `lock_fences`. */
export const billingResource = 'billing-run'

/** The next leader's number. From here on, leaders before it can write nothing more. */
export function drawBillingFence({ query }: Pick<Database, 'query'>): Promise<bigint> {
  return drawFence((text, values) => query({ text, values }), billingResource)
}

/**
 * To be called in the transaction that writes, before it reads what it decides by. It only reads, so it travels with
 * BEGIN.
 *
 * Fails with `StaleFence`, which must leave the transaction.
 */
export function admitBillingFence(tx: Tx, fence: bigint): Promise<void> {
  return admitFence((text, values) => tx.read({ text, values }), billingResource, fence)
}

export interface BillingHour {
  /** A multiple of the interval since 1970, so that all processes name the same hours. */
  readonly hour: Date
  readonly isFinished: boolean
  /** Until the next one begins. */
  readonly restMs: number
}

/** The present hour by the database's clock: the clocks of the processes may be minutes apart. */
export async function readBillingHour(
  { database }: Pick<PaymentDeps, 'database'>,
  intervalSeconds: number,
): Promise<BillingHour> {
  const [row] = await database.query<BillingHour>(sql`
    WITH clock AS MATERIALIZED (
      SELECT extract(epoch FROM clock_timestamp())::float8 AS now, ${intervalSeconds}::int AS step),
    begun AS MATERIALIZED (SELECT floor(now / step) * step AS at, now, step FROM clock)
    SELECT to_timestamp(at) AS hour, (at + step - now) * 1000 AS rest_ms,
           EXISTS (SELECT 1 FROM billing_runs WHERE hour = to_timestamp(at) AND finished_at IS NOT NULL) AS is_finished
      FROM begun`)
  if (!row) throw new Error('the database returned no time')
  return row
}
