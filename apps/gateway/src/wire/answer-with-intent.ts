import type { Charge } from '../charge.ts'
import type { PaymentIntent } from '../payment-intent.ts'
import { type Answer, errorAnswer } from './answer.ts'
import { renderPaymentIntent } from './render-payment-intent.ts'

/** The intent, with its latest charge in full where that was asked for. */
export function answerWithIntent(
  intent: PaymentIntent,
  charge: Charge | null | undefined,
  expand: readonly string[] = [],
): Answer {
  return { status: 200, body: renderPaymentIntent(intent, expand.length > 0 ? charge : null) }
}

/** 400 with the intent in it, so that who asked sees what is the case. */
export function unexpectedState(intent: PaymentIntent, message: string): Answer {
  return errorAnswer(400, {
    type: 'invalid_request_error',
    code: 'payment_intent_unexpected_state',
    message,
    payment_intent: renderPaymentIntent(intent),
  })
}
