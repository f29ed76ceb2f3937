import type { Charge } from '../charge.ts'
import type { CardError } from '../facts.ts'
import type { PaymentIntent } from '../payment-intent.ts'
import { renderCharge } from './render-charge.ts'
import { unixSeconds } from './stripe-values.ts'

/**
 * The intent as Stripe writes it, with its latest charge in full where that is given. What is not simulated has the value
 * that it would have if it was never asked for.
 */
export function renderPaymentIntent(intent: PaymentIntent, expandedCharge: Charge | null | undefined = null): object {
  const amount = intent.amountMinor
  return {
    id: intent.id,
    object: 'payment_intent',
    allowed_payment_method_types: ['card'],
    amount,
    amount_capturable: intent.status === 'requires_capture' ? amount : 0,
    amount_received: intent.receivedMinor,
    application: null,
    automatic_payment_methods: null,
    canceled_at: intent.canceledAt === null ? null : unixSeconds(intent.canceledAt),
    cancellation_reason: intent.cancellationReason,
    capture_method: intent.captureMethod,
    client_secret: `${intent.id}_secret_simulated`,
    confirmation_method: 'automatic',
    created: unixSeconds(intent.createdAt),
    currency: intent.currency.toLowerCase(),
    customer: intent.customerId,
    description: null,
    last_payment_error: intent.lastError === null ? null : renderCardError(intent.lastError),
    latest_charge: expandedCharge ? renderCharge(expandedCharge) : intent.chargeId,
    livemode: false,
    metadata: intent.metadata,
    next_action: intent.status === 'requires_action' ? { type: 'use_stripe_sdk', use_stripe_sdk: {} } : null,
    payment_method: intent.paymentMethod,
    payment_method_types: ['card'],
    processing: null,
    receipt_email: null,
    setup_future_usage: null,
    shipping: null,
    statement_descriptor: null,
    status: intent.status,
    transfer_group: null,
  }
}

export function renderCardError(error: CardError): { type: 'card_error'; code: string; message: string } {
  return {
    type: 'card_error',
    code: error.code,
    ...(error.declineCode !== null && { decline_code: error.declineCode }),
    message: error.message,
  }
}
