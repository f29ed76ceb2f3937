import type { Database } from '@seatbelt/database'

export interface BillingHour {
  /** Full intervals since 1970, so that all processes name the same ones. */
  readonly hour: Date
  readonly isFinished: boolean
  /** Until the next one begins. */
  readonly restMs: number
}

/** Which hour it is by the database's clock: those of the processes may be minutes apart. */
export async function readBillingHour(
  { database }: { readonly database: Database },
  intervalSeconds: number,
): Promise<BillingHour> {
  const rows = await database.statement(
    (client) => client.$queryRaw<BillingHour[]>`
      WITH clock AS MATERIALIZED (SELECT extract(epoch FROM clock_timestamp())::float8 AS now, ${intervalSeconds}::int AS step),
      begun AS MATERIALIZED (SELECT floor(now / step) * step AS at, now, step FROM clock)
      SELECT to_timestamp(at) AS hour, (at + step - now) * 1000 AS "restMs",
             EXISTS (SELECT 1 FROM billing_runs WHERE hour = to_timestamp(at) AND finished_at IS NOT NULL) AS "isFinished"
        FROM begun`,
  )
  const [row] = rows
  if (!row) throw new Error('the database did not tell its time')
  return row
}
