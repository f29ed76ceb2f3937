import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { noSuch } from '../wire/answer.ts'
import { answerList, listParameters } from '../wire/list.ts'
import { idParameter } from '../wire/parameters.ts'
import { renderDispute } from '../wire/render-dispute.ts'

const parameters = z.strictObject({
  ...listParameters,
  charge: idParameter.optional(),
  payment_intent: idParameter.optional(),
})

/** `GET /v1/disputes`, newest first: all, or those of a charge or an intent. */
export const listDisputes: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list-disputes',
  parameters,
  read(given, books) {
    const { charge, payment_intent: intentId } = given
    if (charge !== undefined && !books.charges.find(charge)) {
      return { answer: noSuch('charge', charge, 'charge'), concerned: null }
    }
    const intent = intentId === undefined ? undefined : books.intents.find(intentId)
    if (intentId !== undefined && !intent) {
      return { answer: noSuch('payment_intent', intentId, 'payment_intent'), concerned: null }
    }
    const list = { url: '/v1/disputes', kind: 'dispute', group: charge ?? intentId ?? null, render: renderDispute }
    const answer = answerList(books.disputes, given, list)
    return { answer, concerned: intent ? { metadata: intent.metadata, subject: intent.id } : null }
  },
}
