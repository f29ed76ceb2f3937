import type { Refund as RefundRow } from '@seatbelt/database'
import type { OrderPurpose, Refund } from '@seatbelt/domain'
import type { Attempt, RefundAttempt } from '@seatbelt/safety'

/** A refund in the hands of one owner, between its claim or takeover and its settle. */
export interface OwnedRefund {
  readonly refund: Refund
  readonly purpose: OrderPurpose
  readonly attempt: RefundAttempt
  /** How often recovery looked before, which spaces its looks. */
  readonly attempts: number
  /** The refund has been open for so long that a person should look as well. */
  readonly isOverdue: boolean
}

/** The columns that the gateway's layer must know. */
export type RefundAtGateway = Pick<
  RefundRow,
  'generation' | 'gatewayIntentId' | 'gatewayRefundId' | 'gatewayKey' | 'refundAttempt'
> & {
  /** The order's name at the gateway. */
  readonly orderName: string
}

/** The part of an attempt that does not stand in the refund's row. */
export interface RefundAttemptFacts extends Pick<Attempt, 'owner' | 'lease'> {
  readonly isFirstOwner: boolean
  readonly keyIsRemembered: boolean
}

/** Made of what never changes in the row, so that each owner asks for the same. */
export function toRefundAttempt(refund: Refund, row: RefundAtGateway, facts: RefundAttemptFacts): RefundAttempt {
  const { id, amountMinor, currency } = refund
  return {
    ...facts,
    id,
    currency,
    generation: row.generation,
    gatewayRefundId: row.gatewayRefundId,
    gatewayKey: row.gatewayKey ?? id,
    keyNumber: row.refundAttempt,
    isMadeElsewhere: refund.origin === 'gateway',
    parameters: { intentId: row.gatewayIntentId, amountMinor, metadata: metadataOf(refund, row) },
  }
}

/** A refund of an earlier version wrote ids. It has no name of its own, which tells. */
function metadataOf({ id, accountId, orderId }: Refund, { gatewayKey, orderName }: RefundAtGateway) {
  if (gatewayKey === null) return { refundId: id, orderId, accountId }
  return { refundId: gatewayKey, orderId: orderName, accountId }
}
