import { z } from 'zod'
import type { ChangingEndpoint } from '../endpoint.ts'
import type { LedgerEntry } from '../facts.ts'
import { intentAfter, isOpen } from '../payment-intent.ts'
import { noSuchIntent } from '../wire/answer.ts'
import { expandParameter } from '../wire/parameters.ts'
import { renderPaymentIntent } from '../wire/render-payment-intent.ts'
import { unexpectedState } from './confirm-payment-intent.ts'

const parameters = z.strictObject({
  cancellation_reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer', 'abandoned']).optional(),
  expand: expandParameter.optional(),
})

/** `POST /v1/payment_intents/:id/cancel`. Afterwards no confirm of anybody can move money. */
export const cancelPaymentIntent: ChangingEndpoint<z.infer<typeof parameters>> = {
  operation: 'cancel',
  parameters,
  concerns: (_given, intent, id) =>
    intent ? { ok: true, metadata: intent.metadata } : { ok: false, refusal: noSuchIntent(id) },
  charges: () => false,

  execute(given, intent, { at, requestId, idempotencyKey }) {
    if (!intent) throw new Error('An intent never goes away')
    if (!isOpen(intent)) {
      const message = `You cannot cancel this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing.`
      return { facts: [], answer: unexpectedState(intent, message) }
    }
    const canceled: Omit<LedgerEntry, 'seq'> = {
      at,
      type: 'intent.canceled',
      intentId: intent.id,
      chargeId: null,
      amountMinor: intent.amountMinor,
      currency: intent.currency,
      metadata: intent.metadata,
      idempotencyKey,
      requestId,
      paymentMethod: intent.paymentMethod,
      error: null,
      cancellationReason: given.cancellation_reason ?? null,
    }
    const body = renderPaymentIntent(intentAfter(intent, canceled), given.expand)
    return { facts: [canceled], answer: { status: 200, body } }
  },
}
