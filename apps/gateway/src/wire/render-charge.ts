import type { Charge } from '../charge.ts'
import { simulatedCard } from './render-customer.ts'
import { unixSeconds } from './stripe-values.ts'

/** The charge as Stripe writes it. An authorization that was released is a refund to Stripe, although nothing was captured. */
export function renderCharge(charge: Charge): object {
  const hasFailed = charge.error !== null
  const amountRefunded = charge.isReleased ? charge.amountMinor : charge.refundedMinor
  return {
    id: charge.id,
    object: 'charge',
    amount: charge.amountMinor,
    amount_captured: charge.capturedMinor,
    amount_refunded: amountRefunded,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    calculated_statement_descriptor: null,
    captured: charge.capturedMinor > 0,
    created: unixSeconds(charge.createdAt),
    currency: charge.currency.toLowerCase(),
    customer: charge.customerId,
    description: null,
    disputed: charge.disputed,
    failure_balance_transaction: null,
    failure_code: charge.error?.code ?? null,
    failure_message: charge.error?.message ?? null,
    fraud_details: {},
    livemode: false,
    metadata: charge.metadata,
    on_behalf_of: null,
    outcome: null,
    paid: !hasFailed,
    payment_intent: charge.intentId,
    payment_method: charge.paymentMethod,
    payment_method_details: { card: simulatedCard, type: 'card' },
    receipt_email: null,
    receipt_number: null,
    receipt_url: null,
    refunded: charge.isReleased || (charge.capturedMinor > 0 && amountRefunded === charge.capturedMinor),
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: hasFailed ? 'failed' : 'succeeded',
    transfer_data: null,
    transfer_group: null,
  }
}
