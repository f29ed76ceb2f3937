import { sql } from '@seatbelt/database'
import type { Gateway } from '@seatbelt/safety'
import { type PaymentDeps, type PaymentPolicy, wantedMs } from '../shared/payment-deps.ts'

export interface ReconcileDeps {
  readonly payments: PaymentDeps
  readonly gateway: Gateway
  /** The age from which charges are judged. See `judgedAfterMs`. */
  readonly judgedAfterMs: number
  /** Items in one page of a list. The gateway returns a hundred at most. */
  readonly pageSize: number
}

/** The gateway's clock and ours differ, and the gateway counts whole seconds. */
const clockSkewMs = 60_000
/** The longest pause of recovery before it looks at an open payment. */
const recoveryPauseMs = 20_000
/** A settle may be delayed this long by an outage of PostgreSQL. */
const settleMs = 10_000

/**
 * How old a charge must be before it is judged. By then a payment that was claimed just before the charge is not wanted
 * any more, its last owner has given it up, and so has the recovery after that owner. Only a lost charge remains.
 */
export function judgedAfterMs({ leaseMs }: Pick<PaymentPolicy, 'leaseMs'>): number {
  return wantedMs + 2 * leaseMs + recoveryPauseMs + settleMs + clockSkewMs
}

/** A week, so that Monday's report covers the weekend, and a day without a run leaves no gap. */
export const defaultWindowMs = 7 * 24 * 3_600_000

/** The most that the gateway returns at once. */
export const defaultPageSize = 100

/**
 * The present second, by the database's clock: the time of what a look shows, beside the times of the gateway's events,
 * which are whole seconds.
 */
export async function readSecond({ database }: Pick<PaymentDeps, 'database'>): Promise<Date> {
  const [row] = await database.query<{ second: Date }>(sql`
    SELECT date_trunc('second', clock_timestamp()) AS second`)
  if (!row) throw new Error('the database did not tell the time')
  return row.second
}
