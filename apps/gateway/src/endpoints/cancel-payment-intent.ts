import { z } from 'zod'
import { chargeAfter } from '../charge.ts'
import type { ChangingEndpoint, Circumstances } from '../endpoint.ts'
import type { EntryDraft } from '../facts.ts'
import { intentEntry } from '../intent-entry.ts'
import { intentAfter, isOpen, type PaymentIntent } from '../payment-intent.ts'
import { answerWithIntent, unexpectedState } from '../wire/answer-with-intent.ts'
import { expandParameter } from '../wire/parameters.ts'
import { concernedIntent, existingIntent } from './existing-intent.ts'

const parameters = z.strictObject({
  cancellation_reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer', 'abandoned']).optional(),
  expand: expandParameter.optional(),
})

/** `POST /v1/payment_intents/:id/cancel`. Afterwards no confirm or capture of anybody can move money. */
export const cancelPaymentIntent: ChangingEndpoint<z.infer<typeof parameters>> = {
  operation: 'cancel',
  parameters,
  concerns: (_given, books, id) => concernedIntent(books, id),
  asksBank: () => false,

  execute(given, books, circumstances) {
    const intent = existingIntent(books, circumstances.id)
    if (!isOpen(intent)) {
      const message = `You cannot cancel this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing.`
      return { facts: [], answer: unexpectedState(intent, message) }
    }
    const released = releaseOf(intent, circumstances)
    const canceled = intentEntry('intent.canceled', intent, circumstances, {
      cancellationReason: given.cancellation_reason ?? null,
    })
    const before = intent.chargeId === null ? undefined : books.charges.find(intent.chargeId)
    const charge = released ? chargeAfter(before, released) : before
    return {
      facts: released ? [released, canceled] : [canceled],
      answer: answerWithIntent(intentAfter(intent, canceled), charge, given.expand),
    }
  },
}

/** Where there is an authorization, the customer's bank gets its hold back. */
function releaseOf(intent: PaymentIntent, circumstances: Circumstances): EntryDraft | null {
  if (intent.status !== 'requires_capture') return null
  return intentEntry('charge.released', intent, circumstances, { chargeId: intent.chargeId })
}
