import { type Refund as RefundRow, TransactionConflict, type Tx } from '@seatbelt/database'
import { type GatewayRefund, isThisRefund, readRefundOutcome } from '@seatbelt/safety'
import { applyLateEvidence } from '../refund/apply-late-evidence.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { toClaimedRefund } from '../refund/to-claimed-refund.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { eventTrail, type GatewayEvent, type Verdict } from './gateway-event.ts'

/**
 * What an event proves about a refund. A refund only ever goes forward, from pending to succeeded to failed: older news that
 * come later change nothing, and what the bank still works on proves nothing.
 */
export function judgeRefundEvent(row: RefundRow, event: GatewayEvent): Verdict {
  const shown = finalRefundIn(event)
  if (shown === null || !isThisRefund(shown, claimedFrom({ ...row, gatewayRefundId: null }))) return { kind: 'hint' }
  const isKnownId = row.gatewayRefundId === shown.id
  if (shown.status === 'succeeded') {
    if (row.settledAt === null && (isKnownId || row.gatewayRefundId === null)) return { kind: 'evidence' }
    if (isKnownId) return { kind: 'agrees' }
    return { kind: 'contradicts', why: `refund ${row.id} is ${row.state}, and the gateway gave it back as ${shown.id}` }
  }
  if (row.gatewayRefundId !== null && !isKnownId) return { kind: 'hint' }
  return row.state === 'failed' ? { kind: 'agrees' } : { kind: 'evidence' }
}

/** As for a payment. One that had succeeded and failed after all is taken back. */
export async function applyRefundEvent(deps: PaymentDeps, tx: Tx, row: RefundRow, event: GatewayEvent): Promise<void> {
  const shown = finalRefundIn(event)
  if (shown === null) throw new Error(`event ${event.id} proves nothing about refund ${row.id}`)
  const outcome = readRefundOutcome(shown)
  if (row.settledAt !== null) {
    await applyLateEvidence(deps, tx, row, { outcome, trail: eventTrail(event) })
    return
  }
  const owned = await deps.layers.compareAndSet.deposeRefund(tx, row)
  if (!owned) throw new TransactionConflict(`refund ${row.id} changed hands while an event was applied`)
  await settleRefund(deps, tx, {
    refund: toRefund(row),
    claimed: { ...claimedFrom(row), ...owned },
    evidence: { kind: 'outcome', outcome, trail: eventTrail(event) },
  })
}

function finalRefundIn({ subject }: GatewayEvent): GatewayRefund | null {
  if (subject.kind !== 'refund' || subject.shown === null) return null
  return readRefundOutcome(subject.shown).state === 'pending' ? null : subject.shown
}

function claimedFrom(row: RefundRow) {
  return toClaimedRefund(toRefund(row), row, { isFirstOwner: false, keyIsRemembered: false })
}
