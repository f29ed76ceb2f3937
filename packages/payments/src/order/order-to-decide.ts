import { type Order as OrderRow, sql, type Tx } from '@seatbelt/database'
import type { LivePayment, Order, OrderState } from '@seatbelt/domain'
import { changedOne } from '@seatbelt/safety'
import { toOrder } from '../shared/rows.ts'

/** The facts that a decision about an order needs, read under the order's lock. */
export interface OrderToDecide {
  readonly order: Order
  readonly live: LivePayment | null
  /** The database's time, for what this transaction writes. */
  readonly now: Date
}

/**
 * Null: the account has no order with this id. An order has at most one live payment: `payments_one_live_per_order`.
 */
export async function readOrderToDecide(tx: Tx, accountId: string, orderId: string): Promise<OrderToDecide | null> {
  const [row] = await tx.read<OrderRow & { liveId: string | null; liveState: LivePayment['state']; now: Date }>(sql`
    SELECT orders.*, live.id AS live_id, live.state::text AS live_state, clock_timestamp() AS now
      FROM orders
      LEFT JOIN payments AS live
        ON live.order_id = orders.id
       AND live.state IN ('processing', 'authorized', 'capturing', 'voiding', 'succeeded', 'needs_review')
     WHERE orders.account_id = ${accountId}::uuid AND orders.id = ${orderId}::uuid`)
  if (!row) return null
  const { liveId, liveState, now } = row
  return { order: toOrder(row), live: liveId === null ? null : { id: liveId, state: liveState }, now }
}

/** Layer 4 for orders: moves the order from the version that was read to the next one. */
export function moveOrder(tx: Tx, { id, version }: Pick<Order, 'id' | 'version'>, state: OrderState): void {
  tx.write(sql`
    WITH changed AS (
      UPDATE orders SET state = ${state}::order_state, version = version + 1
       WHERE id = ${id}::uuid AND version = ${version}
      RETURNING id)
    SELECT ${changedOne['order-version']}`)
}
