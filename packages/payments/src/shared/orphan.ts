import { empty, type Sql, sql, type Tx } from '@seatbelt/database'
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

/** An orphan that an order has or had, as a decision about the order needs it. */
export interface OrphanOfOrder {
  /** Its payment's or refund's name at the gateway. */
  readonly name: string | null
  readonly isOpen: boolean
  /** The gateway still knows its name as a key, so that a creation with this name meets it. */
  readonly isKeyKnown: boolean
  /** Its money was returned, is being returned, or a person has dismissed it: nothing may meet it any more. */
  readonly isClosed: boolean
}

/** The orphans of the row `orders`, as a column. An adopted one is left out: a row of ours stands for it. */
export function orphansOfOrder(kind: FoundOrphan['kind'], lock: Sql = empty): Sql {
  return sql`
           to_json(ARRAY(
             SELECT json_build_object('name', gateway_key, 'isOpen', ${isOpenOrphan},
                                      'isKeyKnown', COALESCE(key_known_until > now(), false),
                                      'isClosed', refund_claimed_at IS NOT NULL OR resolved_at IS NOT NULL)
               FROM orphans
              WHERE (order_id = orders.id OR order_reference = orders.gateway_reference)
                AND kind = ${kind} AND resolution IS DISTINCT FROM 'adopted' ${lock})) AS orphans`
}

/** Few accounts have any: the others need not look for those of an order. */
export async function hasOrphans(tx: Tx, accountId: string): Promise<boolean> {
  const [row] = await tx.read<{ has: boolean }>(sql`
    SELECT EXISTS (SELECT FROM orphans WHERE account_id = ${accountId}::uuid AND kind = 'payment'
                                         AND resolution IS DISTINCT FROM 'adopted') AS has`)
  return row?.has ?? false
}

/** The names that the next payment or refund must not have: those of our rows, and of closed orphans. */
export function usedNames(
  ofRows: readonly (string | null)[],
  orphans: readonly OrphanOfOrder[],
): readonly (string | null)[] {
  const closed = new Set(orphans.filter(({ isClosed }) => isClosed).map(({ name }) => name))
  return [...ofRows, ...[...closed].filter((name) => name !== null && !ofRows.includes(name))]
}

/** Whether there is an open orphan that the next payment or refund, of this name, would not meet. */
export function isBlockedBy(orphans: readonly OrphanOfOrder[], nextName: string): boolean {
  return orphans.some(({ isOpen, isKeyKnown, name }) => isOpen && !(isKeyKnown && name === nextName))
}

/** Of what was created at the gateway then: until when a request with its key shows it. */
export function keyKnownUntil(createdAt: Date): Date {
  return new Date(createdAt.getTime() + keyRememberedHours * 3_600_000)
}

/**
 * Keeps what is known of an orphan, once for however many reports of it, and reports a fault after the commit. An
 * orphan that a person has resolved is not opened again by later news of the same intent or refund.
 */
export async function recordOrphan({ layers, runtime, by }: PaymentDeps, tx: Tx, orphan: FoundOrphan): Promise<void> {
  const { kind, accountId, orderId, orderReference, gatewayKey, gatewayIntentId, gatewayRefundId } = orphan
  const gatewayId = kind === 'payment' ? gatewayIntentId : gatewayRefundId
  const recorded = await tx.writeReturning(sql`
    INSERT INTO orphans (id, kind, account_id, order_id, order_reference, gateway_key, gateway_intent_id,
                         gateway_refund_id, amount_minor, currency, key_known_until, seen, why, found_by)
    SELECT ${runtime.newId()}::uuid, ${kind}, ${accountId}::uuid, ${orderId}::uuid, ${orderReference}, ${gatewayKey},
           ${gatewayIntentId}, ${gatewayRefundId}, ${orphan.amountMinor}::int, ${orphan.currency},
           ${orphan.keyKnownUntil}::timestamptz, ${orphan.seen}, ${orphan.why}, ${by}
     WHERE NOT EXISTS (
       SELECT FROM orphans
        WHERE (order_id = ${orderId}::uuid OR order_reference = ${orderReference}) AND kind = ${kind}
          AND resolved_at IS NOT NULL
          AND CASE kind WHEN 'payment' THEN gateway_intent_id ELSE gateway_refund_id END = ${gatewayId})
    ON CONFLICT DO NOTHING
    RETURNING 1`)
  // An orphan that is not listed must not be reported.
  if (recorded.length === 0) return
  const name = gatewayRefundId ?? gatewayIntentId ?? gatewayKey
  const fault = new Error(
    `orphan: the gateway has the ${kind} ${name} (${orphan.seen}), and our books do not: ${orphan.why}`,
  )
  const resource = orderLockName({ accountId: accountId ?? 'unknown', orderId: orderId ?? orderReference ?? 'unknown' })
  tx.afterCommit(() => layers.reportFault(fault, resource))
}
