import { sql, type Tx } from '@seatbelt/database'
import { keyRememberedHours } from '@seatbelt/safety'
import { orderLockName } from './order-lock.ts'
import type { PaymentDeps } from './payment-deps.ts'

/** A payment or refund at the gateway that our books do not have. */
export interface FoundOrphan {
  readonly kind: 'payment' | 'refund'
  readonly accountId: string | null
  /** Our order, where it is there. */
  readonly orderId: string | null
  /** As the gateway names them. */
  readonly orderReference: string | null
  readonly gatewayKey: string | null
  readonly gatewayIntentId: string | null
  readonly gatewayRefundId: string | null
  readonly amountMinor: number | null
  readonly currency: string | null
  /** Until then a creation with its name meets it. */
  readonly keyKnownUntil: Date | null
  readonly seen: string
  readonly why: string
}

/**
 * An orphan is open until a person resolves it, or a payment or refund of ours comes to own it. A step that is repeated
 * after a lost commit does that, because it meets what the first had made.
 */
export const isOpenOrphan = sql`
  orphans.resolved_at IS NULL
  AND NOT EXISTS (SELECT FROM payments
                   WHERE orphans.kind = 'payment' AND payments.gateway_intent_id = orphans.gateway_intent_id)
  AND NOT EXISTS (SELECT FROM refunds
                   WHERE orphans.kind = 'refund' AND refunds.gateway_refund_id = orphans.gateway_refund_id)`

/** Of what was created at the gateway then: until when a request with its key shows it. */
export function keyKnownUntil(createdAt: Date): Date {
  return new Date(createdAt.getTime() + keyRememberedHours * 3_600_000)
}

/** Keeps what is known of an orphan, once for however many reports of it, and reports a fault after the commit. */
export function recordOrphan({ layers, runtime, by }: PaymentDeps, tx: Tx, orphan: FoundOrphan): void {
  const { kind, accountId, orderId, orderReference, gatewayKey, gatewayIntentId, gatewayRefundId } = orphan
  tx.write(sql`
    INSERT INTO orphans (id, kind, account_id, order_id, order_reference, gateway_key, gateway_intent_id,
                         gateway_refund_id, amount_minor, currency, key_known_until, seen, why, found_by)
    VALUES (${runtime.newId()}::uuid, ${kind}, ${accountId}::uuid, ${orderId}::uuid, ${orderReference}, ${gatewayKey},
            ${gatewayIntentId}, ${gatewayRefundId}, ${orphan.amountMinor}, ${orphan.currency},
            ${orphan.keyKnownUntil}::timestamptz, ${orphan.seen}, ${orphan.why}, ${by})
    ON CONFLICT DO NOTHING`)
  const name = gatewayRefundId ?? gatewayIntentId ?? gatewayKey
  const fault = new Error(
    `orphan: the gateway has the ${kind} ${name} (${orphan.seen}), and our books do not: ${orphan.why}`,
  )
  const resource = orderLockName({ accountId: accountId ?? 'unknown', orderId: orderId ?? orderReference ?? 'unknown' })
  tx.afterCommit(() => layers.reportFault(fault, resource))
}
