import { Prisma, type Refund as RefundRow } from '@seatbelt/database'
import type { Refund } from '@seatbelt/domain'
import { type ClaimedRefund, guardSettle, keyRememberedHours, orderLockName } from '@seatbelt/safety'
import type { RefundResult } from '../shared/operations.ts'
import { type PaymentDeps, reviewAfterMs, startOwnLease } from '../shared/payment-deps.ts'
import { refundColumns, toRefund } from '../shared/rows.ts'
import { settleRefund } from './settle-refund.ts'
import { toClaimedRefund } from './to-claimed-refund.ts'

export interface RecoveredRefund {
  readonly refund: Refund
  readonly result: RefundResult
}

/**
 * Takes over one refund whose owner died or gave up, or that the bank takes its time for, looks for it at the gateway, and
 * finishes it. There is no way back from a refund, so that it is wanted for ever. The worker calls it for whatever is due, a
 * retried request for its own.
 *
 * Guarantees: of many copies, one takes a refund (SKIP LOCKED, and the generation fences whoever had it before); it lists
 * the gateway's refunds before it asks for one. Null: nothing is due, or the gateway is not to be asked now.
 * Fails with: database faults. The lease then runs out, and the refund is due again.
 */
export async function recoverRefund(deps: PaymentDeps, refundId?: string): Promise<RecoveredRefund | null> {
  const recovered = await deps.layers.gatewayGate.forRecovery(() => recoverDueRefund(deps, refundId))
  return recovered && 'reason' in recovered ? null : recovered
}

async function recoverDueRefund(deps: PaymentDeps, refundId?: string): Promise<RecoveredRefund | null> {
  const lease = startOwnLease(deps.policy)
  const due = await takeDueRefund(deps, refundId)
  if (!due) return null
  const { refund, claimed, looks, overdue } = due
  const evidence = await deps.layers.gatewayRefund(claimed, lease)
  const result = await guardSettle(deps.layers, orderLockName(refund), (tx) =>
    settleRefund(deps, tx, { refund, claimed, evidence, looks, overdue }),
  )
  return { refund, result }
}

interface DueRefund {
  readonly refund: Refund
  readonly claimed: ClaimedRefund
  readonly looks: number
  readonly overdue: boolean
}

/**
 * One statement, as for payments: choose, raise the generation, lease, and write the line of history.
 *
 * Of a refund that is pending there is none: the bank may take so many days that nothing else could be read in between. The
 * age of the key is judged by the database's clock, here, where the lease begins: no passage lasts longer than that.
 */
async function takeDueRefund({ database, policy, by }: PaymentDeps, refundId?: string): Promise<DueRefund | null> {
  const only = refundId === undefined ? Prisma.empty : Prisma.sql`AND id = ${refundId}::uuid`
  const rows = await database.statement(
    (client) => client.$queryRaw<DueRow[]>`
    WITH due AS MATERIALIZED (
      SELECT id FROM refunds
       WHERE state IN ('processing', 'pending', 'needs_review')
         AND look_at <= now() AND (leased_until IS NULL OR leased_until < now()) ${only}
       ORDER BY look_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    taken AS (
      UPDATE refunds
         SET generation = generation + 1, look_at = clock_timestamp(), hinted = false,
             leased_until = clock_timestamp() + make_interval(secs => ${policy.leaseMs / 1000}::float8)
        FROM due WHERE refunds.id = due.id RETURNING refunds.*),
    noted AS (
      INSERT INTO payment_events (payment_id, refund_id, event, by, generation)
      SELECT payment_id, id, 'taken-over', ${by}, generation FROM taken WHERE payment_id IS NOT NULL AND state <> 'pending')
    SELECT ${refundColumns}, attempt_since > now() - make_interval(hours => ${keyRememberedHours}::int) AS "keyIsRemembered",
           state = 'processing' AND created_at < now() - make_interval(secs => ${reviewAfterMs / 1000}::float8) AS overdue
      FROM taken`,
  )
  return rows[0] ? toDueRefund(rows[0]) : null
}

type DueRow = RefundRow & { readonly keyIsRemembered: boolean; readonly overdue: boolean }

function toDueRefund(row: DueRow): DueRefund {
  const { looks, overdue, keyIsRemembered } = row
  const refund = toRefund(row)
  return { refund, looks, overdue, claimed: toClaimedRefund(refund, row, { isFirstOwner: false, keyIsRemembered }) }
}
