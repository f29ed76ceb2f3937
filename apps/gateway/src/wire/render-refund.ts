import type { Refund } from '../refund.ts'
import { unixSeconds } from './stripe-values.ts'

/** The refund as Stripe writes it. */
export function renderRefund(refund: Refund): object {
  return {
    id: refund.id,
    object: 'refund',
    amount: refund.amountMinor,
    balance_transaction: null,
    charge: refund.chargeId,
    created: unixSeconds(refund.createdAt),
    currency: refund.currency.toLowerCase(),
    customer: refund.customerId,
    customer_account: null,
    ...(refund.failureReason !== null && { failure_reason: refund.failureReason }),
    metadata: refund.metadata,
    payment_intent: refund.intentId,
    payment_method: refund.paymentMethod,
    ...(refund.status === 'pending' && { pending_reason: 'processing' }),
    reason: refund.reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status: refund.status,
    transfer_reversal: null,
  }
}
