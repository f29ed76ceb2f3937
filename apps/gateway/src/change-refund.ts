import type { EntryDraft } from './facts.ts'
import { draftEntry } from './facts.ts'
import type { Refund } from './refund.ts'

/** Stripe's word where the bank does not say more. */
export const defaultFailureReason = 'expired_or_canceled_card'

/** The bank's own answer to a refund, which comes without anybody asking. */
export function changeRefund(
  refund: Refund,
  status: 'succeeded' | 'failed',
  at: string,
  failureReason: string = defaultFailureReason,
): EntryDraft {
  return draftEntry({
    at,
    type: `refund.${status}`,
    intentId: refund.intentId,
    chargeId: refund.chargeId,
    refundId: refund.id,
    customerId: refund.customerId,
    amountMinor: refund.amountMinor,
    currency: refund.currency,
    metadata: refund.metadata,
    paymentMethod: refund.paymentMethod,
    refundReason: refund.reason,
    refundStatus: status,
    failureReason: status === 'failed' ? failureReason : null,
  })
}
