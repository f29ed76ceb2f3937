import { z } from 'zod'
import type { ChangingEndpoint, Circumstances, Execution } from '../endpoint.ts'
import type { CardError, LedgerEntry } from '../facts.ts'
import { newId } from '../new-id.ts'
import { intentAfter, isOpen, type PaymentIntent } from '../payment-intent.ts'
import {
  authenticationNotHandled,
  authenticationRequired,
  type CardBehaviour,
  genericDecline,
  testPaymentMethods,
} from '../test-payment-methods.ts'
import { type Answer, errorAnswer, noSuchIntent } from '../wire/answer.ts'
import { booleanParameter, expandParameter, paymentMethodParameter } from '../wire/parameters.ts'
import { renderCardError, renderPaymentIntent } from '../wire/render-payment-intent.ts'

const parameters = z.strictObject({
  error_on_requires_action: booleanParameter.optional(),
  expand: expandParameter.optional(),
  off_session: booleanParameter.optional(),
  payment_method: paymentMethodParameter.optional(),
  return_url: z.string().max(2_000).optional(),
})

type Wish = z.infer<typeof parameters>

/** `POST /v1/payment_intents/:id/confirm`. The one place where money moves, and it moves once for an intent. */
export const confirmPaymentIntent: ChangingEndpoint<Wish> = {
  operation: 'confirm',
  parameters,
  concerns: (_given, intent, id) =>
    intent ? { ok: true, metadata: intent.metadata } : { ok: false, refusal: noSuchIntent(id) },
  charges: (given, intent) => intent !== undefined && refuseByState(intent, given.payment_method ?? null) === null,
  execute(given, intent, circumstances) {
    if (!intent) throw new Error('An intent never goes away')
    return confirm(intent, given, circumstances)
  },
}

export function confirm(intent: PaymentIntent, wish: Wish, circumstances: Circumstances): Execution {
  const refusal = refuseByState(intent, wish.payment_method ?? null)
  if (refusal) return { facts: [], answer: refusal }

  const paymentMethod = wish.payment_method ?? intent.paymentMethod ?? ''
  const behaviour = circumstances.bankRefuses ? genericDecline : behaviourOf(paymentMethod)
  switch (behaviour.kind) {
    case 'pays':
      return capture(intent, paymentMethod, wish, circumstances)
    case 'declines':
      return decline(intent, paymentMethod, behaviour.error, newId('ch'), circumstances)
    case 'asks-for-authentication':
      if (wish.off_session) return decline(intent, paymentMethod, authenticationRequired, newId('ch'), circumstances)
      // Nobody asked the bank for money yet, so there is no charge.
      if (wish.error_on_requires_action) {
        return decline(intent, paymentMethod, authenticationNotHandled, null, circumstances)
      }
      return askForAuthentication(intent, paymentMethod, wish, circumstances)
    default:
      return behaviour satisfies never
  }
}

function refuseByState(intent: PaymentIntent, paymentMethod: string | null): Answer | null {
  if (isOpen(intent)) {
    return (paymentMethod ?? intent.paymentMethod) === null
      ? unexpectedState(
          intent,
          "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method.",
        )
      : null
  }
  return intent.status === 'succeeded'
    ? unexpectedState(
        intent,
        'You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.',
      )
    : unexpectedState(
        intent,
        `You cannot confirm this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_action.`,
      )
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

function behaviourOf(paymentMethod: string): CardBehaviour {
  const behaviour = testPaymentMethods.get(paymentMethod)
  if (!behaviour) throw new Error(`The parameters let through the unknown payment method ${paymentMethod}`)
  return behaviour
}

function capture(intent: PaymentIntent, paymentMethod: string, wish: Wish, circumstances: Circumstances): Execution {
  const captured = chargeEntry('charge.captured', intent, newId('ch'), paymentMethod, circumstances)
  const after = intentAfter(intent, captured)
  return { facts: [captured], answer: { status: 200, body: renderPaymentIntent(after, wish.expand) } }
}

function decline(
  intent: PaymentIntent,
  paymentMethod: string,
  error: CardError,
  chargeId: string | null,
  circumstances: Circumstances,
): Execution {
  const declined = { ...chargeEntry('charge.declined', intent, chargeId, paymentMethod, circumstances), error }
  const answer = errorAnswer(402, {
    ...renderCardError(error),
    ...(chargeId !== null && { charge: chargeId }),
    payment_intent: renderPaymentIntent(intentAfter(intent, declined)),
    payment_method: { id: paymentMethod, object: 'payment_method', type: 'card' },
  })
  return { facts: [declined], answer }
}

function askForAuthentication(
  intent: PaymentIntent,
  paymentMethod: string,
  wish: Wish,
  { at }: Circumstances,
): Execution {
  const asked = { type: 'intent.requires_action', at, intentId: intent.id, paymentMethod } as const
  const after = intentAfter(intent, asked)
  return { facts: [asked], answer: { status: 200, body: renderPaymentIntent(after, wish.expand) } }
}

function chargeEntry(
  type: 'charge.captured' | 'charge.declined',
  intent: PaymentIntent,
  chargeId: string | null,
  paymentMethod: string,
  { at, requestId, idempotencyKey }: Circumstances,
): Omit<LedgerEntry, 'seq'> {
  return {
    at,
    type,
    intentId: intent.id,
    chargeId,
    amountMinor: intent.amountMinor,
    currency: intent.currency,
    metadata: intent.metadata,
    idempotencyKey,
    requestId,
    paymentMethod,
    error: null,
    cancellationReason: null,
  }
}
