import type { Payment as PaymentRow } from '@seatbelt/database'
import { Prisma } from '@seatbelt/database'
import type { Payment } from '@seatbelt/domain'
import { type ClaimedPayment, guardSettle, type IntentParameters, orderLockName } from '@seatbelt/safety'
import type { Result } from './operations.ts'
import { type PaymentDeps, reviewAfterMs, startOwnLease } from './payment-deps.ts'
import { toPayment } from './rows.ts'
import { settlePayment } from './settle-payment.ts'

export interface Recovered {
  readonly payment: Payment
  readonly result: Result
}

/**
 * Takes over one payment whose owner died or gave up, finds out what became of it, and finishes it: forward while it is
 * still wanted, by cancelling its intent afterwards. The worker calls it for whatever is due, a retried request for its own.
 *
 * Guarantees: of many copies, one takes a payment (SKIP LOCKED, and the generation fences whoever had it before); it looks
 * at the gateway before it asks for anything. Null: nothing is due.
 * Fails with: database faults. The lease then runs out, and the payment is due again.
 */
export async function recoverPayment(deps: PaymentDeps, paymentId?: string): Promise<Recovered | null> {
  const lease = startOwnLease(deps.policy)
  const due = await takeDuePayment(deps, paymentId)
  if (!due) return null
  const { payment, claimed, looks, overdue } = due
  const evidence = await deps.layers.gatewayIntent(claimed, lease)
  const result = await guardSettle(deps.layers, orderLockName(payment), (tx) =>
    settlePayment(deps, tx, { payment, claimed, evidence, looks, overdue }),
  )
  return { payment, result }
}

interface DuePayment {
  readonly payment: Payment
  readonly claimed: ClaimedPayment
  readonly looks: number
  readonly overdue: boolean
}

/**
 * One statement: choose, raise the generation, lease, and write the line of history.
 *
 * One payment at a time, so that none waits in a queue of its owner while its lease runs. MATERIALIZED, because a
 * subquery that locks must not be run twice; NO KEY UPDATE, because rows that refer to the payment must not hide it.
 * `look_at` moves on, so that a payment whose recovery fails each time stands behind the others and not before them.
 */
async function takeDuePayment({ database, policy, by }: PaymentDeps, paymentId?: string): Promise<DuePayment | null> {
  const only = paymentId === undefined ? Prisma.empty : Prisma.sql`AND id = ${paymentId}::uuid`
  const rows = await database.statement(
    (client) => client.$queryRaw<DueRow[]>`
    WITH due AS MATERIALIZED (
      SELECT id FROM payments
       WHERE state IN ('processing', 'needs_review') AND look_at <= now() AND (leased_until IS NULL OR leased_until < now()) ${only}
       ORDER BY look_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    taken AS (
      UPDATE payments
         SET generation = generation + 1, look_at = clock_timestamp(),
             leased_until = clock_timestamp() + make_interval(secs => ${policy.leaseMs / 1000}::float8)
        FROM due WHERE payments.id = due.id RETURNING payments.*),
    noted AS (
      INSERT INTO payment_events (payment_id, event, by, generation) SELECT id, 'taken-over', ${by}, generation FROM taken)
    SELECT id, account_id AS "accountId", order_id AS "orderId", amount_minor AS "amountMinor", currency,
           payment_method AS "paymentMethod", state::text, decline_code AS "declineCode", generation, looks,
           gateway_intent_id AS "gatewayIntentId", intent_parameters AS "intentParameters",
           create_attempt AS "createAttempt", confirm_attempt AS "confirmAttempt", cancel_attempt AS "cancelAttempt",
           created_at AS "createdAt", settled_at AS "settledAt", wanted_until > now() AS wanted,
           created_at < now() - make_interval(secs => ${reviewAfterMs / 1000}::float8) AS overdue
      FROM taken`,
  )
  return rows[0] ? toDuePayment(rows[0]) : null
}

type DueRow = PaymentRow & { readonly wanted: boolean; readonly overdue: boolean }

function toDuePayment(row: DueRow): DuePayment {
  return {
    payment: toPayment(row),
    looks: row.looks,
    overdue: row.overdue,
    claimed: {
      id: row.id,
      generation: row.generation,
      gatewayIntentId: row.gatewayIntentId,
      // Written by the claim from the same type; nobody else writes this column.
      intentParameters: row.intentParameters as unknown as IntentParameters,
      attempts: { create: row.createAttempt, confirm: row.confirmAttempt, cancel: row.cancelAttempt },
      declineCode: row.declineCode,
      wanted: row.wanted,
    },
  }
}
