import type { Tx } from '@seatbelt/database'
import type { ChargeInBooks, ChargeSeen, OrderState, PaymentState, RefundState } from '@seatbelt/domain'

/** A charge of the gateway, with what leads from it into our books. */
export interface FoundCharge extends ChargeSeen {
  readonly intentId: string | null
  readonly metadata: Readonly<Record<string, string>>
}

/** What our books know of a charge: for the decision, and for whoever acts upon it. */
export interface BooksOfCharge extends ChargeInBooks {
  readonly paymentId: string | null
  readonly accountId: string | null
  readonly orderId: string | null
  /** Of the payment that the order is paid by. */
  readonly paidByIntentId: string | null
}

/**
 * Reads what our books know of these charges, in one statement, by the charge's id.
 *
 * A charge leads to the payment that has stored its intent, and to that one's order. Only where nobody has, to the order
 * that was written on it, and then only within the account that was written there as well.
 */
export async function findBooksOfCharges(
  client: Tx,
  charges: readonly FoundCharge[],
  judgedAfterMs: number,
): Promise<ReadonlyMap<string, BooksOfCharge>> {
  const rows = await client.$queryRaw<Row[]>`
    WITH asked AS (
      SELECT * FROM unnest(${charges.map(({ id }) => id)}::text[], ${charges.map(({ intentId }) => intentId)}::text[],
                           ${charges.map(named('accountId'))}::uuid[], ${charges.map(named('orderId'))}::uuid[])
             AS charge (charge_id, intent_id, account_id, order_id))
    SELECT asked.charge_id AS "chargeId",
           owner.id AS "paymentId", owner.state::text AS "ownerState", owner.amount_minor AS "ownerAmountMinor",
           owner.currency AS "ownerCurrency", owner.gateway_charge_id AS "ownerChargeId",
           orders.id AS "orderId", orders.account_id AS "accountId", orders.state::text AS "orderState",
           orders.amount_minor AS "orderAmountMinor", orders.currency AS "orderCurrency",
           paid_by.gateway_charge_id AS "paidByChargeId", paid_by.gateway_intent_id AS "paidByIntentId",
           paid_by.amount_minor AS "paidByAmountMinor", paid_by.refunded_minor AS "paidByRefundedMinor",
           repair.state::text AS repair,
           NOT EXISTS (SELECT 1 FROM payments WHERE order_id = orders.id AND (settled_at IS NULL OR settled_at > bound))
             AND NOT EXISTS (SELECT 1 FROM refunds WHERE order_id = orders.id AND (settled_at IS NULL OR settled_at > bound))
             AS "isQuiet"
      FROM asked
      CROSS JOIN (SELECT clock_timestamp() - make_interval(secs => ${judgedAfterMs / 1000}::float8) AS bound) AS age
      LEFT JOIN payments AS owner ON owner.gateway_intent_id = asked.intent_id
      LEFT JOIN orders ON orders.id = COALESCE(owner.order_id, asked.order_id)
                      AND orders.account_id = COALESCE(owner.account_id, asked.account_id)
      LEFT JOIN payments AS paid_by ON paid_by.order_id = orders.id AND paid_by.state = 'succeeded'
      LEFT JOIN refunds AS repair ON repair.gateway_charge_id = asked.charge_id AND repair.origin = 'reconciliation'`
  return new Map(rows.map((row) => [row.chargeId, toBooks(row)]))
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What others wrote there may be anything. */
export function readId(metadata: Readonly<Record<string, string>>, name: string): string | null {
  const id = metadata[name]
  return id !== undefined && uuid.test(id) ? id : null
}

const named = (name: string) => (charge: FoundCharge) => readId(charge.metadata, name)

interface Row {
  readonly chargeId: string
  readonly paymentId: string | null
  readonly ownerState: PaymentState
  readonly ownerAmountMinor: number
  readonly ownerCurrency: string
  readonly ownerChargeId: string | null
  readonly orderId: string | null
  readonly accountId: string | null
  readonly orderState: OrderState
  readonly orderAmountMinor: number
  readonly orderCurrency: string
  readonly paidByChargeId: string | null
  readonly paidByIntentId: string | null
  readonly paidByAmountMinor: number
  readonly paidByRefundedMinor: number
  readonly repair: RefundState | null
  readonly isQuiet: boolean
}

function toBooks(row: Row): BooksOfCharge {
  const { paymentId, accountId, orderId, paidByIntentId } = row
  return {
    ...{ paymentId, accountId, orderId, paidByIntentId },
    owner: paymentId === null ? null : ownerIn(row),
    order: orderId === null ? null : orderIn(row),
  }
}

function ownerIn(row: Row): NonNullable<ChargeInBooks['owner']> {
  return {
    state: row.ownerState,
    amountMinor: row.ownerAmountMinor,
    currency: row.ownerCurrency,
    gatewayChargeId: row.ownerChargeId,
  }
}

function orderIn(row: Row): NonNullable<ChargeInBooks['order']> {
  const { paidByChargeId, paidByAmountMinor, paidByRefundedMinor, repair, isQuiet } = row
  const paidBy = paidByChargeId === null ? null : { gatewayChargeId: paidByChargeId, amountMinor: paidByAmountMinor }
  return {
    ...{ state: row.orderState, amountMinor: row.orderAmountMinor, currency: row.orderCurrency, isQuiet, repair },
    paidBy: paidBy && { ...paidBy, refundedMinor: paidByRefundedMinor },
  }
}
