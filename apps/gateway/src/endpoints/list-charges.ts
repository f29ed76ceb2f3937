import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { noSuch } from '../wire/answer.ts'
import { answerList, listParameters } from '../wire/list.ts'
import { idParameter } from '../wire/parameters.ts'
import { renderCharge } from '../wire/render-charge.ts'

const parameters = z.strictObject({
  ...listParameters,
  customer: idParameter.optional(),
  payment_intent: idParameter.optional(),
})

/** `GET /v1/charges`, newest first, those that failed included: all, or those of an intent or a customer. */
export const listCharges: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list-charges',
  parameters,
  read(given, books) {
    const { customer, payment_intent: intentId } = given
    const intent = intentId === undefined ? undefined : books.intents.find(intentId)
    if (intentId !== undefined && !intent) {
      return { answer: noSuch('payment_intent', intentId, 'payment_intent'), concerned: null }
    }
    const group = intentId ?? customer ?? null
    const answer = answerList(books.charges, given, { url: '/v1/charges', kind: 'charge', group, render: renderCharge })
    return { answer, concerned: intent ? { metadata: intent.metadata, subject: intent.id } : null }
  },
}
