import type { Tx } from '@seatbelt/database'
import { decideToRefund, type Refund } from '@seatbelt/domain'
import type { ClaimedRefund, Refused } from '@seatbelt/safety'
import type { NewRefundRequest } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { toClaimedRefund } from './to-claimed-refund.ts'

export interface RefundToOpen extends NewRefundRequest {
  readonly accountId: string
  /** Null: nobody owns it, and it is due at once. */
  readonly leaseMs: number | null
}

type OpenedRefund =
  | ({ readonly kind: 'opened' } & { readonly refund: Refund; readonly claimed: ClaimedRefund })
  | { readonly kind: 'contended' }
  | Refused

/**
 * The part of a claim that every refund has, whether or not somebody asked for it: reserve the amount, insert the intent once. Under
 * the order's lock. What is refused has written nothing; what is contended may have, and must be rolled back.
 */
export async function openRefund(
  { layers, newId, by }: PaymentDeps,
  tx: Tx,
  { accountId, paymentId, amountMinor: askedMinor, reason, leaseMs }: RefundToOpen,
): Promise<OpenedRefund> {
  const row = await tx.payment.findUniqueOrThrow({ where: { accountId_id: { accountId, id: paymentId } } })
  const decision = decideToRefund(row, askedMinor, await countAtGateway(tx, paymentId))
  if (decision.code !== 'refund') return { kind: 'refused', refusal: decision }

  const { amountMinor } = decision
  // Under the lock only a writer that does not take it can have been faster; the row itself says so.
  if (!(await layers.compareAndSet.reserveForRefund(tx, paymentId, amountMinor))) return { kind: 'contended' }

  const { orderId, currency } = toPayment(row)
  const intent = { id: newId(), accountId, orderId, paymentId, amountMinor, currency, reason }
  const atGateway = { ...takenBy(row), gatewayRefundId: null, refundAttempt: 1, generation: 1 }
  const line = { event: 'claimed', by, gatewayRequestId: null }
  const inserted = await layers.insertOnce.refund(tx, { ...intent, ...atGateway, leaseMs }, line)
  if (!inserted) return { kind: 'contended' }
  const refund: Refund = {
    ...{ ...intent, createdAt: inserted.createdAt, origin: 'merchant', state: 'processing' },
    ...{ failureCode: null, settledAt: null, reversedAt: null },
  }
  const claimed = toClaimedRefund(refund, atGateway, { isFirstOwner: true, keyIsRemembered: true })
  return { kind: 'opened', refund, claimed }
}

/** How many of a payment's refunds the gateway may list: all but those that failed before there was one. */
function countAtGateway(tx: Tx, paymentId: string): Promise<number> {
  return tx.refund.count({ where: { paymentId, NOT: { state: 'failed', gatewayRefundId: null } } })
}

interface MoneyAtGateway {
  readonly gatewayIntentId: string
  readonly gatewayChargeId: string
}

/** The database holds that a payment which succeeded names them. */
function takenBy({
  id,
  gatewayIntentId,
  gatewayChargeId,
}: { id: string } & NullableOf<MoneyAtGateway>): MoneyAtGateway {
  if (gatewayIntentId === null || gatewayChargeId === null) throw new Error(`payment ${id} succeeded without evidence`)
  return { gatewayIntentId, gatewayChargeId }
}

type NullableOf<T> = { readonly [Name in keyof T]: T[Name] | null }
