import { empty, join, type Sql, type SqlValue, sql, type Tx } from '@seatbelt/database'
import type { DeclineLimits, DeclineScope, DeclinesSeen } from '@seatbelt/domain'

/** The owners whose declines are counted, as expressions of the statement that counts. */
export interface DeclinesOf {
  readonly account: Sql | SqlValue
  readonly customer: Sql | SqlValue
  /** Null: the order is new. */
  readonly order: Sql | SqlValue
}

/** A payment that the gateway has not answered by then waits for recovery: other payments need not wait with it. */
const underWayFor = sql`interval '1 minute'`

/**
 * A column with what the books show of each scope that has a limit, for `decideOnDeclines`.
 *
 * Each scope reads as many declines as its limit at most. By the statement's time, because no index helps with the
 * clock's.
 */
export function countDeclines(limits: DeclineLimits, { account, customer, order }: DeclinesOf): Sql {
  const ofAccount = sql`payments.account_id = ${account}`
  const scopes: readonly (readonly [DeclineScope, number, Sql])[] = [
    ['order', order === null ? 0 : limits.perOrder, sql`payments.order_id = ${order}`],
    ['customer', limits.perCustomer, sql`${ofAccount} AND payments.customer_id = ${customer}`],
    ['account', limits.perAccount, ofAccount],
  ]
  const window = sql`make_interval(secs => ${limits.windowSeconds}::float8)`
  const counts = scopes
    .filter(([, limit]) => limit > 0)
    .map(
      ([scope, limit, which]) => sql`
        (SELECT json_build_object(
                  'scope', ${scope}::text, 'limit', ${limit}::int, 'declines', count(*),
                  'oldestLeavesInSeconds',
                    COALESCE(ceil(extract(epoch FROM min(settled_at) + ${window} - statement_timestamp())), 0),
                  'underWay', (SELECT count(*) FROM (
                                 SELECT FROM payments
                                  WHERE ${which} AND customer_id IS NOT NULL AND state = 'processing'
                                    AND created_at > statement_timestamp() - ${underWayFor}
                                  LIMIT ${limit}) AS open))
           FROM (SELECT settled_at FROM payments
                  WHERE ${which} AND customer_id IS NOT NULL AND state = 'declined' AND declined_by = 'bank'
                    AND settled_at > statement_timestamp() - ${window}
                  ORDER BY settled_at DESC LIMIT ${limit}) AS recent)`,
    )
  return counts.length === 0 ? sql`ARRAY[]::json[]` : sql`ARRAY[${join(counts)}]`
}

/**
 * Lets one claim at a time past this line for each customer, or account, whose declines have a limit. The statement
 * behind it then counts what the claim before has written. Without such a limit it sends nothing.
 *
 * It comes after the lock of the order or hold, the customer's before the account's. No transaction waits for an order
 * or a hold while it has this lock, so there is no circle.
 */
export function lockDeclines(
  tx: Tx,
  { perCustomer, perAccount }: DeclineLimits,
  { accountId, customer, from }: { readonly accountId: string; readonly customer: Sql | SqlValue; readonly from: Sql },
): void {
  const locks = [
    ...(perCustomer > 0 ? [sql`'declines:' || ${accountId}::text || ':' || ${customer}`] : []),
    ...(perAccount > 0 ? [sql`'declines:' || ${accountId}::text`] : []),
  ].map((name) => sql`pg_advisory_xact_lock(hashtextextended(${name}, 0))::text`)
  if (locks.length > 0) void tx.read(sql`SELECT ${join(locks)} ${from}`)
}

/** The same for an order that does not exist yet. Its reads are issued before it awaits any. */
export async function readDeclines(
  tx: Tx,
  limits: DeclineLimits,
  { accountId, customerId }: { readonly accountId: string; readonly customerId: string },
): Promise<readonly DeclinesSeen[]> {
  if (limits.perCustomer === 0 && limits.perAccount === 0) return []
  const customer = sql`${customerId}::text`
  lockDeclines(tx, limits, { accountId, customer, from: empty })
  const [row] = await tx.read<{ declines: readonly DeclinesSeen[] }>(sql`
    SELECT ${countDeclines(limits, { account: sql`${accountId}::uuid`, customer, order: null })} AS declines`)
  return row?.declines ?? []
}
