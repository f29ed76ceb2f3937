import { type Order as OrderRow, sql, type Tx } from '@seatbelt/database'
import {
  type DeclineLimits,
  type DeclinesSeen,
  type LivePayment,
  noDeclineLimits,
  type Order,
  type OrderState,
} from '@seatbelt/domain'
import { changedOne } from '@seatbelt/safety'
import { countDeclines } from '../shared/declines.ts'
import { isBlockedBy, type OrphanOfOrder, orphansOfOrder, usedNames } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toOrder } from '../shared/rows.ts'

/** The facts that a decision about an order needs, read under the order's lock. */
export interface OrderToDecide {
  readonly order: Order
  readonly live: LivePayment | null
  /** The database's time, for what this transaction writes. */
  readonly now: Date
  readonly names: NamesAtGateway
  /** The names that the next payment must not have. */
  readonly usedNames: readonly (string | null)[]
  /** The names of orphans that nothing may meet: their money was returned, is being returned, or is dismissed. */
  readonly closedNames: readonly (string | null)[]
  /** Of each scope that has a limit. */
  readonly declines: readonly DeclinesSeen[]
  /** The gateway has a payment of this order that our books do not, and the next payment would not meet it. */
  readonly isBlocked: boolean
}

/** The names of an order's payments and orphans, and whether they block it. */
export type NamesOfOrder = Pick<OrderToDecide, 'names' | 'usedNames' | 'closedNames' | 'isBlocked'>

/** Gateway references. */
export interface NamesAtGateway {
  readonly order: string
  /** Of the order's next payment. */
  readonly payment: string
}

const ofOrder = { account: sql`orders.account_id`, customer: sql`orders.customer_id`, order: sql`orders.id` }

/**
 * Null: the account has no order with this id. An order has at most one live payment: `payments_one_live_per_order`.
 */
export async function readOrderToDecide(
  deps: Pick<PaymentDeps, 'layers'>,
  tx: Tx,
  accountId: string,
  orderId: string,
  limits: DeclineLimits = noDeclineLimits,
): Promise<OrderToDecide | null> {
  const [row] = await tx.read<RowToDecide>(sql`
    SELECT orders.*, live.id AS live_id, live.state::text AS live_state, clock_timestamp() AS now,
           ARRAY(SELECT gateway_key FROM payments WHERE order_id = orders.id) AS payment_names,
           ${countDeclines(limits, ofOrder)} AS declines, ${orphansOfOrder('payment')}
      FROM orders
      LEFT JOIN payments AS live
        ON live.order_id = orders.id
       AND live.state IN ('processing', 'authorized', 'capturing', 'voiding', 'succeeded', 'needs_review')
     WHERE orders.account_id = ${accountId}::uuid AND orders.id = ${orderId}::uuid`)
  if (!row) return null
  const { liveId, liveState, now, paymentNames, declines, orphans } = row
  const live = liveId === null ? null : { id: liveId, state: liveState }
  const named = readNames(deps, row.gatewayReference ?? row.id, paymentNames, orphans)
  return { order: toOrder(row), live, now, declines, ...named }
}

/**
 * The names of an order that this transaction makes. Its orphans are those of an order that was lost.
 *
 * Their rows are locked until this transaction ends. A command that returns their money cannot see the order yet, so it
 * would not wait for the order's lock.
 */
export async function readNamesOfNewOrder(
  deps: Pick<PaymentDeps, 'layers'>,
  tx: Tx,
  gatewayReference: string,
): Promise<NamesOfOrder> {
  const [row] = await tx.read<Pick<RowToDecide, 'orphans'>>(sql`
    SELECT ${orphansOfOrder('payment', sql`FOR SHARE`)}
      FROM (SELECT NULL::uuid AS id, ${gatewayReference}::text AS gateway_reference) AS orders`)
  return readNames(deps, gatewayReference, [], row?.orphans ?? [])
}

function readNames(
  deps: Pick<PaymentDeps, 'layers'>,
  order: string,
  ofPayments: readonly (string | null)[],
  orphans: readonly OrphanOfOrder[],
): NamesOfOrder {
  const used = usedNames(ofPayments, orphans)
  const names = namesOf(deps, order, used)
  const closedNames = usedNames([], orphans)
  return { names, usedNames: used, closedNames, isBlocked: isBlockedBy(orphans, names.payment) }
}

interface RowToDecide extends OrderRow {
  readonly liveId: string | null
  readonly liveState: LivePayment['state']
  readonly now: Date
  readonly paymentNames: readonly (string | null)[]
  readonly declines: readonly DeclinesSeen[]
  readonly orphans: readonly OrphanOfOrder[]
}

/** `used`: the payments of an earlier version have no name. */
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
