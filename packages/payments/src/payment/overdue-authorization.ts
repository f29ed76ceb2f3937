import { type Database, type Sql, sql, type Tx } from '@seatbelt/database'

export interface OverdueAuthorization {
  readonly accountId: string
  readonly orderId: string
}

/**
 * Those of these orders whose authorization is no longer wanted, although its outcome is unknown and it has no owner.
 */
export function findOverdueAuthorizations(
  database: Pick<Database, 'query'>,
  orders: readonly Pick<OverdueAuthorization, 'orderId'>[],
): Promise<OverdueAuthorization[]> {
  const orderIds = orders.map(({ orderId }) => orderId)
  return database.query(overdueOf(sql`order_id = ANY (${orderIds}::uuid[])`))
}

/** The same of one order, under its lock. */
export async function isAuthorizationOverdue(
  tx: Tx,
  { orderId }: Pick<OverdueAuthorization, 'orderId'>,
): Promise<boolean> {
  const found = await tx.read(overdueOf(sql`order_id = ${orderId}::uuid`))
  return found.length > 0
}

function overdueOf(which: Sql): Sql {
  return sql`
    SELECT account_id, order_id FROM payments
     WHERE ${which} AND state IN ('processing', 'needs_review') AND goal = 'authorize' AND abandon_after < now()
       AND (leased_until IS NULL OR leased_until < now())`
}
