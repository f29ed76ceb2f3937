import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { noSuch } from '../wire/answer.ts'
import { answerList, listParameters } from '../wire/list.ts'
import { idParameter } from '../wire/parameters.ts'
import { renderRefund } from '../wire/render-refund.ts'

const parameters = z.strictObject({
  ...listParameters,
  charge: idParameter.optional(),
  payment_intent: idParameter.optional(),
})

/** `GET /v1/refunds`, newest first: all, or those of a charge or an intent. */
export const listRefunds: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list-refunds',
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
    const group = charge ?? intentId ?? null
    const answer = answerList(books.refunds, given, { url: '/v1/refunds', kind: 'refund', group, render: renderRefund })
    return { answer, concerned: intent ? { metadata: intent.metadata, subject: intent.id } : null }
  },
}
