import { type Order as OrderRow, sql, type Tx } from '@seatbelt/database'
import type { LivePayment, Order, OrderState } from '@seatbelt/domain'
import { changedOne } from '@seatbelt/safety'
import { isOpenOrphan } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toOrder } from '../shared/rows.ts'

/** The facts that a decision about an order needs, read under the order's lock. */
export interface OrderToDecide {
  readonly order: Order
  readonly live: LivePayment | null
  /** The database's time, for what this transaction writes. */
  readonly now: Date
  readonly names: NamesAtGateway
  /** The gateway has a payment of this order that our books do not, and the next payment would not meet it. */
  readonly isBlocked: boolean
}

/** Gateway references. */
export interface NamesAtGateway {
  readonly order: string
  /** Of the order's next payment. */
  readonly payment: string
}

/**
 * Null: the account has no order with this id. An order has at most one live payment: `payments_one_live_per_order`.
 */
export async function readOrderToDecide(
  deps: Pick<PaymentDeps, 'layers'>,
  tx: Tx,
  accountId: string,
  orderId: string,
): Promise<OrderToDecide | null> {
  const [row] = await tx.read<RowToDecide>(sql`
    SELECT orders.*, live.id AS live_id, live.state::text AS live_state, clock_timestamp() AS now,
           ARRAY(SELECT gateway_key FROM payments WHERE order_id = orders.id) AS used_names,
           ARRAY(SELECT CASE WHEN key_known_until > now() THEN gateway_key END FROM orphans
                  WHERE (order_id = orders.id OR order_reference = orders.gateway_reference)
                    AND kind = 'payment' AND ${isOpenOrphan}) AS orphans
      FROM orders
      LEFT JOIN payments AS live
        ON live.order_id = orders.id
       AND live.state IN ('processing', 'authorized', 'capturing', 'voiding', 'succeeded', 'needs_review')
     WHERE orders.account_id = ${accountId}::uuid AND orders.id = ${orderId}::uuid`)
  if (!row) return null
  const { liveId, liveState, now, usedNames, orphans } = row
  const live = liveId === null ? null : { id: liveId, state: liveState }
  const names = namesOf(deps, row.gatewayReference ?? row.id, usedNames)
  return { order: toOrder(row), live, now, names, isBlocked: orphans.some((name) => name !== names.payment) }
}

interface RowToDecide extends OrderRow {
  readonly liveId: string | null
  readonly liveState: LivePayment['state']
  readonly now: Date
  readonly usedNames: readonly (string | null)[]
  /** What is known of each open orphan: the name that the gateway still knows as a key, or null. */
  readonly orphans: readonly (string | null)[]
}

/** `used`: the names of the order's payments. Those of an earlier version have none. */
export function namesOf(
  { layers }: Pick<PaymentDeps, 'layers'>,
  order: string,
  used: readonly (string | null)[],
): NamesAtGateway {
  return { order, payment: nextName((number) => layers.gatewayReference('payment', order, number), used) }
}

/** The first name that is free, from the number of rows on. A row that was adopted may have a later name already. */
export function nextName(name: (number: number) => string, used: readonly (string | null)[]): string {
  for (let number = used.length + 1; ; number += 1) {
    const next = name(number)
    if (!used.includes(next)) return next
  }
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
