import { type Sql, sql } from '@seatbelt/database'
import type { ChargeInBooks, ChargeSeen } from '@seatbelt/domain'
import { ourIdIn } from '@seatbelt/safety'

/** Runs one SELECT: in a transaction, or on its own. */
export type Read = <Row extends object>(statement: Sql) => Promise<Row[]>

/** A charge of the gateway, with the references that lead into our books. */
export interface FoundCharge extends ChargeSeen {
  readonly intentId: string | null
  readonly metadata: Readonly<Record<string, string>>
}

/** A charge in our books, for the decision and for the repair. */
export interface BooksOfCharge extends ChargeInBooks {
  readonly paymentId: string | null
  readonly accountId: string | null
  readonly orderId: string | null
  /** Of the payment that the order is paid by. */
  readonly paidByIntentId: string | null
}

/**
 * Reads what our books know of these charges, in one statement, in their order.
 *
 * A charge leads to the payment that has stored its intent, and to the order of that payment. Where no payment has
 * stored it, the charge leads to the order in its metadata, by its reference or its id, within the account in its
 * metadata.
 */
export function findBooksOfCharges(
  read: Read,
  charges: readonly FoundCharge[],
  judgedAfterMs: number,
): Promise<BooksOfCharge[]> {
  return read<BooksOfCharge>(sql`
    WITH asked AS (
      SELECT * FROM unnest(${charges.map(({ id }) => id)}::text[], ${charges.map(({ intentId }) => intentId)}::text[],
                           ${charges.map(named('accountId'))}::uuid[], ${charges.map(named('orderId'))}::uuid[])
             WITH ORDINALITY AS charge (charge_id, intent_id, account_id, order_id, place))
    SELECT owner.id AS payment_id, orders.account_id, orders.id AS order_id, paid_by.gateway_intent_id AS paid_by_intent_id,
           CASE WHEN owner.id IS NOT NULL THEN json_build_object(
             'state', owner.state, 'amountMinor', COALESCE(owner.captured_minor, owner.amount_minor), 'currency', owner.currency,
             'gatewayChargeId', owner.gateway_charge_id) END AS owner,
           CASE WHEN orders.id IS NOT NULL THEN json_build_object(
             'state', orders.state, 'amountMinor', orders.amount_minor, 'currency', orders.currency,
             'isQuiet', NOT EXISTS (
               SELECT FROM payments WHERE order_id = orders.id AND (settled_at IS NULL OR settled_at > bound)
               UNION ALL
               SELECT FROM refunds WHERE order_id = orders.id AND (settled_at IS NULL OR settled_at > bound)),
             'paidBy', CASE WHEN paid_by.gateway_charge_id IS NOT NULL THEN json_build_object(
               'gatewayChargeId', paid_by.gateway_charge_id,
               'amountMinor', COALESCE(paid_by.captured_minor, paid_by.amount_minor),
               'refundedMinor', paid_by.refunded_minor, 'disputedMinor', paid_by.disputed_minor,
               'isDisputeOpen', paid_by.dispute_state IS NOT DISTINCT FROM 'open') END,
             'repair', repair.state) END AS "order"
      FROM asked
      CROSS JOIN (SELECT clock_timestamp() - make_interval(secs => ${judgedAfterMs / 1000}::float8) AS bound) AS age
      LEFT JOIN payments AS owner ON owner.gateway_intent_id = asked.intent_id
      LEFT JOIN orders AS named ON named.gateway_reference = asked.order_id::text AND named.account_id = asked.account_id
      LEFT JOIN orders ON orders.id = COALESCE(owner.order_id, named.id, asked.order_id)
                      AND orders.account_id = COALESCE(owner.account_id, asked.account_id)
      LEFT JOIN payments AS paid_by ON paid_by.order_id = orders.id AND paid_by.state = 'succeeded'
      LEFT JOIN refunds AS repair ON repair.gateway_charge_id = asked.charge_id AND repair.origin = 'reconciliation'
     ORDER BY asked.place`)
}

const named = (name: string) => (charge: FoundCharge) => ourIdIn(charge.metadata, name)
