import type { Refund } from '@seatbelt/domain'
import type { ClaimedRefund } from '@seatbelt/safety'

/** The columns of a refund's row that the gateway's layer must know. */
export interface RefundAtGateway {
  readonly generation: number
  readonly gatewayIntentId: string
  readonly gatewayRefundId: string | null
  readonly refundAttempt: number
}

export interface RefundOwner {
  readonly isFirstOwner: boolean
  readonly keyIsRemembered: boolean
}

/** A refund as its owner takes it to the gateway. Made of what never changes in its row, so that each owner asks for the same. */
export function toClaimedRefund(refund: Refund, row: RefundAtGateway, owner: RefundOwner): ClaimedRefund {
  const { id, accountId, orderId, amountMinor, currency } = refund
  const { generation, gatewayIntentId, gatewayRefundId, refundAttempt } = row
  return {
    ...owner,
    ...{ id, generation, currency, gatewayRefundId, attempt: refundAttempt },
    parameters: { intentId: gatewayIntentId, amountMinor, metadata: { refundId: id, orderId, accountId } },
  }
}
