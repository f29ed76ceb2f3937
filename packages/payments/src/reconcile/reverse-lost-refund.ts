import type { ReconciliationFinding as FindingRow } from '@seatbelt/database'
import { guardSettle, orderLockName, readRefundOutcome } from '@seatbelt/safety'
import { applyLateEvidence } from '../refund/apply-late-evidence.ts'
import { askPatiently, isAbsent, type Unanswered, unanswered } from './ask-patiently.ts'
import type { Outcome } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/**
 * Takes back a refund that the bank sent back, as the gateway's event would have had it, that did not come. It asks for nothing and
 * only ever goes forward, so that it need not wait until nobody is at work on the order.
 */
export async function reverseLostRefund(deps: ReconcileDeps, finding: FindingRow): Promise<Outcome | Unanswered> {
  const { refundId, gatewayRefundId } = finding
  if (refundId === null || gatewayRefundId === null) return { kind: 'person' }
  const { payments, gateway } = deps
  const answer = await askPatiently(() => gateway.retrieveRefund(gatewayRefundId))
  if (isAbsent(answer)) return { kind: 'gone' }
  if (answer.kind !== 'refund') return unanswered(answer)
  const outcome = readRefundOutcome(answer.refund)

  const known = await payments.database.statement((client) =>
    client.refund.findUniqueOrThrow({ where: { id: refundId } }),
  )
  return guardSettle(payments.layers, orderLockName(known), async (tx) => {
    const row = await tx.refund.findUniqueOrThrow({ where: { id: refundId } })
    const applied = await applyLateEvidence(payments, tx, row, { outcome, trail: [] })
    if (applied === 'reversed') return { kind: 'done' }
    // By this run before it was stopped, or by an event that came after all.
    return row.reversedAt === null ? { kind: 'gone' } : { kind: 'done' }
  })
}
