import { type ReconciliationFinding as FindingRow, type Refund as RefundRow, sql } from '@seatbelt/database'
import { guardSettle, readRefundOutcome } from '@seatbelt/safety'
import { applyLateEvidence } from '../refund/apply-late-evidence.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { askPatiently, GatewayUnreadable, isAbsent } from './ask-patiently.ts'
import type { Outcome } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/**
 * Takes back a refund that the bank sent back, as the gateway's event would have had it, that did not come. It asks for
 * nothing and only ever goes forward, so it need not wait for an owner of the order.
 */
export async function reverseLostRefund(deps: ReconcileDeps, finding: FindingRow): Promise<Outcome> {
  const { refundId, gatewayRefundId } = finding
  if (refundId === null || gatewayRefundId === null) return { kind: 'person' }
  const { payments, gateway } = deps
  const answer = await askPatiently(() => gateway.retrieveRefund(gatewayRefundId))
  if (isAbsent(answer)) return { kind: 'gone' }
  if (answer.kind !== 'refund') throw new GatewayUnreadable(answer)
  const outcome = readRefundOutcome(answer.refund)

  const known = await payments.database.statement((client) =>
    client.refund.findUniqueOrThrow({ where: { id: refundId } }),
  )
  return guardSettle(payments.layers, orderLockName(known), async (tx) => {
    const [row] = await tx.read<RefundRow>(sql`SELECT * FROM refunds WHERE id = ${refundId}::uuid`)
    if (!row) throw new Error(`refund ${refundId} is gone`)
    const applied = await applyLateEvidence(payments, tx, row, { outcome, requestLog: [] })
    if (applied === 'reversed') return { kind: 'done' }
    // By this run before it was stopped, or by an event that came after all.
    return row.reversedAt === null ? { kind: 'gone' } : { kind: 'done' }
  })
}
