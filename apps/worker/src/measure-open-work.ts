import { type Database, type Sql, sql } from '@seatbelt/database'
import { Gauge, type Registry } from 'prom-client'

type Labels = Readonly<Record<string, string>>

interface Measured<Label extends string> {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly Label[]
  readonly statement: Sql
}

/**
 * Shows what is open, and what waits for a person, whenever the metrics are read.
 *
 * The literals of the conditions are those of the partial indexes `payments_to_recover`, `refunds_to_recover` and
 * `refunds_failed`, so that no other row is read; of disputes there are few.
 */
export function measureOpenWork(database: Pick<Database, 'query'>, registry: Registry): void {
  measure(database, registry, {
    name: 'payments_oldest_open_seconds',
    help: 'Age of the present step of the oldest open payment, and of the oldest open refund, by state.',
    labelNames: ['kind', 'state'],
    statement: sql`
      SELECT json_build_object('kind', 'payment', 'state', states.state) AS labels,
             COALESCE(extract(epoch FROM clock_timestamp() - min(step_started_at)), 0)::float8 AS value
        FROM (VALUES ('processing'), ('capturing'), ('voiding'), ('needs_review')) AS states (state)
        LEFT JOIN payments ON payments.state::text = states.state
                          AND payments.state IN ('processing', 'capturing', 'voiding', 'needs_review')
       GROUP BY states.state
      UNION ALL
      SELECT json_build_object('kind', 'refund', 'state', states.state),
             COALESCE(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
        FROM (VALUES ('processing'), ('pending'), ('needs_review')) AS states (state)
        LEFT JOIN refunds ON refunds.state::text = states.state
                         AND refunds.state IN ('processing', 'pending', 'needs_review')
       GROUP BY states.state`,
  })
  measure(database, registry, {
    name: 'payments_in_review',
    help: 'Payments and refunds that wait for a person: npm run review lists them.',
    labelNames: ['kind'],
    statement: sql`
      SELECT json_build_object('kind', 'payment') AS labels, count(*)::float8 AS value
        FROM payments WHERE state = 'needs_review'
      UNION ALL
      SELECT json_build_object('kind', 'refund'), count(*)::float8 FROM refunds WHERE state = 'needs_review'`,
  })
  measure(database, registry, {
    name: 'checkouts_owing_money',
    help: 'Checkouts without seats whose refund failed, or whose dispute was won afterwards: the customer has neither seats nor money. Refund the payment.',
    labelNames: [],
    statement: sql`
      SELECT json_build_object() AS labels, count(DISTINCT owing.order_id)::float8 AS value
        FROM (
      SELECT orders.id AS order_id
        FROM refunds
        JOIN orders ON orders.id = refunds.order_id AND orders.purpose = 'checkout'
        JOIN payments ON payments.id = refunds.payment_id
        LEFT JOIN bookings ON bookings.order_id = orders.id
       WHERE refunds.state = 'failed'
         AND COALESCE(captured_minor, payments.amount_minor) > refunded_minor + refund_pending_minor + disputed_minor
         AND (bookings.id IS NULL OR (bookings.state = 'cancelled'
              AND COALESCE(refunds.reversed_at, refunds.settled_at) > bookings.cancelled_at))
      UNION ALL
      SELECT bookings.order_id
        FROM disputes
        JOIN bookings ON bookings.payment_id = disputes.payment_id AND bookings.state = 'cancelled'
        JOIN payments ON payments.id = disputes.payment_id
        JOIN transfers ON transfers.payment_id = disputes.payment_id AND transfers.kind = 'dispute_reinstatement'
                      AND transfers.created_at >= bookings.cancelled_at
       WHERE disputes.reinstated_minor > 0
         AND COALESCE(captured_minor, payments.amount_minor) > refunded_minor + refund_pending_minor + disputed_minor
             ) AS owing`,
  })
}

function measure<Label extends string>(
  database: Pick<Database, 'query'>,
  registry: Registry,
  { name, help, labelNames, statement }: Measured<Label>,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      this.reset()
      // While the database is away, the other figures are still shown.
      const rows = await database.query<{ labels: Labels; value: number }>(statement).catch(() => [])
      for (const { labels, value } of rows) this.set(labels as Parameters<typeof this.set>[0] & object, value)
    },
  })
}
