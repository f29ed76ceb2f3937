import type { Refund as RefundRow, Tx } from '@seatbelt/database'
import type { OrderPurpose } from '@seatbelt/domain'
import { type GatewayRefund, isThisRefund, readRefundOutcome } from '@seatbelt/safety'
import { applyLateEvidence } from '../refund/apply-late-evidence.ts'
import { toRefundAttempt } from '../refund/owned-refund.ts'
import { settleRefund } from '../refund/settle-refund.ts'
import { depose, leasedRefunds, noOwner } from '../shared/leased-work.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toRefund } from '../shared/rows.ts'
import { eventLog, type GatewayEvent, type Verdict } from './gateway-event.ts'

export type RefundOfEvent = RefundRow & { readonly purpose: OrderPurpose; readonly orderName: string }

/**
 * Judges an event about a refund. A refund only ever goes forward, from pending to succeeded to failed: an older event
 * that arrives later changes nothing, and a pending refund proves nothing.
 */
export function judgeRefundEvent(row: RefundOfEvent, event: GatewayEvent): Verdict {
  const shown = finalRefundIn(event)
  // Ours is recognized by its name, so that another refund with our name on it is found as a contradiction.
  const named = row.origin === 'gateway' ? row : { ...row, gatewayRefundId: null }
  if (shown === null || !isThisRefund(shown, attemptOf(named))) return { kind: 'hint' }
  const settle = (deps: PaymentDeps, tx: Tx) => settleByEvent(deps, tx, row, shown, event)
  const isKnownId = row.gatewayRefundId === shown.id
  if (shown.status === 'succeeded') {
    if (row.settledAt === null && (isKnownId || row.gatewayRefundId === null)) return { kind: 'evidence', settle }
    if (isKnownId) return { kind: 'agrees' }
    const why = `refund ${row.id} is ${row.state}, and the gateway gave it back as ${shown.id}`
    return { kind: 'contradicts', why, orphan: null }
  }
  if (row.gatewayRefundId !== null && !isKnownId) return { kind: 'hint' }
  return row.state === 'failed' ? { kind: 'agrees' } : { kind: 'evidence', settle }
}

/** As for a payment. A refund that had succeeded and failed after all is reversed. */
async function settleByEvent(
  deps: PaymentDeps,
  tx: Tx,
  row: RefundOfEvent,
  shown: GatewayRefund,
  event: GatewayEvent,
): Promise<void> {
  const outcome = readRefundOutcome(shown)
  const requestLog = eventLog(deps, event)
  if (row.settledAt !== null) {
    await applyLateEvidence(deps, tx, row, { outcome, requestLog })
    return
  }
  const attempt = { ...attemptOf(row), generation: depose(tx, leasedRefunds, row) }
  const owned = { refund: toRefund(row), purpose: row.purpose, attempt, attempts: 0, isOverdue: false }
  await settleRefund(deps, tx, owned, { kind: 'outcome', outcome, requestLog, elsewhere: [] })
}

function finalRefundIn({ subject }: GatewayEvent): GatewayRefund | null {
  if (subject.kind !== 'refund' || subject.shown === null) return null
  return readRefundOutcome(subject.shown).state === 'pending' ? null : subject.shown
}

function attemptOf(row: RefundOfEvent) {
  return toRefundAttempt(toRefund(row), row, { ...noOwner, keyIsRemembered: false })
}
