import { z } from 'zod'
import type { Books } from '../books.ts'
import { type Charge, chargeAfter } from '../charge.ts'
import type { ChangingEndpoint, Circumstances, Execution } from '../endpoint.ts'
import type { CardError } from '../facts.ts'
import { intentEntry } from '../intent-entry.ts'
import { intentAfter, type PaymentIntent } from '../payment-intent.ts'
import { behaviourOf } from '../payment-methods.ts'
import { refuseFraction } from '../wire/amount-refusal.ts'
import { errorAnswer, invalidRequest } from '../wire/answer.ts'
import { answerWithIntent, unexpectedState } from '../wire/answer-with-intent.ts'
import { amountParameter, expandParameter } from '../wire/parameters.ts'
import { renderPaymentIntent } from '../wire/render-payment-intent.ts'
import { concernedIntent, existingIntent } from './existing-intent.ts'

const parameters = z.strictObject({
  amount_to_capture: amountParameter.optional(),
  expand: expandParameter.optional(),
})

type Given = z.infer<typeof parameters>

/** `POST /v1/payment_intents/:id/capture`. Takes what was authorized, or a part of it; the rest is then let go. */
export const capturePaymentIntent: ChangingEndpoint<Given> = {
  operation: 'capture',
  parameters,
  concerns: (_given, books, id) => concernedIntent(books, id),
  asksBank: (_given, books, id) => books.intents.find(id)?.status === 'requires_capture',

  execute(given, books, circumstances) {
    const intent = existingIntent(books, circumstances.id)
    if (intent.status !== 'requires_capture') {
      return { facts: [], answer: unexpectedState(intent, whyNot(intent)) }
    }
    const amountMinor = given.amount_to_capture ?? intent.amountMinor
    if (amountMinor > intent.amountMinor) {
      const message = `You cannot capture more than the amount that is capturable on this PaymentIntent (${intent.amountMinor}).`
      return { facts: [], answer: invalidRequest(message, { code: 'amount_too_large', param: 'amount_to_capture' }) }
    }
    const fraction = refuseFraction(amountMinor, intent.currency)
    if (fraction) return { facts: [], answer: invalidRequest(fraction.message, { param: 'amount_to_capture' }) }
    const charge = authorizedCharge(intent, books)
    const behaviour = behaviourOf(books, intent.paymentMethod)
    const isRefused = circumstances.bankRefuses || (behaviour.kind === 'pays' && behaviour.capture === 'refused')
    return isRefused ? letGo(intent, charge, circumstances) : capture(intent, charge, amountMinor, given, circumstances)
  },
}

function whyNot({ status }: PaymentIntent): string {
  return status === 'succeeded'
    ? 'This PaymentIntent could not be captured because it has already been captured.'
    : `This PaymentIntent could not be captured because it has a status of ${status}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.`
}

function authorizedCharge(intent: PaymentIntent, books: Books): Charge {
  const charge = intent.chargeId === null ? undefined : books.charges.find(intent.chargeId)
  if (!charge) throw new Error(`${intent.id} requires capture and has no charge`)
  return charge
}

function capture(
  intent: PaymentIntent,
  charge: Charge,
  amountMinor: number,
  given: Given,
  circumstances: Circumstances,
): Execution {
  const captured = intentEntry('charge.captured', intent, circumstances, { chargeId: charge.id, amountMinor })
  const after = intentAfter(intent, captured)
  return { facts: [captured], answer: answerWithIntent(after, chargeAfter(charge, captured), given.expand) }
}

/**
 * The authorization turns out to have expired. That is final: as at Stripe, where expiring cancels the intent, and whoever
 * looks after the refusal sees so.
 */
function letGo(intent: PaymentIntent, charge: Charge, circumstances: Circumstances): Execution {
  const error: CardError = {
    code: 'charge_expired_for_capture',
    declineCode: null,
    message: `Charge ${charge.id} cannot be captured because the charge has expired. You will need to create a new charge to retry the payment.`,
  }
  const released = intentEntry('charge.released', intent, circumstances, { chargeId: charge.id, error })
  const canceled = intentEntry('intent.canceled', intent, circumstances, { cancellationReason: 'automatic' })
  const answer = errorAnswer(400, {
    type: 'invalid_request_error',
    code: error.code,
    message: error.message,
    charge: charge.id,
    payment_intent: renderPaymentIntent(intentAfter(intent, canceled)),
  })
  return { facts: [released, canceled], answer }
}
