import { z } from 'zod'
import type { Books } from '../books.ts'
import { chargeAfter } from '../charge.ts'
import type { ChangingEndpoint, Circumstances, Concern, Execution } from '../endpoint.ts'
import type { CardError } from '../facts.ts'
import { intentEntry } from '../intent-entry.ts'
import { newId } from '../new-id.ts'
import { intentAfter, isConfirmable, type PaymentIntent } from '../payment-intent.ts'
import { behaviourOf, paymentMethodOf, refusePaymentMethod } from '../payment-methods.ts'
import { authenticationNotHandled, authenticationRequired, genericDecline } from '../test-payment-methods.ts'
import { type Answer, errorAnswer, noSuchIntent } from '../wire/answer.ts'
import { answerWithIntent, unexpectedState } from '../wire/answer-with-intent.ts'
import { booleanParameter, captureMethodParameter, expandParameter, idParameter } from '../wire/parameters.ts'
import { renderPaymentMethod } from '../wire/render-customer.ts'
import { renderCardError, renderPaymentIntent } from '../wire/render-payment-intent.ts'
import { existingIntent } from './existing-intent.ts'

const parameters = z.strictObject({
  capture_method: captureMethodParameter.optional(),
  error_on_requires_action: booleanParameter.optional(),
  expand: expandParameter.optional(),
  off_session: booleanParameter.optional(),
  payment_method: idParameter.optional(),
  return_url: z.string().max(2_000).optional(),
})

type Wish = z.infer<typeof parameters>

/**
 * `POST /v1/payment_intents/:id/confirm`. The one place where money moves, and it moves once for an intent; with manual
 * capture it is only authorized here. A capture method replaces the intent's and stays with it, also after a decline.
 */
export const confirmPaymentIntent: ChangingEndpoint<Wish> = {
  operation: 'confirm',
  parameters,
  concerns: concern,
  asksBank(given, books, id) {
    const intent = books.intents.find(id)
    return intent !== undefined && refuseByState(intent, given.payment_method ?? null) === null
  },
  execute: (given, books, circumstances) =>
    confirm(existingIntent(books, circumstances.id), given, books, circumstances),
}

function concern(given: Wish, books: Books, id: string): Concern {
  const intent = books.intents.find(id)
  if (!intent) return { ok: false, refusal: noSuchIntent(id) }
  const refusal = given.payment_method && refusePaymentMethod(books, given.payment_method, intent.customerId)
  return refusal ? { ok: false, refusal } : { ok: true, metadata: intent.metadata, subject: intent.id }
}

export function confirm(asked: PaymentIntent, wish: Wish, books: Books, circumstances: Circumstances): Execution {
  const refusal = refuseByState(asked, wish.payment_method ?? null)
  if (refusal) return { facts: [], answer: refusal }

  const intent = { ...asked, captureMethod: wish.capture_method ?? asked.captureMethod }
  const paymentMethod = wish.payment_method ?? intent.paymentMethod ?? ''
  const method = paymentMethodOf(books, paymentMethod, circumstances.at)
  const behaviour = circumstances.bankRefuses ? genericDecline : behaviourOf(books, paymentMethod)
  switch (behaviour.kind) {
    case 'pays':
      return take(intent, paymentMethod, wish, circumstances)
    case 'declines':
      return decline(intent, method, behaviour.error, newId('ch'), circumstances)
    case 'asks-for-authentication':
      if (wish.off_session) return decline(intent, method, authenticationRequired, newId('ch'), circumstances)
      // Nobody asked the bank for money yet, so there is no charge.
      if (wish.error_on_requires_action) {
        return decline(intent, method, authenticationNotHandled, null, circumstances)
      }
      return askForAuthentication(intent, paymentMethod, circumstances)
    default:
      return behaviour satisfies never
  }
}

function refuseByState(intent: PaymentIntent, paymentMethod: string | null): Answer | null {
  if (isConfirmable(intent)) {
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

function take(intent: PaymentIntent, paymentMethod: string, wish: Wish, circumstances: Circumstances): Execution {
  const type = intent.captureMethod === 'manual' ? 'charge.authorized' : 'charge.captured'
  const taken = intentEntry(type, intent, circumstances, { chargeId: newId('ch'), paymentMethod })
  const after = intentAfter(intent, taken)
  return { facts: [taken], answer: answerWithIntent(after, chargeAfter(undefined, taken), wish.expand) }
}

function decline(
  intent: PaymentIntent,
  method: ReturnType<typeof paymentMethodOf>,
  error: CardError,
  chargeId: string | null,
  circumstances: Circumstances,
): Execution {
  const declined = intentEntry('charge.declined', intent, circumstances, { chargeId, paymentMethod: method.id, error })
  const answer = errorAnswer(402, {
    ...renderCardError(error),
    ...(chargeId !== null && { charge: chargeId }),
    payment_intent: renderPaymentIntent(intentAfter(intent, declined)),
    payment_method: renderPaymentMethod(method),
  })
  return { facts: [declined], answer }
}

function askForAuthentication(intent: PaymentIntent, paymentMethod: string, { at }: Circumstances): Execution {
  const { id: intentId, captureMethod } = intent
  const asked = { type: 'intent.requires_action', at, intentId, paymentMethod, captureMethod } as const
  // An earlier try may have left a charge; it is not this one's, so it is not shown in full.
  return { facts: [asked], answer: answerWithIntent(intentAfter(intent, asked), null) }
}
