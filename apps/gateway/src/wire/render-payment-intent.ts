import type { CardError } from '../facts.ts'
import type { PaymentIntent } from '../payment-intent.ts'

/** The intent as Stripe writes it. What is not simulated has the value that it would have if it was never asked for. */
export function renderPaymentIntent(intent: PaymentIntent, expand: readonly string[] = []): object {
  const amount = intent.amountMinor
  return {
    id: intent.id,
    object: 'payment_intent',
    allowed_payment_method_types: ['card'],
    amount,
    amount_capturable: 0,
    amount_received: intent.status === 'succeeded' ? amount : 0,
    application: null,
    automatic_payment_methods: null,
    canceled_at: intent.canceledAt === null ? null : unixSeconds(intent.canceledAt),
    cancellation_reason: intent.cancellationReason,
    capture_method: 'automatic',
    client_secret: `${intent.id}_secret_simulated`,
    confirmation_method: 'automatic',
    created: unixSeconds(intent.createdAt),
    currency: intent.currency.toLowerCase(),
    customer: null,
    description: null,
    last_payment_error: intent.lastError === null ? null : renderCardError(intent.lastError),
    latest_charge: expand.includes('latest_charge') ? renderCharge(intent) : intent.chargeId,
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

function renderCharge(intent: PaymentIntent): object | null {
  if (intent.chargeId === null) return null
  const hasMoney = intent.status === 'succeeded'
  return {
    id: intent.chargeId,
    object: 'charge',
    amount: intent.amountMinor,
    amount_captured: hasMoney ? intent.amountMinor : 0,
    amount_refunded: 0,
    captured: hasMoney,
    currency: intent.currency.toLowerCase(),
    failure_code: intent.lastError?.code ?? null,
    failure_message: intent.lastError?.message ?? null,
    livemode: false,
    metadata: intent.metadata,
    paid: hasMoney,
    payment_intent: intent.id,
    refunded: false,
    status: hasMoney ? 'succeeded' : 'failed',
  }
}

function unixSeconds(at: string): number {
  return Math.floor(Date.parse(at) / 1000)
}
